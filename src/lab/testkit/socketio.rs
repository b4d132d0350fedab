//! A Socket.IO client over one websocket or one polling session, which shows every packet and retries nothing.
//!
//! A background task answers pings, so a [`Client`] need not be polled. The load generator uses only [`dial`].

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::polling::Polling;

/// A websocket over plain TCP.
pub(crate) type Socket = WebSocketStream<TcpStream>;

/// Timeout of handshakes and acknowledgements: longer than a request may wait for a database that is unreachable, several times in a row.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// An error of a client.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not of the form `http://HOST:PORT`.
    #[error("not an address of the form http://HOST:PORT: {0}")]
    BadUrl(String),
    /// The TCP connection failed.
    #[error("could not connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The websocket failed, or the server refused the upgrade.
    #[error("websocket: {0}")]
    WebSocket(#[source] Box<tungstenite::Error>),
    /// A request failed.
    #[error("HTTP: {0}")]
    Http(String),
    /// The server sent something unexpected.
    #[error("unexpected from the server: {0}")]
    Unexpected(String),
    /// The connection is closed, and everything received before has been read.
    #[error("the connection is closed")]
    Closed,
    /// Nothing was received in time.
    #[error("nothing was received within {0:?}")]
    TimedOut(Duration),
}

impl From<tungstenite::Error> for ClientError {
    fn from(error: tungstenite::Error) -> Self {
        match error {
            tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed => Self::Closed,
            error => Self::WebSocket(Box::new(error)),
        }
    }
}

/// How [`dial`] connects.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dial {
    /// Local address to connect from.
    pub(crate) from: Option<SocketAddr>,
    /// The payload of the Socket.IO CONNECT as JSON; empty for none.
    pub(crate) auth: String,
    /// Size of the read and write buffers in bytes; 0 for the default.
    pub(crate) buffer: usize,
    /// Size of the socket's receive buffer (`SO_RCVBUF`) in bytes; 0 for the default.
    pub(crate) receive_buffer: u32,
}

impl Dial {
    /// Buffer size of a slim connection, in bytes.
    const SLIM: usize = 1024;

    /// Small buffers, for thousands of connections in one process.
    pub(crate) fn slim() -> Self {
        Self { buffer: Self::SLIM, ..Self::default() }
    }
}

/// `HOST:PORT` of `http://HOST:PORT`.
pub(super) fn host_of(url: &str) -> Result<&str, ClientError> {
    let host = url.strip_prefix("http://").map(|host| host.trim_end_matches('/'));
    host.ok_or_else(|| ClientError::BadUrl(url.to_owned()))
}

/// Opens a websocket and completes the Engine.IO and Socket.IO handshakes, up to the server's `40`.
pub(crate) async fn dial(url: &str, how: &Dial) -> Result<Socket, ClientError> {
    Ok(dial_answered(url, how).await?.0)
}

/// Like [`dial`], and returns the server's `40`.
async fn dial_answered(url: &str, how: &Dial) -> Result<(Socket, String), ClientError> {
    let mut socket = open_websocket(url, "/socket.io/?EIO=4&transport=websocket", how).await?;
    let opened = next_packet(&mut socket).await?;
    if !opened.starts_with("0{") {
        return Err(ClientError::Unexpected(opened));
    }
    socket.send(Message::text(format!("40{}", how.auth))).await?;
    let answer = next_packet(&mut socket).await?;
    if answer.starts_with("40") { Ok((socket, answer)) } else { Err(ClientError::Unexpected(answer)) }
}

