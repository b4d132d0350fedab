//! The dashboard's events over Socket.IO, for the stock `socket.io-client`, by websocket or long-polling.
//!
//! * [`connection`]: one socket, the only place that emits;
//! * [`inbox`]: queues a socket's events, which are handled one after the other;
//! * [`handlers`]: one function per event, which decodes, calls the desk once, and encodes; also [`resume`] and [`revise`];
//! * [`handshake`]: namespaces, and the token that a client sends while it connects;
//! * [`page`]: connection state recovery;
//! * [`auth_reminder`] and [`denials`]: clients that do not authenticate; [`unknown`]: events of other dialects.
//!
//! This face uses neither rooms nor broadcasts of socketioxide: the desk decides who receives what.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::layer::SocketIoLayer;
use socketioxide::socket::DisconnectReason;

mod auth_reminder;
mod connection;
mod denials;
mod handlers;
mod handshake;
mod inbox;
mod page;
mod resume;
mod revise;
mod unknown;

use crate::accounts::Accounts;
use crate::desk::Desk;
use crate::faces::socketio::handshake::Handshake;
use crate::faces::socketio::transports::Transports;
use crate::faces::socketio::upgrades::Upgrades;
use crate::faces::socketio::{Gate, MAX_MESSAGE, PATH, Polls, session, transport};
use crate::limits::Limits;
use crate::net::{BanEnforcer, Heartbeat};
use auth_reminder::AuthReminder;
use connection::SocketConnection;
use inbox::{EveryEvent, Inbound};
use page::Returning;

/// Settings of the Socket.IO endpoint.
#[derive(Debug, Clone)]
pub struct SocketioSettings {
    /// Heartbeat of the connections.
    pub heartbeat: Heartbeat,
    /// How long a client may stay connected without authenticating before it is reminded.
    pub remind_after: Duration,
    /// Whether clients of Engine.IO 3 are accepted.
    pub allow_eio3: bool,
    /// How long a page can recover its connection state, counted from its authentication; zero to disable recovery.
    pub recover_within: Duration,
    /// Additional path of the endpoint, without a final slash.
    pub path: Option<String>,
}

/// Builds the layer that serves `/socket.io/`. The second value closes all sockets. The others are the states of the middlewares
/// [`guard`](crate::faces::socketio::guard) and [`carry`](crate::faces::socketio::carry), which stand in front of the layer in this order.
#[must_use]
pub fn layer(
    desk: &Desk,
    accounts: Arc<Accounts>,
    limits: Arc<Limits>,
    ban_enforcer: BanEnforcer,
    settings: &SocketioSettings,
) -> (SocketIoLayer, SocketIo, Gate, Polls) {
    let (layer, io) = transport(settings.heartbeat, MAX_MESSAGE).build_layer();
    let reminder = AuthReminder::start(settings.remind_after);
    let desk = desk.clone();
    let transports = Transports::default();
    let gate = Gate::new(settings.allow_eio3, settings.path.as_deref(), transports.clone(), accounts, limits);
    let upgrades = Upgrades::default();
    let polls = Polls::new(PATH, Some(&layer), transports.clone(), upgrades.clone());
    // socketioxide sends the CONNECT packet before it runs the connect handler, and a client sends events as soon as it receives that
    // packet. So listeners are registered earlier, in a middleware, and events are not handled until the handler runs.
    let within = settings.recover_within;
    let shared_desk = Arc::new(desk.clone());
    let listen = move |socket: SocketRef, auth: TryData<Value>| {
        let transport = transports.of(&socket);
        let connection = SocketConnection::new(shared_desk.clone(), transport.clone());
        // Websockets are closed with their TCP connections.
        if !transport.is_websocket() {
            ban_enforcer.close_when_banned(Handshake::of(&socket).address, Box::new(Arc::downgrade(&connection)));
        }
        socket.on_fallback(EveryEvent(connection.clone()));
        socket.on_disconnect({
            let (connection, transport) = (connection.clone(), transport.clone());
            let (transports, upgrades, session) = (transports.clone(), upgrades.clone(), socket.id);
            move |reason: DisconnectReason| {
                let by_error = reason == DisconnectReason::TransportError;
                connection.closed(reason);
                upgrades.ended(session, transport.is_websocket(), by_error);
                transports.closed(session, &transport);
                std::future::ready(())
            }
        });
        async move {
            let auth = auth.as_ref().ok();
            let returning = match page::page_of(&connection.desk, Handshake::of(&socket), auth, within).await {
                Ok(Some((page, returning))) => {
                    transport.add_pid(socket.id, socket.ns(), &page.id);
                    connection.set_page(page);
                    returning
                }
                Ok(None) => None,
                Err(error) => {
                    tracing::warn!(%error, "Could not read the account of a page that reconnects");
                    // A client whose websocket breaks retries; one that polls starts over.
                    if let Some(websocket) = transport.connection_handle() {
                        websocket.abort();
                    }
                    None
                }
            };
            session::hold(&socket, Arrival { connection, returning });
            Ok::<(), Infallible>(())
        }
    };
    let begin = move |socket: SocketRef, auth: TryData<Value>| {
        if let Some(Arrival { connection, returning }) = session::take_held::<Arrival>(&socket) {
            let token = handshake::token(Handshake::of(&socket), auth.as_ref().ok());
            connection.open(socket);
            if let Some(returning) = returning {
                tokio::spawn(async move {
                    handlers::recover(&connection, returning).await;
                    inbox::open(&connection, token.as_deref().map(Inbound::from_handshake));
                });
                return std::future::ready(());
            }
            if token.is_none() {
                reminder.add(&connection);
            }
            inbox::open(&connection, token.as_deref().map(Inbound::from_handshake));
        }
        std::future::ready(())
    };
    // Runs before the other two, so that a rejected client leaves no state behind.
    let check = move |socket: SocketRef, auth: TryData<Value>| {
        let (desk, token) = (desk.clone(), handshake::explicit_token(Handshake::of(&socket), auth.as_ref().ok()));
        async move { handshake::check(&desk, token).await }
    };
    for namespace in handshake::NAMESPACES {
        io.ns(namespace, begin.clone().with(listen.clone()).with(check.clone()));
    }
    (layer, io, gate, polls)
}

/// A client whose CONNECT packet is about to be sent.
struct Arrival {
    connection: Shared,
    /// What its page sent, if it reconnects.
    returning: Option<Returning>,
}

/// A connection, shared between the tasks that handle its events.
type Shared = Arc<SocketConnection>;
