//! The dashboard: Socket.IO events and REST routes of one frontend.
//!
//! * [`wire`]: names and shapes of events and records, for both;
//! * [`socketio`]: events from and to clients, over the transport in [`faces::socketio`](super::socketio);
//! * [`rest`]: log-in, account administration and the chat screen.

pub mod rest;
pub mod socketio;
mod wire;
