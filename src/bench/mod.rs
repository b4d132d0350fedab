//! Loading and testing a server over real websockets.
//!
//! [`client`] is a client for tests.

pub mod client;
