//! The Socket.IO face: websocket and long-polling, for the stock `socket.io-client`.
//!
//! * [`wire`]: what clients send, and how it is read;
//! * [`encode`]: what they are sent;
//! * [`connection`]: one socket, the only place that emits;
//! * [`inbox`]: a socket's events, handled one after the other in the order in which they came;
//! * [`handlers`]: decode → one desk call → encode, one function per event; [`resume`] and [`revise`] have their own;
//! * [`page`]: a page goes on where it was after a lost connection; [`connect_answer`] tells the client that it can;
//! * [`handshake`]: what a client shows while it connects; [`unknown`]: events of other dialects;
//! * [`silence`]: clients that connect and never say who they are; [`denials`]: how often they are told so;
//! * [`admission`] and [`session`]: how many sessions there may be, and whose each is;
//! * [`transport`]: what carries a socket; [`transports`] knows those of all, by the requests that [`gate`] sees ([`query`]).
//!
//! The socketioxide layer keeps the transport; this face uses neither its rooms nor its broadcasts, since who hears what is
//! the desk's business.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::layer::SocketIoLayer;
use socketioxide::socket::DisconnectReason;
use socketioxide::{SocketIo, SocketIoBuilder};

mod admission;
mod connect_answer;
mod connection;
mod denials;
mod encode;
mod gate;
mod handlers;
mod handshake;
mod inbox;
mod page;
mod polls;
mod portions;
mod query;
mod repeats;
mod resume;
mod revise;
mod session;
mod silence;
mod transport;
mod transports;
mod unknown;
mod upgrades;
mod wire;

use crate::accounts::Accounts;
use crate::desk::Desk;
use crate::limits::Limits;
use crate::net::{ClientAddress, Heartbeat, ShutOut};
use connection::SocketConnection;
pub use gate::{Gate, guard};
use inbox::{EveryEvent, Inbound};
use page::Returning;
pub use polls::{Polls, carry};
use silence::Silence;
use transports::Transports;
use upgrades::Upgrades;

/// What this face can be told to do differently.
#[derive(Debug, Clone)]
pub struct SocketioSettings {
    /// How clients are asked for signs of life.
    pub heartbeat: Heartbeat,
    /// How long a client may stay without saying who it is before it is asked to.
    pub silence: Duration,
    /// Whether clients of Engine.IO 3 are let in.
    pub allow_eio3: bool,
    /// How long after it authenticated a page that lost its connection can go on where it was; zero for never.
    pub recover_within: Duration,
    /// Another path at which this face answers, beside its usual one; without a final slash.
    pub path: Option<String>,
}

/// Where this face answers.
const PATH: &str = "/socket.io";

/// The largest packet, in bytes: announced to clients as `maxPayload`. Twice what the replaced server took, so that a message
/// which is a little too long gets an error instead of a closed connection.
const MAX_MESSAGE: u32 = 2 << 20;

/// Packets that may wait for a client. One that falls behind further is cut off, and catches up when it comes back.
const BUFFER: usize = 1024;

/// Read buffer per websocket, in bytes: most of the memory of an idle one.
const READ_BUFFER: usize = 512;

/// The library's transport, set as it is for every server.
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

/// Makes the layer that answers below `/socket.io/`. The second value closes all sockets; the others are
/// the states of [`guard`] and [`carry`], in this order in front of the layer.
#[must_use]
pub fn layer(
    desk: &Desk,
    accounts: Arc<Accounts>,
    limits: Arc<Limits>,
    shut_out: ShutOut,
    settings: &SocketioSettings,
) -> (SocketIoLayer, SocketIo, Gate, Polls) {
    let (layer, io) = transport(settings.heartbeat, MAX_MESSAGE).build_layer();
    let silence = Silence::watch(settings.silence);
    let desk = desk.clone();
    let transports = Transports::default();
    let gate = Gate::new(settings, transports.clone(), accounts, limits);
    let upgrades = Upgrades::default();
    let polls = Polls::new(PATH, transports.clone(), upgrades.clone());
    // A client sends as soon as it is told that it is connected, and the library tells it so before it runs the handler: so
    // all that listens is set up before that, as a middleware, and nothing is answered until the handler runs.
    let within = settings.recover_within;
    let listens = desk.clone();
    let listen = move |socket: SocketRef, auth: TryData<Value>| {
        let transport = transports.of(socket.id, socket.req_parts());
        let connection = SocketConnection::new(listens.clone(), transport.clone());
        // A websocket is closed where all are.
        if !transport.is_websocket() {
            let address = ClientAddress::of(&socket.req_parts().extensions).ip();
            shut_out.close_when_banned(address, Box::new(Arc::downgrade(&connection)));
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
            let returning = match page::page_of(&connection.desk, socket.req_parts(), auth, within).await {
                Ok(Some((page, returning))) => {
                    transport.add_pid(socket.id, socket.ns(), &page.id);
                    connection.set_page(page);
                    returning
                }
                Ok(None) => None,
                Err(error) => {
                    tracing::warn!(%error, "Could not look up who comes back");
                    // A client whose websocket breaks tries again; one that polls begins anew.
                    if let Some(websocket) = transport.hang_up() {
                        websocket.now();
                    }
                    None
                }
            };
            socket.extensions.insert(Arrival { connection, returning });
            Ok::<(), Infallible>(())
        }
    };
    let begin = move |socket: SocketRef, auth: TryData<Value>| {
        if let Some(Arrival { connection, returning }) = socket.extensions.remove::<Arrival>() {
            let token = handshake::token(&socket, auth.as_ref().ok());
            connection.open(socket);
            if let Some(returning) = returning {
                tokio::spawn(async move {
                    handlers::recover(&connection, returning).await;
                    inbox::open(&connection, token.as_deref().map(Inbound::from_handshake));
                });
                return std::future::ready(());
            }
            if token.is_none() {
                silence.add(&connection);
            }
            inbox::open(&connection, token.as_deref().map(Inbound::from_handshake));
        }
        std::future::ready(())
    };
    // Before all that, so that nothing is left of a client that is refused.
    let check = move |socket: SocketRef, auth: TryData<Value>| {
        let (desk, token) = (desk.clone(), handshake::explicit_token(&socket, auth.as_ref().ok()));
        async move { handshake::check(&desk, token).await }
    };
    for namespace in handshake::NAMESPACES {
        io.ns(namespace, begin.clone().with(listen.clone()).with(check.clone()));
    }
    (layer, io, gate, polls)
}

/// A client that is about to be told that it is connected.
#[derive(Clone)]
struct Arrival {
    connection: Shared,
    /// What its page shows, if it was there before.
    returning: Option<Returning>,
}

/// A connection and its inbox are one object; both modules extend it.
type Shared = Arc<SocketConnection>;