/// Opens a websocket at a path.
pub(crate) async fn open_websocket(url: &str, path: &str, how: &Dial) -> Result<Socket, ClientError> {
    let host = host_of(url)?;
    let address = lookup_host(host).await?.next().ok_or_else(|| ClientError::BadUrl(url.to_owned()))?;
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = how.from {
        socket.bind(from)?;
    }
    if how.receive_buffer > 0 {
        socket.set_recv_buffer_size(how.receive_buffer)?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    let mut config = WebSocketConfig::default();
    if how.buffer > 0 {
        config.read_buffer_size = how.buffer;
        config.write_buffer_size = how.buffer;
    }
    let (socket, _response) = client_async_with_config(format!("ws://{host}{path}"), stream, Some(config)).await?;
    Ok(socket)
}

/// The next packet that is not a ping; pings are answered.
pub(crate) async fn next_packet(socket: &mut Socket) -> Result<String, ClientError> {
    let next = async {
        loop {
            match socket.next().await.ok_or(ClientError::Closed)?? {
                Message::Text(text) if text.as_str() == "2" => socket.send(Message::text("3")).await?,
                Message::Text(text) => return Ok(text.as_str().to_owned()),
                Message::Close(_) => return Err(ClientError::Closed),
                _ => {}
            }
        }
    };
    timeout(PATIENCE, next).await.unwrap_or(Err(ClientError::TimedOut(PATIENCE)))
}

/// A packet to send.
pub(super) struct Outgoing {
    packet: String,
    /// Id and receiver of the acknowledgement, if one is requested.
    ack: Option<(u64, oneshot::Sender<Value>)>,
}

/// A connected Socket.IO client. Dropping it drops the connection without closing the session, like a closed laptop.
pub struct Client {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    events: Mutex<mpsc::UnboundedReceiver<(String, Value)>>,
    next_ack: AtomicU64,
    connected: Value,
    task: JoinHandle<()>,
}

impl Client {
    /// Connects to the server at `http://HOST:PORT`, ready to send events.
    ///
    /// # Errors
    /// [`ClientError`] if there is no connection, or the server refuses it.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::dialled(url, Dial::default()).await
    }

    /// Like [`Client::connect`], with a payload in the handshake (`auth`).
    ///
    /// # Errors
    /// [`ClientError`] if there is no connection, or the server refuses it: [`ClientError::Unexpected`] holds its answer.
    pub async fn connect_with(url: &str, auth: &Value) -> Result<Self, ClientError> {
        Self::dialled(url, Dial { auth: auth.to_string(), ..Dial::default() }).await
    }

    /// Like [`Client::connect`], by long-polling.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_by_polling(url: &str) -> Result<Self, ClientError> {
        Self::polled(url, "").await
    }

    /// Connects as a page with the stock client does, with its `pid` and `offset` in the handshake. `polls`: by long-polling.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_page(url: &str, shown: &Value, polls: bool) -> Result<Self, ClientError> {
        if polls { Self::polled(url, &shown.to_string()).await } else { Self::connect_with(url, shown).await }
    }

    async fn polled(url: &str, auth: &str) -> Result<Self, ClientError> {
        let (session, answer) = in_time(Polling::open(url, auth)).await?;
        Ok(Self::connected_by(&answer, |to_send, events| tokio::spawn(session.forward(to_send, events))))
    }

    async fn dialled(url: &str, how: Dial) -> Result<Self, ClientError> {
        let (socket, answer) = in_time(dial_answered(url, &how)).await?;
        Ok(Self::connected_by(&answer, |to_send, events| tokio::spawn(forward(socket, to_send, events))))
    }

    fn connected_by(
        answer: &str,
        spawn: impl FnOnce(mpsc::UnboundedReceiver<Outgoing>, Events) -> JoinHandle<()>,
    ) -> Self {
        let connected = answer.strip_prefix("40").and_then(|says| serde_json::from_str(says).ok()).unwrap_or_default();
        let (outgoing, to_send) = mpsc::unbounded_channel();
        let (received, events) = mpsc::unbounded_channel();
        let task = spawn(to_send, received);
        Self { outgoing, events: Mutex::new(events), next_ack: AtomicU64::new(0), connected, task }
    }

    /// Payload of the server's CONNECT packet.
    #[must_use]
    pub const fn connected(&self) -> &Value {
        &self.connected
    }

    /// Sends `authenticate` with a bare token. Returns the payload of `authenticated`, successful or not. Earlier events are
    /// dropped.
    ///
    /// # Errors
    /// [`ClientError`] if no answer comes within thirty seconds.
    pub async fn authenticate(&self, token: &str) -> Result<Value, ClientError> {
        self.emit("authenticate", token)?;
        self.wait_for("authenticated", PATIENCE).await
    }

    /// Sends an event with one argument, without an acknowledgement.
    ///
    /// # Errors
    /// [`ClientError::Closed`] if the connection is known to be closed.
    pub fn emit(&self, event: &str, argument: impl Into<Value>) -> Result<(), ClientError> {
        let packet = format!("42{}", Value::from(vec![Value::from(event), argument.into()]));
        self.outgoing.send(Outgoing { packet, ack: None }).map_err(|_| ClientError::Closed)
    }

    /// Sends an event with one argument and returns the first argument of its acknowledgement. Events received
    /// meanwhile are queued.
    ///
    /// # Errors
    /// [`ClientError`] if the connection closes first, or no ack comes within thirty seconds.
    pub async fn emit_ack(&self, event: &str, argument: impl Into<Value>) -> Result<Value, ClientError> {
        let id = self.next_ack.fetch_add(1, Ordering::Relaxed);
        let packet = format!("42{id}{}", Value::from(vec![Value::from(event), argument.into()]));
        let (sender, receiver) = oneshot::channel();
        self.outgoing.send(Outgoing { packet, ack: Some((id, sender)) }).map_err(|_| ClientError::Closed)?;
        match timeout(PATIENCE, receiver).await {
            Ok(answer) => answer.map_err(|_| ClientError::Closed),
            Err(_) => Err(ClientError::TimedOut(PATIENCE)),
        }
    }

    /// The next event and its argument: `null` if it has none, an array if it has several.
    ///
    /// # Errors
    /// [`ClientError::TimedOut`] if none comes within `deadline`, [`ClientError::Closed`] if none will come.
    pub async fn next_event(&self, deadline: Duration) -> Result<(String, Value), ClientError> {
        let mut events = self.events.lock().await;
        match timeout(deadline, events.recv()).await {
            Ok(event) => event.ok_or(ClientError::Closed),
            Err(_) => Err(ClientError::TimedOut(deadline)),
        }
    }

    /// The argument of the next event of this name; events of other names before it are dropped.
    ///
    /// # Errors
    /// As [`Client::next_event`].
    pub async fn wait_for(&self, name: &str, deadline: Duration) -> Result<Value, ClientError> {
        let find = async {
            loop {
                let (found, argument) = self.next_event(deadline).await?;
                if found == name {
                    return Ok(argument);
                }
            }
        };
        timeout(deadline, find).await.unwrap_or(Err(ClientError::TimedOut(deadline)))
    }

    /// Drops the connection without closing the session. Events received before can still be read, up to [`ClientError::Closed`].
    pub fn cut(&self) {
        self.task.abort();
    }

    /// Whether the connection is closed. Events received before can still be read.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.task.is_finished()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Receives events.
