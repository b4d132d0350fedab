//! From a socket to a request: the accept loop, with the limits that plain `axum::serve` lacks.
//!
//! A connection whose request head or body is late is closed. The kernel closes a connection whose peer acknowledges nothing, this
//! module one whose peer reads too slowly. A request's [`ConnectionHandle`] can close its connection at once.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use futures_util::FutureExt as _;
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::limits::Source;

mod backlog;
mod bans;
mod body;
mod caching;
mod client_address;
mod client_frames;
mod client_mark;
mod compact;
mod connection_handle;
mod cookies;
mod cors;
mod event_names;
mod head;
mod heartbeat;
mod line_ends;
mod origin;
mod pass_on;
mod pings;
mod refusal;
mod rewrite;
mod server_frames;
mod server_url;
mod slow_peer;
mod stream;
mod unread_responses;
mod websocket;

pub use bans::{BanEnforcer, Closable};
pub use body::BodyDeadline;
use caching::forbid_caching;
pub use client_address::{ClientAddress, TrustedProxies};
use client_address::{Front, find_address};
pub use client_mark::ClientMark;
use compact::compact_head;
pub use connection_handle::ConnectionHandle;
pub use cookies::cookie_value;
use cors::{cors, is_preflight, set_no_content};
pub use event_names::EventNames;
pub use heartbeat::{Heartbeat, HeartbeatTimer};
pub use origin::{ClientUrl, ClientUrlError, Origins};
pub use pass_on::pass_on;
pub use refusal::{refusal, retry_later};
pub use server_url::{PublicUrl, PublicUrlError, ServerUrl};
use stream::TrackedStream;
use websocket::Guard;
pub use websocket::Websocket;

/// How long a client may take to send a request's head, also the first one of a connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes; the response to a larger one is 431. Bodies are read in chunks of that size.
const HEAD: usize = 32 << 10;

/// How long bytes may stay unacknowledged before the kernel closes the connection.
const PEER_TIMEOUT: Duration = Duration::from_secs(20);

/// Unsent bytes that the kernel may buffer. More would cost memory, and hide that the peer does not read.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

/// Connections that the kernel may queue until they are accepted. It lowers the number to its own limit, by default 4096 on Linux.
const QUEUE: u32 = 8192;

/// Delay after an error of `accept`, such as when the process has no file descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How many connections may be open at once.
const MAX_CONNECTIONS: usize = 100_000;

/// Listens on an address. [`TcpListener::bind`] has a shorter queue, which a few thousand clients that reconnect at once overflow; each of
/// them then waits a second or more before the kernel tries again.
///
/// # Errors
/// If the address cannot be used.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As `bind` does: otherwise, a restart fails while connections of the previous process linger in the kernel.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// Accepts connections until `stop`, then returns. Open connections continue, as tasks of `tasks`.
pub async fn serve(listener: &TcpListener, router: Router, stop: CancellationToken, tasks: TaskTracker) {
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accept = async {
            // The semaphore is never closed, so this cannot fail.
            let permit = permits.clone().acquire_owned().await.ok();
            listener.accept().await.map(|(stream, peer)| (stream, peer, permit))
        };
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = accept => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                if let Err(error) = set_options(&stream) {
                    tracing::debug!(%error, "Could not set up a connection");
                    continue;
                }
                // The token makes `tasks.wait()` also wait for the last frames of websockets.
                let stream = TrackedStream::new(stream, (permit, tasks.token()));
                tasks.spawn(serve_connection(stream, peer, router.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "Could not accept a connection");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
}

/// Serves the requests of one connection.
async fn serve_connection(stream: TrackedStream<Guard>, peer: SocketAddr, router: Router, stop: CancellationToken) {
    let connection_handle = stream.connection_handle();
    let service = service_fn(move |request| {
        let (router, connection_handle) = (router.clone(), connection_handle.clone());
        respond(router, connection_handle, peer, request).map(Ok::<_, Infallible>)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(64)
        .max_buf_size(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "A connection ended with an error");
    }
}

/// Adds the layers that all requests pass before they reach a face. `pages`: origins that may use the server; `proxies`: those whose
/// headers about clients are trusted; `public_urls`: the URLs that links in responses begin with.
///
/// # Errors
/// If an origin is not a valid header value.
pub fn add_layers(
    router: Router,
    pages: &Origins,
    proxies: TrustedProxies,
    public_urls: &[PublicUrl],
) -> anyhow::Result<Router> {
    let front = Front { proxies, public_urls: public_urls.into() };
    Ok(router.layer(cors(pages)?).layer(middleware::from_fn_with_state(front, prepare)))
}

/// Determines the client's address, copies the request's head if it may be held for long, and completes the response. A single layer,
/// because a request that waits holds memory for each layer that it has passed.
fn prepare(
    State(front): State<Front>,
    mut request: axum::extract::Request,
    next: Next,
) -> impl Future<Output = Response> + Send {
    find_address(&front, &mut request);
    compact_head(&mut request);
    let is_preflight = is_preflight(&request);
    let client = ClientAddress::of(request.extensions());
    let responding = pass_on(request, next);
    async move {
        let mut response = responding.await;
        response.extensions_mut().insert(client);
        if is_preflight {
            set_no_content(&mut response);
        } else {
            forbid_caching(&mut response);
        }
        response
    }
}

/// Serves one request. The future does not hold the request, which would cost memory while it waits.
fn respond(
    mut router: Router,
    connection_handle: ConnectionHandle,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> impl Future<Output = Response> + Send {
    let checked = if connection_handle.has_bare_lf() {
        Err("A line of the request ends with a bare LF")
    } else {
        head::checked(request)
    };
    let started = checked.map(|request| {
        let (mut parts, body) = request.into_parts();
        let (body, deadline) = body::timed(body);
        parts.extensions.insert(ConnectInfo(peer));
        parts.extensions.insert(connection_handle.clone());
        if let Some(deadline) = &deadline {
            parts.extensions.insert(deadline.clone());
        }
        // A router is always ready.
        (router.call(Request::from_parts(parts, body)), deadline)
    });
    async move {
        let (responding, deadline) = match started {
            Ok(started) => started,
            Err(why) => return head::bad_request(why),
        };
        let response = responding.await.unwrap_or_else(|never| match never {});
        if deadline.is_some_and(|deadline| deadline.has_passed()) {
            return head::too_slow();
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            connection_handle.leave_http();
        } else if let Some(bytes) = response.body().size_hint().exact() {
            let client = response.extensions().get::<ClientAddress>();
            let to = client.map_or_else(|| Source::of(peer.ip()), ClientAddress::source);
            unread_responses::count(&connection_handle, to, usize::try_from(bytes).unwrap_or(usize::MAX));
        }
        response
    }
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // Otherwise, a dead peer would hold its buffers and its file descriptor for many minutes.
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(Some(PEER_TIMEOUT))?;
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}
