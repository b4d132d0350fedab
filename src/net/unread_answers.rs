//! A bound on the memory of responses that their clients have not read yet.
//!
//! A response is in memory until the last byte of it has been written. A client that reads a few kilobytes a minute is slow but
//! alive, so a thousand of them with a large response each would take the memory of the whole machine. Beyond the bound,
//! connections that are not being read are closed: those of the address with the most unread bytes, oldest first. Those that are
//! being read may take a quarter more.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::ConnectionHandle;
use crate::limits::Source;

/// Bytes of unread responses that this process keeps. Beyond, clients that do not read are given up.
const ALL: usize = 48 << 20;

/// Beyond this, also clients that read.
const AT_MOST: usize = ALL + ALL / 4;

/// Smaller responses are not counted: the kernel takes most of them at once.
const SMALL: usize = 64 << 10;

/// A connection that has taken nothing for so long is not being read. The kernel takes up to 128 KiB ahead of the client, and
/// more only once half of that is sent, so this is a client of fewer than about 20 KiB a second.
const NOT_READ: Duration = Duration::from_secs(3);

/// The memory of a process is one, so its count is.
static UNREAD: LazyLock<Unread> = LazyLock::new(Unread::default);

#[derive(Debug, Default)]
struct Unread {
    /// By the order in which they came.
    answers: Mutex<BTreeMap<u64, Answer>>,
    last_id: AtomicU64,
}

#[derive(Debug)]
struct Answer {
    bytes: usize,
    to: Source,
    connection: ConnectionHandle,
}

/// An answer at this moment.
#[derive(Debug)]
struct Held {
    id: u64,
    bytes: usize,
    to: Source,
    /// How long its client has taken nothing of it.
    idle: Duration,
}

impl Held {
    fn is_read(&self) -> bool {
        self.idle < NOT_READ
    }
}

/// What a connection has of [`UNREAD`]: the id of its answer, or zero.
#[derive(Debug, Default)]
pub(super) struct UnreadAnswer(AtomicU64);

impl UnreadAnswer {
    /// Everything was written, or nothing will be any more.
    pub(super) fn release(&self) {
        if self.0.load(Ordering::Relaxed) != 0 {
            UNREAD.answers.lock().remove(&self.0.swap(0, Ordering::Relaxed));
        }
    }
}

/// A response of so many bytes to this client is about to be written to a connection.
pub(super) fn count(connection: &ConnectionHandle, to: Source, bytes: usize) {
    if bytes <= SMALL {
        return;
    }
    let id = UNREAD.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    let before = connection.unread_answer().0.swap(id, Ordering::Relaxed);
    let mut answers = UNREAD.answers.lock();
    answers.remove(&before);
    answers.insert(id, Answer { bytes, to, connection: connection.clone() });
    if answers.values().map(|answer| answer.bytes).sum::<usize>() <= ALL {
        return;
    }
    let held = |(id, answer): (&u64, &Answer)| Held {
        id: *id,
        bytes: answer.bytes,
        to: answer.to,
        idle: answer.connection.idle(),
    };
    let held: Vec<Held> = answers.iter().map(held).collect();
    for slow in beyond(&held, ALL, AT_MOST) {
        if let Some(Answer { connection, .. }) = answers.remove(&slow) {
            tracing::debug!("Closed a connection that reads a large response too slowly, to bound memory");
            connection.abort();
        }
    }
}

/// Which answers have to go so that at most `most` bytes are left, or `at_most` where all of them are being read. The newest
/// stays in any case.
fn beyond(held: &[Held], most: usize, at_most: usize) -> Vec<u64> {
    let mut total: usize = held.iter().map(|answer| answer.bytes).sum();
    let mut gone = Vec::new();
    if total <= most {
        return gone;
    }
    let mut by_address: HashMap<Source, usize> = HashMap::new();
    for answer in held {
        *by_address.entry(answer.to).or_default() += answer.bytes;
    }
    let older = held.split_last().map_or(held, |(_, older)| older);
    while total > most {
        let may_go = |answer: &&Held| !gone.contains(&answer.id) && (total > at_most || !answer.is_read());
        // Of those that are read, the one that takes the least. Of several alike, the first: the oldest.
        let order = |answer: &&Held| (!answer.is_read(), by_address.get(&answer.to), answer.idle.min(NOT_READ));
        let Some(answer) = older.iter().filter(may_go).rev().max_by_key(order) else { break };
        total -= answer.bytes;
        by_address.entry(answer.to).and_modify(|bytes| *bytes -= answer.bytes);
        gone.push(answer.id);
    }
    gone
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::extract::{ConnectInfo, Request};
    use tower::ServiceExt as _;

    use super::*;
    use crate::net::{ClientAddress, Origins, TrustedProxies, in_front};

    /// Answers by the last byte of the address, their sizes, and seconds without progress.
    fn gone(answers: &[(u8, usize, u64)], most: usize, at_most: usize) -> Vec<u64> {
        let held = |(id, (host, bytes, idle)): (u64, &(u8, usize, u64))| Held {
            id,
            bytes: *bytes,
            to: Source::of([10, 0, 0, *host].into()),
            idle: Duration::from_secs(*idle),
        };
        beyond(&(1..).zip(answers).map(held).collect::<Vec<_>>(), most, at_most)
    }

    #[test]
    fn who_has_the_most_unread_loses_the_oldest_first() {
        for (answers, most, expected) in [
            (&[][..], 10, &[][..]),
            (&[(1, 5, 9), (2, 5, 9)], 10, &[]),
            // A single one may be larger than the bound.
            (&[(1, 50, 9)], 10, &[]),
            (&[(1, 50, 9), (2, 50, 9)], 10, &[1]),
            (&[(1, 4, 9), (2, 3, 7), (2, 3, 9), (3, 1, 9)], 9, &[2]),
            (&[(1, 4, 9), (2, 3, 9), (2, 3, 9), (2, 3, 9), (3, 1, 9)], 6, &[2, 3, 1]),
        ] {
            assert_eq!(gone(answers, most, 2 * most), expected, "{answers:?}");
        }
    }

    #[test]
    fn what_is_being_read_stays_up_to_a_larger_bound() {
        let nine = [(1, 8, 0); 9];
        assert!(gone(&nine, 64, 128).is_empty());
        // Whoever does not read goes first, whatever others have.
        assert_eq!(gone(&[(1, 8, 0), (1, 8, 1), (2, 4, 9), (1, 8, 0)], 20, 40), [3]);
        assert_eq!(gone(&[(1, 8, 0), (1, 8, 1), (2, 4, 9), (1, 8, 0)], 8, 20), [3, 2]);
    }

    #[tokio::test]
    async fn a_response_knows_its_client_behind_a_proxy() {
        let proxies = TrustedProxies::new(&["192.0.2.0/24".parse().unwrap()]);
        let router = in_front(Router::new(), &Origins::new(&[], &[]), proxies, &[]).unwrap();
        let mut request = Request::new(Body::empty());
        request.headers_mut().insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
        request.extensions_mut().insert(ConnectInfo(std::net::SocketAddr::from(([192, 0, 2, 1], 1))));
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(ClientAddress::of(response.extensions()).ip().to_string(), "198.51.100.7");
    }
}
