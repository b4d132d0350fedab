//! Engine.IO and Socket.IO, below the dashboard's events: sessions, polls, upgrades, and what socketioxide lacks.
//!
//! The socketioxide layer implements the protocol. Two middlewares stand in front of it: [`guard`] checks every request, and [`carry`]
//! serves polls and websocket handshakes.
//!
//! * [`middleware`]: checks handshakes, session ids and repeated requests; parses the query string with [`query`];
//! * [`admission`] and [`session`]: how many sessions may be open, and which requests may use each;
//! * [`handshake`]: the parts of the request that opened a session that later requests need;
//! * [`polls`]: long-polling and the change to a websocket, with [`packets`], [`portions`], [`upgrades`] and [`repeats`];
//! * [`websockets`]: websockets that begin a session;
//! * [`transport`] and [`transports`]: what carries a socket, and what its client has received;
//! * [`connect_packet`]: adds the `pid` of state recovery to socketioxide's CONNECT packet.
//!
//! Nothing here knows an event of the dashboard; see [`dashboard::socketio`](super::dashboard::socketio) for those.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use socketioxide::{SocketIo, SocketIoBuilder};

mod admission;
mod connect_packet;
pub(super) mod handshake;
mod middleware;
mod packets;
mod plain_names;
mod polls;
mod portions;
pub(super) mod query;
mod repeats;
pub(super) mod session;
pub(super) mod transport;
pub(super) mod transports;
pub(super) mod upgrades;
mod websockets;

use crate::net::Heartbeat;
pub use middleware::{Gate, guard};
pub use polls::{Polls, carry};

/// Path of the Socket.IO endpoint.
pub(super) const PATH: &str = "/socket.io";

/// Largest packet, in bytes: announced to clients as `maxPayload`. Twice what the replaced server accepted, so that a message
/// which is a little too long gets an error instead of a closed connection.
pub(super) const MAX_MESSAGE: u32 = 2 << 20;

/// Packets that may be queued for a client. One that falls behind further is disconnected, and catches up when it reconnects.
const BUFFER: usize = 1024;

/// Read buffer per websocket, in bytes: most of the memory of an idle one.
const READ_BUFFER: usize = 512;

/// socketioxide with the settings that all our servers use.
#[must_use]
pub fn transport(heartbeat: Heartbeat, max_message: u32) -> SocketIoBuilder {
    SocketIo::builder()
        .ping_interval(heartbeat.interval)
        .ping_timeout(heartbeat.timeout)
        .connect_timeout(Duration::from_secs(10))
        .max_payload(max_message.into())
        .ws_max_message_size(max_message as usize)
        .ws_max_frame_size(max_message as usize)
        .ws_read_buffer_size(READ_BUFFER)
        .max_buffer_size(BUFFER)
}

/// Whether a client is a browser: the user agents of all browsers begin with `Mozilla/`.
pub(super) fn is_browser(headers: &HeaderMap) -> bool {
    headers.get(header::USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}
