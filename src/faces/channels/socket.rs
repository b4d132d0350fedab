//! One websocket: the handshake, and the loop that reads and writes it.
//!
//! tungstenite echoes a close frame unchanged, so a browser that closes without a code would report 1005. The replaced servers
//! answered with 1000, which is therefore written here.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{FutureExt as _, SinkExt as _, StreamExt as _};
use hyper::upgrade::OnUpgrade;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};

use super::client::Dialect;
use super::probe::Probe;
use super::send_queue::Item;
use super::{CLOSE_TIMEOUT, Sockets};
use crate::net::{ConnectionHandle, HeartbeatTimer, ServerUrl, Websocket};
use crate::presence::Ending;
use crate::supervise::contained;

/// Largest message from a client, in bytes: enough for the longest text that can be stored, however it is escaped.
const MAX_MESSAGE: usize = 256 << 10;

/// How long a client may take to answer once its person has connected on another socket.
const ANSWER: Duration = Duration::from_millis(2500);

/// Close code when the server stops, unless a dialect has its own.
pub(in crate::faces) const GOING_AWAY: u16 = 1001;

/// A close frame from the server with the code 1000 and no reason.
const CLOSE_1000: [u8; 4] = [0x88, 0x02, 0x03, 0xE8];

type WebSocket = WebSocketStream<Websocket>;

/// A request that wants to become a websocket.
pub(in crate::faces) struct Handshake {
    key: HeaderValue,
    upgrade: OnUpgrade,
    /// Closes its TCP connection.
    pub(in crate::faces) connection_handle: Option<ConnectionHandle>,
    /// URL at which its client reaches this server.
    pub(in crate::faces) server_url: ServerUrl,
}

/// A request that is not a websocket handshake.
#[derive(Debug, Clone, Copy)]
pub(in crate::faces) struct NoHandshake;

impl IntoResponse for NoHandshake {
    fn into_response(self) -> Response {
        (StatusCode::UPGRADE_REQUIRED, "This endpoint accepts websockets only.\n").into_response()
    }
}

impl Handshake {
    /// Reads the request.
    pub(in crate::faces) fn read(request: &mut Request) -> Result<Self, NoHandshake> {
        let headers = request.headers();
        let has = |name: header::HeaderName, wanted: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
            value.split(',').any(|part| part.trim().eq_ignore_ascii_case(wanted))
        };
        let is_handshake = request.method() == Method::GET
            && has(header::CONNECTION, "upgrade")
            && has(header::UPGRADE, "websocket")
            && has(header::SEC_WEBSOCKET_VERSION, "13");
        let key = headers.get(header::SEC_WEBSOCKET_KEY).cloned();
        let (true, Some(key)) = (is_handshake, key) else {
            return Err(NoHandshake);
        };
        let connection_handle = request.extensions().get::<ConnectionHandle>().cloned();
        let server_url = ServerUrl::of(request.headers(), request.extensions());
        match request.extensions_mut().remove::<OnUpgrade>() {
            Some(upgrade) => Ok(Self { key, upgrade, connection_handle, server_url }),
            None => Err(NoHandshake),
        }
    }

    /// Accepts the handshake, and closes with a code at once. A page can see the code only after an accepted handshake.
    pub(in crate::faces) fn close_with(self, sockets: &Sockets, code: u16, reason: &'static str) -> Response {
        self.accept(sockets, move |mut socket| async move { close(&mut socket, code, reason).await })
    }

    /// Accepts the handshake, and serves the socket.
    pub(in crate::faces) fn serve<D: Dialect>(
        self,
        sockets: &Sockets,
        dialect: std::sync::Arc<D>,
        waiting: mpsc::Receiver<Item<D::Deferred>>,
    ) -> Response {
        let (stop, heartbeat) = (sockets.stop.clone(), sockets.heartbeat);
        self.accept(sockets, move |socket| async move {
            let served = stop_or_serve(socket, &*dialect, waiting, stop, HeartbeatTimer::start(heartbeat));
            dialect.client().ended(contained(served).await.unwrap_or(Ending::Broken));
        })
    }

    fn accept<F, W>(self, sockets: &Sockets, serve: F) -> Response
    where
        F: FnOnce(WebSocket) -> W + Send + 'static,
        W: Future<Output = ()> + Send,
    {
        let upgrade = self.upgrade;
        sockets.tasks.spawn(async move {
            let Some(websocket) = Websocket::open(upgrade).await else { return };
            let mut config = WebSocketConfig::default();
            config.read_buffer_size = 4096;
            config.write_buffer_size = 0;
            config.max_message_size = Some(MAX_MESSAGE);
            config.max_frame_size = Some(MAX_MESSAGE);
            serve(WebSocketStream::from_raw_socket(websocket, Role::Server, Some(config)).await).await;
        });
        Websocket::accept(&self.key)
    }
}

