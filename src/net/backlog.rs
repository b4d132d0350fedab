//! Bounds on what waits in memory for websocket clients that do not read: of all connections together and of one person,
//! beside the bound that each connection has by itself.
//!
//! What waits is counted from when a client stops taking it until everything was taken, so a client that reads costs nothing
//! of it. A connection may always have a little waiting: many who stall for a moment must not be cut off for a few who never read.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::domain::UserId;

/// Bytes that may wait for all connections of this process.
const ALL: usize = 24 << 20;

/// Bytes that may wait for all connections of one person.
const PERSON: usize = 8 << 20;

/// Bytes that may wait for a connection whatever waits for others.
const FREE: usize = 64 << 10;

/// The memory of a process is one, so its counts are.
static PROCESS: LazyLock<Backlog> = LazyLock::new(Backlog::default);

/// What waits, counted beyond what every connection is free to have.
#[derive(Debug, Default)]
struct Backlog {
    all: AtomicUsize,
    people: Mutex<HashMap<UserId, usize>>,
}

/// The part of one connection.
#[derive(Debug, Default)]
pub(super) struct Share(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    bytes: usize,
    /// Bytes that count towards the bound of all.
    counted: usize,
    /// For whom.
    people: Vec<(UserId, usize)>,
}

impl Share {
    /// Whether so many bytes more may wait; then they count as waiting.
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

    /// Everything was taken, or nothing will be any more.
    pub(super) fn release(&self) {
        self.release_from(&PROCESS);
    }

    fn release_from(&self, backlog: &Backlog) {
        let mut waiting = self.waiting();
        waiting.bytes = 0;
        if waiting.counted > 0 {
            let released = std::mem::take(&mut *waiting);
            drop(waiting);
            backlog.give_back(released);
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

    fn give_back(&self, released: Waiting) {
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

    /// How many bytes wait in all if every one of these is sent pieces until it is refused.
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
    fn all_together_and_one_person_have_a_bound_and_everybody_may_have_a_little() {
        let backlog = Backlog::default();
        let (mine, others) = (shares(100, |_| person(200)), shares(100, person));
        let of_one = fill(&backlog, &mine);
        assert!(of_one > PERSON && of_one <= PERSON + 100 * FREE, "{of_one}");
        let of_all = of_one + fill(&backlog, &others);
        assert!(of_all > ALL && of_all <= ALL + 200 * FREE, "{of_all}");
        let late = Share::default();
        assert!(late.admit_to(&backlog, None, FREE), "somebody who stalls for a moment is cut off");
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
