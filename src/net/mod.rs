//! From a socket to a request: the accept loop, with the bounds that a bare `axum::serve` lacks.
//!
//! A connection that sends no request head, or no body, in time is closed; a peer that takes no bytes is given up by the kernel,
//! one that takes next to none by us; and whoever holds a request's [`ConnectionHandle`] can end its connection at once.

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
use hyper::Request;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

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
mod patience;
mod refusal;
mod rewrite;
mod server_frames;
mod server_url;
mod stream;
mod unread_answers;

pub use bans::{Closable, ShutOut};
pub use body::BodyDeadline;
use caching::forbid_caching;
pub use client_address::{ClientAddress, TrustedProxies};
use client_address::{Front, find_address};
pub use client_mark::ClientMark;
use compact::compact_head;
pub use connection_handle::ConnectionHandle;
pub use cookies::cookie_value;
use cors::{cors, is_preflight, leave_out_content};
pub use event_names::EventNames;
pub use heartbeat::{Heartbeat, Pulse};
pub use origin::{ClientUrl, ClientUrlError, Origins};
pub use refusal::{refusal, retry_later};
pub use server_url::{PublicUrl, PublicUrlError, ServerUrl};
use stream::TrackedStream;

/// How long a client may take to send a request's head, also the first one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes: 431 beyond. Bodies are read in pieces of that size.
const HEAD: usize = 32 << 10;

/// How long bytes may stay unacknowledged before the kernel gives the peer up.
const PEER_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes that may wait in the kernel until they can be sent: more would count as taken by the peer, and cost memory.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 << 10;

/// How long to wait before accepting again when the process has no descriptor left.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(100);

/// How many connections may be open at once.
const CONNECTIONS: usize = 100_000;

/// Accepts connections until `stop`, then returns; connections that are being served go on, as tasks of `tasks`.
pub async fn serve(listener: &TcpListener, router: Router, stop: CancellationToken, tasks: TaskTracker) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accept = async {
            // Never closed, so there is always a permit in the end.
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
                // Whoever waits for the tasks waits for the last frames of websockets, too.
                let stream = TrackedStream::new(stream, (permit, tasks.token()));
                tasks.spawn(serve_connection(stream, peer, router.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "Could not accept a connection");
                tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
            }
        }
    }
}

/// Serves the requests of one connection.
async fn serve_connection<G: Send + Unpin + 'static>(
    stream: TrackedStream<G>,
    peer: SocketAddr,
    router: Router,
    stop: CancellationToken,
) {
    let connection_handle = stream.connection_handle();
    let service = service_fn(move |request| {
        let (router, connection_handle) = (router.clone(), connection_handle.clone());
        async move { Ok::<_, Infallible>(answer(router, connection_handle, peer, request).await) }
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

/// What all requests pass before they get to a face: these pages may use the server, these proxies say for whom they ask, and links in
/// answers begin with one of these addresses.
///
/// # Errors
/// If an address of a page cannot be one.
pub fn in_front(
    router: Router,
    pages: &Origins,
    proxies: TrustedProxies,
    public_urls: &[PublicUrl],
) -> anyhow::Result<Router> {
    let front = Front { proxies, public_urls: public_urls.into() };
    Ok(router.layer(cors(pages)?).layer(middleware::from_fn_with_state(front, prepare)))
}

/// Finds out where a request comes from, also for the response, copies its head if it may stay for long, and completes the response. One layer, because a
/// request that waits holds memory for each layer that it has passed.
async fn prepare(State(front): State<Front>, mut request: axum::extract::Request, next: Next) -> Response {
    find_address(&front, &mut request);
    compact_head(&mut request);
    let is_preflight = is_preflight(&request);
    let client = ClientAddress::of(request.extensions());
    let mut response = next.run(request).await;
    response.extensions_mut().insert(client);
    if is_preflight {
        leave_out_content(&mut response);
    } else {
        forbid_caching(&mut response);
    }
    response
}

/// Answers one request.
async fn answer(
    router: Router,
    connection_handle: ConnectionHandle,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response {
    if connection_handle.has_bare_lf() {
        return head::bad_request("A line of the request ends with a bare LF");
    }
    let (mut parts, body) = match head::checked(request) {
        Ok(request) => request.into_parts(),
        Err(why) => return head::bad_request(why),
    };
    let (body, deadline) = body::timed(body);
    parts.extensions.insert(ConnectInfo(peer));
    parts.extensions.insert(connection_handle.clone());
    if let Some(deadline) = &deadline {
        parts.extensions.insert(deadline.clone());
    }
    let response = router.oneshot(Request::from_parts(parts, body)).await.unwrap_or_else(|never| match never {});
    if deadline.is_some_and(|deadline| deadline.has_passed()) {
        return head::too_slow();
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        connection_handle.leave_http();
    } else if let Some(bytes) = response.body().size_hint().exact() {
        let client = response.extensions().get::<ClientAddress>();
        let to = client.map_or_else(|| Source::of(peer.ip()), ClientAddress::source);
        unread_answers::count(&connection_handle, to, usize::try_from(bytes).unwrap_or(usize::MAX));
    }
    response
}

fn set_options(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    // A peer that stops reading would otherwise keep its buffers, and its descriptor, for many minutes.
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(Some(PEER_TIMEOUT))?;
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)?;
    Ok(())
}