async fn stop_or_serve<D: Dialect>(
    mut socket: WebSocket,
    dialect: &D,
    mut waiting: mpsc::Receiver<Item<D::Deferred>>,
    stop: tokio_util::sync::CancellationToken,
    mut timer: HeartbeatTimer,
) -> Ending {
    // Deadline for an answer, after the client's person has connected on another socket.
    let mut answer_by: Option<Instant> = None;
    let mut probe = Probe::new();
    loop {
        let probe_at = if dialect.client().queue.has_unconfirmed() { probe.due() } else { None };
        let due = [answer_by, probe_at].into_iter().flatten().fold(timer.due(), Instant::min);
        let read = tokio::select! {
            item = waiting.recv() => {
                let Some(item) = item else { return Ending::Closed };
                dialect.client().queue.taken(&item);
                let ping_request = if let Item::Ping { must_answer } = item { Some(must_answer) } else { None };
                if let Some(end) = send(&mut socket, dialect, item, &timer).await {
                    return end;
                }
                if let Some(must_answer) = ping_request {
                    if must_answer {
                        answer_by.get_or_insert(Instant::now() + ANSWER);
                    }
                    if !ping(&mut socket, &mut probe, &mut timer, &waiting).await {
                        return Ending::Broken;
                    }
                }
                continue;
            }
            read = socket.next() => read,
            () = sleep_until(due) => {
                let is_silent = answer_by.is_some_and(|by| by <= Instant::now());
                // Data may have arrived in time without having been read yet.
                let unread = if timer.has_expired() || is_silent { socket.next().now_or_never() } else { None };
                match unread {
                    Some(read) => read,
                    None if is_silent => return Ending::Silent,
                    None if timer.has_expired() => {
                        tracing::debug!("A client did not answer a ping");
                        return Ending::Silent;
                    }
                    None => {
                        if !ping(&mut socket, &mut probe, &mut timer, &waiting).await {
                            return Ending::Broken;
                        }
                        continue;
                    }
                }
            }
            () = stop.cancelled() => {
                close(&mut socket, dialect.stop_code(), "The server is shutting down").await;
                return Ending::Closed;
            }
        };
        if matches!(read, Some(Ok(_))) {
            timer.heard();
            answer_by = None;
        }
        match read {
            Some(Ok(Message::Text(text))) if !dialect.client().queue.is_over() => dialect.handle(text.as_str()).await,
            Some(Ok(Message::Close(None))) => {
                answer_bare_close(socket).await;
                return Ending::Closed;
            }
            Some(Ok(Message::Close(Some(_)))) => {
                drain(&mut socket).await;
                return Ending::Closed;
            }
            Some(Ok(Message::Pong(payload))) => {
                if let Some(before) = probe.answered(&payload) {
                    dialect.client().queue.arrived_before(before);
                }
            }
            // tungstenite answers pings.
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                fail(socket, &error).await;
                return Ending::Broken;
            }
            None => return Ending::Broken,
        }
    }
}

/// Sends one item. Returns how the socket ended if it was the last.
async fn send<D: Dialect>(
    socket: &mut WebSocket,
    dialect: &D,
    item: Item<D::Deferred>,
    timer: &HeartbeatTimer,
) -> Option<Ending> {
    let is_sent = match item {
        Item::Frame(text) => write(socket, Message::text(text.as_str()), timer).await,
        Item::Ping { .. } => true,
        Item::AfterResponse(text, release) => {
            // With a timeout, in case the client never reads the response.
            drop(timeout(Duration::from_secs(2), release.cancelled()).await);
            write(socket, Message::text(text.as_str()), timer).await
        }
        Item::Deferred(what) => {
            for text in dialect.load(what).await {
                if !write(socket, Message::text(text), timer).await {
                    return Some(Ending::Broken);
                }
            }
            true
        }
        Item::Close(code, reason) => {
            close(socket, code, reason).await;
            return Some(Ending::Closed);
        }
    };
    (!is_sent).then_some(Ending::Broken)
}

/// Pings the client. The pong proves that it is there and has received everything that was sent before.
async fn ping<L>(
    socket: &mut WebSocket,
    probe: &mut Probe,
    timer: &mut HeartbeatTimer,
    waiting: &mpsc::Receiver<Item<L>>,
) -> bool {
    let now = Instant::now();
    let covers = waiting.is_empty().then_some(now);
    timer.pinged();
    write(socket, probe.ping(covers), timer).await
}

/// Sends a message. Nothing is read meanwhile, so the heartbeat's deadline applies. Returns false if it was not sent.
async fn write(socket: &mut WebSocket, message: Message, timer: &HeartbeatTimer) -> bool {
    matches!(timeout_at(timer.deadline(), socket.send(message)).await, Ok(Ok(())))
}

/// Closes with a code, and waits shortly for the close frame of the client: otherwise the code may be lost with the connection.
async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let frame = CloseFrame { code: CloseCode::from(code), reason: reason.into() };
    if let Ok(Ok(())) = timeout(CLOSE_TIMEOUT, socket.close(Some(frame))).await {
        drain(socket).await;
    }
}

/// Reads to the end. This also sends what tungstenite still has queued.
async fn drain(socket: &mut WebSocket) {
    let rest = async { while let Some(Ok(_)) = socket.next().await {} };
    if timeout(CLOSE_TIMEOUT, rest).await.is_err() {
        tracing::debug!("A client did not close its websocket in time");
    }
}

/// Answers a close frame that has no code.
async fn answer_bare_close(socket: WebSocket) {
    let mut io = socket.into_inner();
    let answer = async {
        io.write_all(&CLOSE_1000).await?;
        io.shutdown().await
    };
    if let Ok(Err(error)) = timeout(CLOSE_TIMEOUT, answer).await {
        tracing::debug!(%error, "A client closed the connection without waiting for the close frame");
    }
}

/// Closes with the code that fits a protocol error.
async fn fail(mut socket: WebSocket, error: &Error) {
    tracing::debug!(%error, "A websocket ended with an error");
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            close(&mut socket, 1009, "The message is too long").await;
        }
        Error::Utf8(_) => close(&mut socket, 1007, "Not UTF-8").await,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {}
        Error::Protocol(_) => close(&mut socket, 1002, "Protocol error").await,
        _ => {}
    }
}
