//! A bound on the memory of responses that their clients have not read yet.
//!
//! A response is in memory until the last byte of it has been written. A client that reads a few kilobytes a minute is slow but
//! alive, so a thousand of them with a large response each would take the memory of the whole machine. Beyond the bound,
//! connections are closed: those of the address with the most unread bytes, oldest first.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::HangUp;

/// Bytes of unread responses that this process keeps.
const ALL: usize = 64 << 20;

/// Smaller responses are not counted: the kernel takes most of them at once.
const SMALL: usize = 64 << 10;

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
    to: IpAddr,
    connection: HangUp,
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

/// A response of so many bytes is about to be written to a connection.
pub(super) fn count(connection: &HangUp, to: IpAddr, bytes: usize) {
    if bytes <= SMALL {
        return;
    }
    let id = UNREAD.last_id.fetch_add(1, Ordering::Relaxed) + 1;
    let before = connection.unread_answer().0.swap(id, Ordering::Relaxed);
    let mut answers = UNREAD.answers.lock();
    answers.remove(&before);
    answers.insert(id, Answer { bytes, to, connection: connection.clone() });
    for slow in beyond(&answers, ALL) {
        if let Some(Answer { connection, .. }) = answers.remove(&slow) {
            tracing::debug!("Closed a connection that reads a large response too slowly, to bound memory");
            connection.now();
        }
    }
}

/// Which answers have to go so that at most so many bytes are left. The newest stays in any case.
fn beyond(answers: &BTreeMap<u64, Answer>, most: usize) -> Vec<u64> {
    let mut total: usize = answers.values().map(|answer| answer.bytes).sum();
    let mut gone = Vec::new();
    if total <= most {
        return gone;
    }
    let mut by_address: HashMap<IpAddr, usize> = HashMap::new();
    for answer in answers.values() {
        *by_address.entry(answer.to).or_default() += answer.bytes;
    }
    let newest = answers.keys().next_back().copied();
    while total > most {
        let left = || answers.iter().filter(|(id, _)| Some(**id) != newest && !gone.contains(*id));
        // Of several with as much, the first: the oldest.
        let Some((id, answer)) = left().rev().max_by_key(|(_, answer)| by_address.get(&answer.to)) else { break };
        total -= answer.bytes;
        by_address.entry(answer.to).and_modify(|bytes| *bytes -= answer.bytes);
        gone.push(*id);
    }
    gone
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn who_has_the_most_unread_loses_the_oldest_first() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = Arc::new(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        let answers = |sizes: &[(u8, usize)]| -> BTreeMap<u64, Answer> {
            let answer = |(host, bytes): &(u8, usize)| Answer {
                bytes: *bytes,
                to: [10, 0, 0, *host].into(),
                connection: HangUp::of(&stream),
            };
            (1..).zip(sizes.iter().map(answer)).collect()
        };
        for (sizes, most, gone) in [
            (&[][..], 10, &[][..]),
            (&[(1, 5), (2, 5)], 10, &[]),
            // A single one may be larger than the bound.
            (&[(1, 50)], 10, &[]),
            (&[(1, 50), (2, 50)], 10, &[1]),
            (&[(1, 4), (2, 3), (2, 3), (3, 1)], 9, &[2]),
            (&[(1, 4), (2, 3), (2, 3), (2, 3), (3, 1)], 6, &[2, 3, 1]),
        ] {
            assert_eq!(beyond(&answers(sizes), most), gone, "{sizes:?}");
        }
    }
}
