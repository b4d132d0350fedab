//! Limits the bytes that are queued in memory for websocket clients that do not read: for all connections together and for one
//! person, in addition to each connection's own limit.
//!
//! Bytes count from the moment a client stops reading until everything has been sent, so a client that reads costs nothing. A
//! connection may always have a few bytes queued: many clients that stall for a moment must not be closed because of a few that
//! never read.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::domain::UserId;

/// Bytes that may be queued for all connections of this process.
const ALL: usize = 24 << 20;

/// Bytes that may be queued for all connections of one person.
const PERSON: usize = 8 << 20;

/// Bytes that may be queued for any connection, and do not count towards the other two limits.
const FREE: usize = 64 << 10;

/// The backlog of this process. Static, because all servers in a process share its memory.
static PROCESS: LazyLock<Backlog> = LazyLock::new(Backlog::default);

/// Bytes that are queued beyond [`FREE`].
#[derive(Debug, Default)]
struct Backlog {
    all: AtomicUsize,
    people: Mutex<HashMap<UserId, usize>>,
}

/// The share of one connection in the backlog.
#[derive(Debug, Default)]
pub(super) struct Share(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    bytes: usize,
    /// Bytes that count towards the limit of the process.
    counted: usize,
    /// Bytes that count towards the limit of each person.
    people: Vec<(UserId, usize)>,
}

impl Share {
    /// Counts `bytes` as queued. Returns false, and counts nothing, if that would exceed a limit.
    pub(super) fn admit(&self, person: Option<UserId>, bytes: usize) -> bool {
        self.admit_to(&PROCESS, person, bytes)
    }

    fn admit_to(&self, backlog: &Backlog, person: Option<UserId>, bytes: usize) -> bool {
        let mut waiting = self.waiting();
        let total = waiting.bytes.saturating_add(bytes);
        if total > FREE {
            if !backlog.count(person, bytes) {
                return false;
            }
            waiting.counted += bytes;
            if let Some(person) = person {
                match waiting.people.iter_mut().find(|(counted, _)| *counted == person) {
                    Some((_, sum)) => *sum += bytes,
                    None => waiting.people.push((person, bytes)),
                }
            }
        }
        waiting.bytes = total;
        true
    }

    /// Everything has been sent, or nothing will be sent any more.
    pub(super) fn release(&self) {
        self.release_from(&PROCESS);
    }

    fn release_from(&self, backlog: &Backlog) {
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        if waiting.counted > 0 {
            let released = std::mem::take(&mut *waiting);
            drop(waiting);
            backlog.release(released);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}

impl Backlog {
    fn count(&self, person: Option<UserId>, bytes: usize) -> bool {
        let mut people = self.people();
        let of_person = person.and_then(|person| people.get(&person).copied()).unwrap_or(0);
        if of_person.saturating_add(bytes) > PERSON || self.all.load(Ordering::Relaxed).saturating_add(bytes) > ALL {
            return false;
        }
        self.all.fetch_add(bytes, Ordering::Relaxed);
        if let Some(person) = person {
            people.insert(person, of_person + bytes);
        }
        true
    }

    fn release(&self, released: Waiting) {
        self.all.fetch_sub(released.counted, Ordering::Relaxed);
        let mut people = self.people();
        for (person, bytes) in released.people {
            if let Some(sum) = people.get_mut(&person) {
                *sum = sum.saturating_sub(bytes);
                if *sum == 0 {
                    people.remove(&person);
                }
            }
        }
    }

    fn people(&self) -> MutexGuard<'_, HashMap<UserId, usize>> {
        self.people.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(n: u8) -> UserId {
        UserId::from_bytes([n; 12])
    }

    /// Queues bytes on each connection until they are refused. Returns how many were admitted in total.
    fn fill(backlog: &Backlog, shares: &[(Share, UserId)]) -> usize {
        let mut admitted = 0;
        for (share, person) in shares {
            while share.admit_to(backlog, Some(*person), 16 << 10) {
                admitted += 16 << 10;
            }
        }
        admitted
    }

    fn shares(count: u8, person_of: impl Fn(u8) -> UserId) -> Vec<(Share, UserId)> {
        (0..count).map(|n| (Share::default(), person_of(n))).collect()
    }

    #[test]
    fn the_process_and_each_person_have_a_limit_and_every_connection_has_a_free_allowance() {
        let backlog = Backlog::default();
        let (mine, others) = (shares(100, |_| person(200)), shares(100, person));
        let of_one = fill(&backlog, &mine);
        assert!(of_one > PERSON && of_one <= PERSON + 100 * FREE, "{of_one}");
        let of_all = of_one + fill(&backlog, &others);
        assert!(of_all > ALL && of_all <= ALL + 200 * FREE, "{of_all}");
        let late = Share::default();
        assert!(late.admit_to(&backlog, None, FREE), "a client that stalls for a moment is closed");
        assert!(!late.admit_to(&backlog, None, 1));
        for (share, _) in mine.iter().chain(&others) {
            share.release_from(&backlog);
        }
        assert_eq!(backlog.all.load(Ordering::Relaxed), 0);
        assert!(backlog.people().is_empty());
        assert!(late.admit_to(&backlog, None, 1));
        late.release_from(&backlog);
    }
}