pub(super) type Events = mpsc::UnboundedSender<(String, Value)>;

async fn in_time<T>(work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    timeout(PATIENCE, work).await.unwrap_or(Err(ClientError::TimedOut(PATIENCE)))
}

/// Forwards packets both ways until either side is closed.
async fn forward(mut socket: Socket, mut to_send: mpsc::UnboundedReceiver<Outgoing>, events: Events) {
    let mut dispatcher = Dispatcher::new(events);
    loop {
        let packet = tokio::select! {
            asked = to_send.recv() => {
                let Some(asked) = asked else { return };
                dispatcher.register(asked)
            }
            read = socket.next() => {
                let Some(Ok(message)) = read else { return };
                match message {
                    Message::Text(text) if text.as_str() == "2" => "3".to_owned(),
                    Message::Text(text) if text.starts_with("41") => return,
                    Message::Text(text) => {
                        dispatcher.dispatch(text.as_str());
                        continue;
                    }
                    _ => continue,
                }
            }
        };
        if socket.send(Message::text(packet)).await.is_err() {
            return;
        }
    }
}

/// Dispatches received packets to events and pending acknowledgements.
pub(super) struct Dispatcher {
    events: Events,
    waiting: HashMap<u64, oneshot::Sender<Value>>,
}

impl Dispatcher {
    pub(super) fn new(events: Events) -> Self {
        Self { events, waiting: HashMap::new() }
    }

    /// Registers a pending acknowledgement and returns the packet to send.
    pub(super) fn register(&mut self, Outgoing { packet, ack }: Outgoing) -> String {
        self.waiting.extend(ack);
        packet
    }

    /// Dispatches one event or acknowledgement.
    pub(super) fn dispatch(&mut self, packet: &str) {
        let body = packet.get(2..).unwrap_or_default();
        let array = body.find('[').unwrap_or(body.len());
        let Ok(Value::Array(mut arguments)) = serde_json::from_str(&body[array..]) else { return };
        if packet.starts_with("43") {
            let id = body[..array].parse().ok();
            if let Some(sender) = id.and_then(|id: u64| self.waiting.remove(&id)) {
                let _gone = sender.send(only(arguments));
            }
        } else if packet.starts_with("42")
            && !arguments.is_empty()
            && let Value::String(name) = arguments.remove(0)
        {
            let _gone = self.events.send((name, only(arguments)));
        }
    }
}

/// One argument as itself, none as `null`, several as an array.
fn only(mut arguments: Vec<Value>) -> Value {
    if arguments.len() > 1 { Value::Array(arguments) } else { arguments.pop().unwrap_or_default() }
}
