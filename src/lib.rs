//! A support-chat server. The binary is [`cli::main`]; everything else is in these modules.
//!
//! # Map
//!
//! From the outside in. A module names only those below it; `tests/it/architecture` checks that.
//!
//! | module | what it is |
//! |---|---|
//! | [`cli`], [`config`] | commands and settings |
//! | [`app`] | the only place that joins the parts |
//! | [`faces`] | protocols towards clients, by dialect: `dashboard`, `storefront`, `drivecash` (the portal); `console`, `ops` |
//! | [`net`] | from a socket to a request: accept loop, timeouts, proxies, CORS |
//! | [`desk`] | use cases of conversations: send, read, type, connect, catch up, resume. One verb per file |
//! | [`accounts`] | use cases of accounts: log in, register, reset a password |
//! | [`presence`] | who is connected, and what is in flight to each connection |
//! | [`limits`] | rate limits and bans |
//! | [`store`] | the store port, with the adapters `sqlite` and `mongo` |
//! | [`auth`], [`mail`] | tokens and passwords; outgoing mail |
//! | [`domain`] | ids, users, conversations, entries, events. No I/O |
//! | [`supervise`] | restarts background tasks that panic |
//!
//! Tools that work on a store or on a running server:
//!
//! | module | command |
//! |---|---|
//! | [`backup`] | `deskline backup`, `deskline restore`: everything that a server on the embedded store has, in one file |
//! | [`import`] | `deskline import`: copies one store into another, or imports a Django dump |
//! | [`verify`] | `deskline verify`: checks stored data against the logs |
//! | [`lab`] | `deskline bench`, `deskline prove`: load generator and crash test. Not part of the server: it starts one and connects to it |
//!
//! To follow a message, read `desk/messages/send_message.rs`, [`desk::log`], [`store`] and [`presence`], in this order. To follow a
//! reconnect, read `faces/dashboard/socketio/handshake.rs`, `desk/attendance/connect.rs`, [`desk::delivery`] and `presence/stream.rs`.
//! `docs/ARCHITECTURE.md` describes both, and `CONTRIBUTING.md` says where a change belongs.
//!
//! ---
//!
#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod app;
pub mod auth;
pub mod backup;
pub mod cli;
pub mod config;
pub mod desk;
mod disk;
pub mod domain;
pub mod faces;
pub mod import;
mod json;
pub mod lab;
pub mod limits;
pub mod mail;
pub mod net;
pub mod presence;
pub mod store;
pub mod supervise;
pub mod verify;
