//! Not the server: tools that start a server as a child process, connect to it as clients do, and measure or check it.
//!
//! No part of the server depends on this module. [`bench`](mod@bench) is `deskline bench`, [`prove`] is `deskline prove`, and
//! [`testkit`] is what both are built on: clients of every protocol, child servers and scratch stores. The tests use its
//! clients, too.

pub mod bench;
pub mod prove;
pub mod testkit;
