//! The Socket.IO face: websocket and long-polling, for the stock `socket.io-client`.
//!
//! * [`wire`]: what clients send, and how it is read;
//! * [`encode`]: what they are sent;
//! * [`connection`]: one socket, the only place that emits;
//! * [`inbox`]: a socket's events, handled one after the other in the order in which they came;
//! * [`handlers`]: decode → one desk call → encode, one function per event; [`resume`] and [`revise`] have their own;
//! * [`page`]: a page goes on where it was after a lost connection; [`connect_answer`] tells the client that it can;
//! * [`silence`]: clients that connect and never say who they are;
//! * [`admission`] and [`session`]: how many sessions there may be, and whose each is;
//! * [`transport`]: what carries a socket; [`transports`] knows those of all, by the requests that [`gate`] sees ([`query`]).
//!
//! The socketioxide layer keeps the transport; this face uses neither its rooms nor its broadcasts, since who hears what is
//! the desk's business.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use socketioxide::SocketIo;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::layer::SocketIoLayer;
use socketioxide::socket::DisconnectReason;

mod admission;
mod connect_answer;
mod connection;
mod encode;
mod gate;
mod handlers;
mod inbox;
mod page;
mod query;
mod resume;
mod revise;
mod session;
mod silence;
mod transport;
mod transports;
mod wire;

use crate::accounts::Accounts;
use crate::desk::Desk;
use crate::limits::Limits;
use crate::net::Heartbeat;
use connection::SocketConnection;
pub use gate::{Gate, guard};
use inbox::{EveryEvent, Inbound};
use page::Returning;
use silence::Silence;
use transports::Transports;

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
}

/// Where this face answers.
const PATH: &str = "/socket.io/";

/// The largest packet, in bytes: announced to clients as `maxPayload`. Twice what the replaced server took, so that a message
/// which is a little too long gets an error instead of a closed connection.
const MAX_MESSAGE: u32 = 2 << 20;

/// Packets that may wait for a client. One that falls behind further is cut off, and catches up when it comes back.
const BUFFER: usize = 1024;

/// Read buffer per websocket, in bytes: most of the memory of an idle one.
const READ_BUFFER: usize = 512;

/// Makes the layer that answers below `/socket.io/`. The second value closes all sockets; the third is what the layer must stand
/// behind, as the state of [`guard`].
#[must_use]
pub fn layer(
    desk: &Desk,
    accounts: Arc<Accounts>,
    limits: Arc<Limits>,
    settings: &SocketioSettings,
) -> (SocketIoLayer, SocketIo, Gate) {
    let (layer, io) = SocketIo::builder()
        .ping_interval(settings.heartbeat.interval)
        .ping_timeout(settings.heartbeat.timeout)
        .connect_timeout(Duration::from_secs(10))
        .max_payload(MAX_MESSAGE.into())
        .ws_max_message_size(MAX_MESSAGE as usize)
        .ws_max_frame_size(MAX_MESSAGE as usize)
        .ws_read_buffer_size(READ_BUFFER)
        .max_buffer_size(BUFFER)
        .build_layer();
    let silence = Silence::watch(settings.silence);
    let desk = desk.clone();
    let transports = Transports::default();
    let gate = Gate::new(settings.allow_eio3, transports.clone(), accounts, limits);
    // A client sends as soon as it is told that it is connected, and the library tells it so before it runs the handler: so
    // all that listens is set up before that, as a middleware, and nothing is answered until the handler runs.
    let within = settings.recover_within;
    let listen = move |socket: SocketRef, auth: TryData<Value>| {
        let transport = transports.of(socket.id, socket.req_parts());
        let connection = SocketConnection::new(desk.clone(), transport.clone());
        socket.on_fallback(EveryEvent(connection.clone()));
        socket.on_disconnect({
            let (connection, transport) = (connection.clone(), transport.clone());
            let (transports, session) = (transports.clone(), socket.id);
            move |reason: DisconnectReason| {
                connection.closed(reason);
                transports.closed(session, &transport);
                std::future::ready(())
            }
        });
        async move {
            let auth = auth.as_ref().ok();
            let returning = match page::page_of(&connection.desk, socket.req_parts(), auth, within).await {
                Ok(Some((page, returning))) => {
                    transport.connect_answer.add(socket.id, &page.id, transport.hang_up());
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
            let token = wire::handshake_token(&socket, auth.as_ref().ok());
            connection.open(socket);
            if let Some((returning, page)) = returning.zip(connection.page_id()) {
                tokio::spawn(async move {
                    handlers::recover(&connection, &page, returning).await;
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
    io.ns("/", begin.with(listen));
    (layer, io, gate)
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
