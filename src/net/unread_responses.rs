//! Limits the memory of responses that their clients have not read yet.
//!
//! A response is in memory until its last byte has been written. A client that reads a few kilobytes a minute is slow but alive, so
//! a thousand of them with a large response each would exhaust the memory of the machine. Beyond the limit, connections that are not
//! being read are closed: those of the address with the most unread bytes first, the oldest first. Responses that are being read may
//! take a quarter more.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::ConnectionHandle;
use crate::limits::Source;

/// Bytes of unread responses beyond which connections that are not being read are closed.
const ALL: usize = 48 << 20;

/// Bytes of unread responses beyond which any connection is closed.
const AT_MOST: usize = ALL + ALL / 4;

/// Smaller responses are not counted: the kernel accepts most of them at once.
const SMALL: usize = 64 << 10;

/// A connection without progress for so long is not being read. The kernel accepts up to 128 KiB ahead of the client, and more only
/// once half of that is sent, so this is a client that reads less than about 20 KiB a second.
const NOT_READ: Duration = Duration::from_secs(3);

/// The unread responses of this process. Static, because all servers in a process share its memory.
static UNREAD: LazyLock<Unread> = LazyLock::new(Unread::default);

#[derive(Debug, Default)]
struct Unread {
    /// By id, oldest first.
    responses: Mutex<BTreeMap<u64, Pending>>,
    last_id: AtomicU64,
}

#[derive(Debug)]
struct Pending {
    bytes: usize,
    to: Source,
    connection: ConnectionHandle,
}

/// A response, as the choice of those to close needs it.
#[derive(Debug)]
struct Candidate {
    id: u64,
    bytes: usize,
    to: Source,
    /// How long its client has made no progress.
    idle: Duration,
}

impl Candidate {
    fn is_read(&self) -> bool {
        self.idle < NOT_READ
    }
}

/// The entry of a connection in [`UNREAD`]: the id of its response, or zero.
#[derive(Debug, Default)]
pub(super) struct UnreadResponse(AtomicU64);

impl UnreadResponse {
    /// Everything has been written, or nothing will be written any more.
    pub(super) fn release(&self) {
        if self.0.load(Ordering::Relaxed) != 0 {
            UNREAD.responses.lock().remove(&self.0.swap(0, Ordering::Relaxed));
        }
    }
}

/// Counts a response of so many bytes, before it is written to a connection. Closes connections if there are too many unread bytes.
pub(super) fn count(connection: &ConnectionHandle, to: Source, bytes: usize) {
    if bytes <= SMALL {
        return;
    }
    let id = UNREAD.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    let before = connection.unread_response().0.swap(id, Ordering::Relaxed);
    let mut responses = UNREAD.responses.lock();
    responses.remove(&before);
    responses.insert(id, Pending { bytes, to, connection: connection.clone() });
    let total = responses.values().map(|response| response.bytes).sum();
    if total <= ALL {
        return;
    }
    let candidate = |(id, response): (&u64, &Pending)| Candidate {
        id: *id,
        bytes: response.bytes,
        to: response.to,
        idle: response.connection.idle(),
    };
    let candidates: Vec<Candidate> = responses.iter().map(candidate).collect();
    for slow in to_close(&candidates, total, ALL, AT_MOST) {
        if let Some(Pending { connection, .. }) = responses.remove(&slow) {
            tracing::debug!("Closed a connection that reads a large response too slowly, to bound memory");
            connection.abort();
        }
    }
}

/// The ids of the responses to close so that of their `total` bytes at most `most` remain, or `at_most` if all of them are being read.
/// The newest one always remains.
fn to_close(responses: &[Candidate], mut total: usize, most: usize, at_most: usize) -> Vec<u64> {
    let mut closed = Vec::new();
    let mut by_address: HashMap<Source, usize> = HashMap::new();
    for response in responses {
        *by_address.entry(response.to).or_default() += response.bytes;
    }
    let older = responses.split_last().map_or(responses, |(_, older)| older);
    while total > most {
        let may_close =
            |response: &&Candidate| !closed.contains(&response.id) && (total > at_most || !response.is_read());
        // Among those that are being read, the one without progress for longest. `rev` and `max_by_key` prefer the oldest of equals.
        let order =
            |response: &&Candidate| (!response.is_read(), by_address.get(&response.to), response.idle.min(NOT_READ));
        let Some(response) = older.iter().filter(may_close).rev().max_by_key(order) else { break };
        total -= response.bytes;
        by_address.entry(response.to).and_modify(|bytes| *bytes -= response.bytes);
        closed.push(response.id);
    }
    closed
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::{ConnectInfo, Request};
    use tower::ServiceExt as _;

    use super::*;
    use crate::net::{ClientAddress, Origins, TrustedProxies, add_layers};

    /// Each response: the last byte of its client's address, its size, and seconds without progress.
    fn closed(responses: &[(u8, usize, u64)], most: usize, at_most: usize) -> Vec<u64> {
        let candidate = |(id, (host, bytes, idle)): (u64, &(u8, usize, u64))| Candidate {
            id,
            bytes: *bytes,
            to: Source::of([10, 0, 0, *host].into()),
            idle: Duration::from_secs(*idle),
        };
        let total = responses.iter().map(|(_, bytes, _)| bytes).sum();
        to_close(&(1..).zip(responses).map(candidate).collect::<Vec<_>>(), total, most, at_most)
    }

    #[test]
    fn the_address_with_the_most_unread_bytes_loses_its_oldest_response_first() {
        for (responses, most, expected) in [
            (&[][..], 10, &[][..]),
            (&[(1, 5, 9), (2, 5, 9)], 10, &[]),
            // A single one may be larger than the limit.
            (&[(1, 50, 9)], 10, &[]),
            (&[(1, 50, 9), (2, 50, 9)], 10, &[1]),
            (&[(1, 4, 9), (2, 3, 7), (2, 3, 9), (3, 1, 9)], 9, &[2]),
            (&[(1, 4, 9), (2, 3, 9), (2, 3, 9), (2, 3, 9), (3, 1, 9)], 6, &[2, 3, 1]),
        ] {
            assert_eq!(closed(responses, most, 2 * most), expected, "{responses:?}");
        }
    }

    #[test]
    fn responses_that_are_being_read_have_a_larger_limit() {
        let nine = [(1, 8, 0); 9];
        assert!(closed(&nine, 64, 128).is_empty());
        // A client that does not read is closed first, even if another address has more unread bytes.
        assert_eq!(closed(&[(1, 8, 0), (1, 8, 1), (2, 4, 9), (1, 8, 0)], 20, 40), [3]);
        assert_eq!(closed(&[(1, 8, 0), (1, 8, 1), (2, 4, 9), (1, 8, 0)], 8, 20), [3, 2]);
    }

    #[tokio::test]
    async fn a_response_knows_its_client_behind_a_proxy() {
        let proxies = TrustedProxies::new(&["192.0.2.0/24".parse().unwrap()]);
        let router = add_layers(Router::new(), &Origins::new(&[], &[]), proxies, &[]).unwrap();
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
        request.extensions_mut().insert(ConnectInfo(std::net::SocketAddr::from(([192, 0, 2, 1], 1))));
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(ClientAddress::of(response.extensions()).ip().to_string(), "198.51.100.7");
    }
}
