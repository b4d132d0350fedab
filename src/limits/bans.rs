//! The bans in effect, cached in this process.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::RwLock;
use tokio::sync::watch;

use super::RateLimited;
use crate::domain::{Ban, Banned, Clock, Timestamp, UserId};

/// The client is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("banned: {0}")]
pub struct StillBanned(pub RateLimited);

/// The bans in effect. The store holds them; they are reloaded periodically.
pub struct Bans {
    clock: Arc<dyn Clock>,
    in_force: RwLock<InForce>,
    /// Number of changes so far.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default, PartialEq)]
struct InForce {
    networks: Vec<(IpNet, Timestamp)>,
    people: HashMap<UserId, Timestamp>,
}

impl Bans {
    /// No bans.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, in_force: RwLock::default(), changes: watch::Sender::new(0) }
    }

    /// Replaces the bans. Returns whether they changed.
    pub fn replace(&self, bans: &[Ban]) -> bool {
        let mut new = InForce::default();
        for ban in bans {
            match ban.who {
                Banned::Network(network) => new.networks.push((network, ban.until)),
                Banned::Person(id) => drop(new.people.insert(id, ban.until)),
            }
        }
        let mut in_force = self.in_force.write();
        if *in_force == new {
            return false;
        }
        *in_force = new;
        drop(in_force);
        self.changes.send_modify(|count| *count += 1);
        true
    }

    /// A receiver that is notified of every change.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether any person is banned, as opposed to an address.
    #[must_use]
    pub fn has_people(&self) -> bool {
        !self.in_force.read().people.is_empty()
    }

    /// Checks that a person is not banned.
    ///
    /// # Errors
    /// [`StillBanned`].
    pub fn check_person(&self, id: UserId) -> Result<(), StillBanned> {
        let until = self.in_force.read().people.get(&id).copied();
        self.check(until)
    }

    /// Checks that an address is not banned.
    ///
    /// # Errors
    /// [`StillBanned`].
    pub fn check_address(&self, address: IpAddr) -> Result<(), StillBanned> {
        let in_force = self.in_force.read();
        let address = address.to_canonical();
        let covering = in_force.networks.iter().filter(|(network, _)| network.contains(&address));
        let until = covering.map(|(_, until)| *until).max();
        drop(in_force);
        self.check(until)
    }

    fn check(&self, until: Option<Timestamp>) -> Result<(), StillBanned> {
        let Some(until) = until else { return Ok(()) };
        let left = u64::try_from(until.millis().saturating_sub(self.clock.now().millis())).unwrap_or(0);
        if left == 0 {
            return Ok(());
        }
        Err(StillBanned(RateLimited { retry_after: std::time::Duration::from_millis(left) }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::FixedClock;

    #[test]
    fn a_ban_ends_in_time_and_applies_to_nobody_else() {
        let clock = Arc::new(FixedClock::at(Timestamp::from_millis(0)));
        let bans = Bans::new(clock.clone());
        let mut changes = bans.changes();
        let (ann, bob) = (UserId::from_bytes([1; 12]), UserId::from_bytes([2; 12]));
        let until = Timestamp::from_millis(10_000);
        let all: Vec<_> = ["192.0.2.0/24", "2001:db8:1:2::/64"].map(|text| text.parse().unwrap()).to_vec();
        let all = all.into_iter().chain([Banned::Person(ann)]).map(|who| Ban { who, until }).collect::<Vec<_>>();
        assert!(bans.replace(&all) && changes.has_changed().unwrap());
        changes.mark_unchanged();
        assert!(!bans.replace(&all) && !changes.has_changed().unwrap(), "nothing is new");
        clock.advance(Duration::from_secs(4));
        let left = Err(StillBanned(Duration::from_secs(6).into()));
        for banned in ["192.0.2.9", "::ffff:192.0.2.9", "2001:db8:1:2::9"] {
            assert_eq!(bans.check_address(banned.parse().unwrap()), left, "{banned}");
        }
        assert_eq!(bans.check_address("192.0.3.9".parse().unwrap()), Ok(()));
        assert_eq!((bans.check_person(ann), bans.check_person(bob)), (left, Ok(())));
        clock.advance(Duration::from_secs(6));
        assert_eq!(bans.check_person(ann), Ok(()));
        assert_eq!(bans.check_address("192.0.2.9".parse().unwrap()), Ok(()));
    }
}
