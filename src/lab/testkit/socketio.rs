//! A Socket.IO client: one websocket or one polling session, spoken by hand, with nothing hidden and nothing retried.
//!
//! A background task answers the server's pings, so one may look away from a [`Client`] for as long as one likes. The
//! load generator shares only [`dial`] with it.

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

/// How long clients wait for the server in a handshake, and for an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Why the client got no further.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is not of the form `http://HOST:PORT`.
    #[error("not an address of the form http://HOST:PORT: {0}")]
    BadUrl(String),
    /// There was no TCP connection.
    #[error("could not connect: {0}")]
    Connect(#[from] std::io::Error),
    /// The websocket failed, or the server refused the upgrade.
    #[error("websocket: {0}")]
    WebSocket(#[source] Box<tungstenite::Error>),
    /// A request failed.
    #[error("HTTP: {0}")]
    Http(String),
    /// The server said something that does not belong here.
    #[error("unexpected from the server: {0}")]
    Unexpected(String),
    /// The connection is closed, and everything that came before has been read.
    #[error("the connection is closed")]
    Closed,
    /// Nothing came in time.
    #[error("nothing came within {0:?}")]
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
    /// The local address, if it matters.
    pub(crate) from: Option<SocketAddr>,
    /// The payload of the Socket.IO CONNECT as JSON; empty for none.
    pub(crate) auth: String,
    /// Bytes of read buffer; 0 for the default.
    pub(crate) buffer: usize,
    /// Bytes that the system may keep for it, unread; 0 for the default.
    pub(crate) receive_buffer: u32,
}

impl Dial {
    /// Bytes of each buffer of a slim connection.
    const SLIM: usize = 1024;

    /// For one of very many: with small buffers of its own, so that they all fit into one process.
    pub(crate) fn slim() -> Self {
        Self { buffer: Self::SLIM, ..Self::default() }
    }
}

/// `HOST:PORT` of `http://HOST:PORT`.
pub(super) fn host_of(url: &str) -> Result<&str, ClientError> {
    let host = url.strip_prefix("http://").map(|host| host.trim_end_matches('/'));
    host.ok_or_else(|| ClientError::BadUrl(url.to_owned()))
}

/// Opens a websocket and goes through both handshakes, Engine.IO's and Socket.IO's, up to the server's `40`.
pub(crate) async fn dial(url: &str, how: &Dial) -> Result<Socket, ClientError> {
    Ok(dial_answered(url, how).await?.0)
}

/// The same, with the server's `40`.
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

/// What a client asks its task to send.
pub(super) struct Outgoing {
    packet: String,
    /// The id of the ack that is wanted, and who waits for it.
    ack: Option<(u64, oneshot::Sender<Value>)>,
}

/// One connected Socket.IO client. Dropping it cuts the connection without a word, as a closed laptop does.
pub struct Client {
    outgoing: mpsc::UnboundedSender<Outgoing>,
    events: Mutex<mpsc::UnboundedReceiver<(String, Value)>>,
    next_ack: AtomicU64,
    connected: Value,
    task: JoinHandle<()>,
}

impl Client {
    /// Connects to the server at `http://HOST:PORT`, up to the point where events can be sent.
    ///
    /// # Errors
    /// [`ClientError`] if there is no connection, or the server refuses it.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        Self::dialled(url, Dial::default()).await
    }

    /// Like [`Client::connect`], with a payload in the handshake, where some dialects carry their token.
    ///
    /// # Errors
    /// [`ClientError`] if there is no connection, or the server refuses it: [`ClientError::Unexpected`] holds its words.
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

    /// As a browser's page connects with the stock client, which shows its `pid` and `offset`; `polls`: by long-polling.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_page(url: &str, shown: &Value, polls: bool) -> Result<Self, ClientError> {
        if polls { Self::polled(url, &shown.to_string()).await } else { Self::connect_with(url, shown).await }
    }

    async fn polled(url: &str, auth: &str) -> Result<Self, ClientError> {
        let (session, answer) = in_time(Polling::open(url, auth)).await?;
        Ok(Self::attended(&answer, |to_send, heard| tokio::spawn(session.attend(to_send, heard))))
    }

    async fn dialled(url: &str, how: Dial) -> Result<Self, ClientError> {
        let (socket, answer) = in_time(dial_answered(url, &how)).await?;
        Ok(Self::attended(&answer, |to_send, heard| tokio::spawn(attend(socket, to_send, heard))))
    }

    fn attended(answer: &str, spawn: impl FnOnce(mpsc::UnboundedReceiver<Outgoing>, Heard) -> JoinHandle<()>) -> Self {
        let connected = answer.strip_prefix("40").and_then(|says| serde_json::from_str(says).ok()).unwrap_or_default();
        let (outgoing, to_send) = mpsc::unbounded_channel();
        let (heard, events) = mpsc::unbounded_channel();
        let task = spawn(to_send, heard);
        Self { outgoing, events: Mutex::new(events), next_ack: AtomicU64::new(0), connected, task }
    }

    /// What the answer to CONNECT says.
    #[must_use]
    pub const fn connected(&self) -> &Value {
        &self.connected
    }

    /// Sends `authenticate` with a bare token, and gives what `authenticated` says, success or not. Events that come
    /// before the answer are dropped.
    ///
    /// # Errors
    /// [`ClientError`] if no answer comes within ten seconds.
    pub async fn authenticate(&self, token: &str) -> Result<Value, ClientError> {
        self.emit("authenticate", token)?;
        self.wait_for("authenticated", PATIENCE).await
    }

    /// Sends an event with one argument, and waits for nothing.
    ///
    /// # Errors
    /// [`ClientError::Closed`] if the connection is known to be closed.
    pub fn emit(&self, event: &str, argument: impl Into<Value>) -> Result<(), ClientError> {
        let packet = format!("42{}", Value::from(vec![Value::from(event), argument.into()]));
        self.outgoing.send(Outgoing { packet, ack: None }).map_err(|_| ClientError::Closed)
    }

    /// Sends an event with one argument and gives the first argument of its ack. Events that come meanwhile are kept.
    ///
    /// # Errors
    /// [`ClientError`] if the connection closes first, or no ack comes within ten seconds.
    pub async fn emit_ack(&self, event: &str, argument: impl Into<Value>) -> Result<Value, ClientError> {
        let id = self.next_ack.fetch_add(1, Ordering::Relaxed);
        let packet = format!("42{id}{}", Value::from(vec![Value::from(event), argument.into()]));
        let (tell, told) = oneshot::channel();
        self.outgoing.send(Outgoing { packet, ack: Some((id, tell)) }).map_err(|_| ClientError::Closed)?;
        match timeout(PATIENCE, told).await {
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

    /// Cuts the connection without a word. Events that came before can still be read, up to [`ClientError::Closed`].
    pub fn cut(&self) {
        self.task.abort();
    }

    /// Whether the connection has gone. Events that came before it went can still be read.
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

/// Where events go.
pub(super) type Heard = mpsc::UnboundedSender<(String, Value)>;

async fn in_time<T>(work: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    timeout(PATIENCE, work).await.unwrap_or(Err(ClientError::TimedOut(PATIENCE)))
}

/// Carries packets both ways until either side is gone.
async fn attend(mut socket: Socket, mut to_send: mpsc::UnboundedReceiver<Outgoing>, heard: Heard) {
    let mut conversation = Conversation::new(heard);
    loop {
        let packet = tokio::select! {
            asked = to_send.recv() => {
                let Some(asked) = asked else { return };
                conversation.ask(asked)
            }
            read = socket.next() => {
                let Some(Ok(message)) = read else { return };
                match message {
                    Message::Text(text) if text.as_str() == "2" => "3".to_owned(),
                    Message::Text(text) if text.starts_with("41") => return,
                    Message::Text(text) => {
                        conversation.hear(text.as_str());
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

/// Who waits for what.
pub(super) struct Conversation {
    heard: Heard,
    waiting: HashMap<u64, oneshot::Sender<Value>>,
}

impl Conversation {
    pub(super) fn new(heard: Heard) -> Self {
        Self { heard, waiting: HashMap::new() }
    }

    /// Notes who waits for an ack, and gives the packet to send.
    pub(super) fn ask(&mut self, Outgoing { packet, ack }: Outgoing) -> String {
        self.waiting.extend(ack);
        packet
    }

    /// Passes one event or ack on to who waits for it.
    pub(super) fn hear(&mut self, packet: &str) {
        let body = packet.get(2..).unwrap_or_default();
        let array = body.find('[').unwrap_or(body.len());
        let Ok(Value::Array(mut arguments)) = serde_json::from_str(&body[array..]) else { return };
        if packet.starts_with("43") {
            let id = body[..array].parse().ok();
            if let Some(tell) = id.and_then(|id: u64| self.waiting.remove(&id)) {
                let _gone = tell.send(only(arguments));
            }
        } else if packet.starts_with("42")
            && !arguments.is_empty()
            && let Value::String(name) = arguments.remove(0)
        {
            let _gone = self.heard.send((name, only(arguments)));
        }
    }
}

/// One argument as itself, none as `null`, several as an array.
fn only(mut arguments: Vec<Value>) -> Value {
    if arguments.len() > 1 { Value::Array(arguments) } else { arguments.pop().unwrap_or_default() }
}
