//! Checks the rights of open connections again when a token expires or an account changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::connect::{Authenticated, revoke_connection};
use crate::desk::Desk;
use crate::desk::failure_log::FailureLog;
use crate::domain::{AccountStatus, ConnectionId, Members, Person, Sessions, Timestamp, TokenStamp, User, UserId};
use crate::presence::{Connection, Revoked};
use crate::store::{MAX_PAGE, StoreError};

/// How often everybody's rights are looked at: a change made elsewhere takes effect within this time.
const PERIOD: Duration = Duration::from_millis(500);

/// Which connections end when.
pub(in crate::desk) struct Expiries {
    queue: Mutex<Queue>,
    /// Accounts could not be looked at again.
    failures: FailureLog,
    ban_failures: FailureLog,
}

impl Default for Expiries {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            failures: FailureLog::new("recheck accounts"),
            ban_failures: FailureLog::new("reload bans"),
        }
    }
}

/// When, and a number that tells it from others of that time.
type Place = (Timestamp, u64);

#[derive(Default)]
struct Queue {
    by_time: BTreeMap<Place, (UserId, Weak<dyn Connection>)>,
    places: HashMap<ConnectionId, (Place, Option<TokenStamp>)>,
    next: u64,
}

impl Expiries {
    pub(in crate::desk) fn add(&self, who: &Authenticated, connection: &Arc<dyn Connection>) {
        let mut queue = self.queue();
        queue.next += 1;
        let place = (who.expires_at, queue.next);
        if let Some((old, _)) = queue.places.insert(connection.id(), (place, who.token)) {
            queue.by_time.remove(&old);
        }
        queue.by_time.insert(place, (who.person.id, Arc::downgrade(connection)));
    }

    pub(in crate::desk) fn remove(&self, connection: ConnectionId) {
        let mut queue = self.queue();
        if let Some((place, _)) = queue.places.remove(&connection) {
            queue.by_time.remove(&place);
        }
    }

    fn take_due(&self, now: Timestamp) -> Vec<(UserId, Arc<dyn Connection>)> {
        let mut queue = self.queue();
        let later = queue.by_time.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut queue.by_time, later);
        due.into_values().filter_map(|(user, connection)| Some((user, connection.upgrade()?))).collect()
    }

    /// Those of these connections whose token does not count any more.
    fn ended(&self, sessions: &Sessions, mut connections: Vec<Arc<dyn Connection>>) -> Vec<Arc<dyn Connection>> {
        let queue = self.queue();
        let token = |id| queue.places.get(&id).and_then(|(_, token)| token.as_ref());
        connections.retain(|connection| token(connection.id()).is_some_and(|token| !sessions.accepts(token)));
        connections
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock()
    }
}

impl Desk {
    /// To be called when an account was changed or deleted by this process: takes effect at once.
    pub async fn account_changed(&self, id: UserId) {
        self.0.directory.forget(id).await;
        self.judge(&[id]).await;
    }

    pub(in crate::desk) async fn revalidate(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        // Whether guests have to be looked at because of a ban.
        let mut are_guests_due = true;
        loop {
            tick.tick().await;
            are_guests_due |= self.read_bans().await;
            if are_guests_due && self.0.accounts.bans().has_people() {
                are_guests_due = self.revoke_guests().await.is_err();
            }
            for (user, connection) in self.0.expiries.take_due(self.0.clock.now()) {
                revoke_connection(user, &*connection, Revoked::TokenExpired);
            }
            let present: Vec<UserId> = self.0.presence.everybody().iter().map(|person| person.id).collect();
            for ids in present.chunks(MAX_PAGE) {
                self.judge(ids).await;
            }
        }
    }

    /// Reads from the store who is shut out for a time, and tells whether that has changed. If it cannot be read, the bans that were
    /// read last go on to hold.
    pub async fn read_bans(&self) -> bool {
        let read = self.0.stores.bans.bans(self.0.clock.now()).await;
        let mut has_changed = false;
        let read = read.map(|bans| has_changed = self.0.accounts.bans().replace(&bans));
        self.0.expiries.ban_failures.note(&read);
        has_changed
    }

    /// Closes the connections that were let in by the name of a conversation alone, whose customer is shut out now.
    async fn revoke_guests(&self) -> Result<(), StoreError> {
        for conversation in self.0.presence.guests_are_in() {
            let Some(conversation) = self.0.directory.conversation(conversation).await? else { continue };
            let Members::Support { customer } = conversation.members else { continue };
            if self.0.accounts.bans().check_person(customer).is_err() {
                for connection in self.0.presence.guests_of(conversation.id) {
                    revoke_connection(customer, &*connection, Revoked::Blocked);
                }
            }
        }
        Ok(())
    }

    /// Compares those who are there with their accounts as they are now.
    async fn judge(&self, ids: &[UserId]) {
        let mut accounts = HashMap::new();
        let looked = self.0.stores.users.users(ids).await;
        let looked = looked.map(|users| accounts.extend(users.into_iter().map(|user| (user.id, user))));
        if !self.0.expiries.failures.note(&looked) {
            return;
        }
        for id in ids {
            let Some(person) = self.0.presence.person(*id) else { continue };
            let is_banned = self.0.accounts.bans().check_person(*id).is_err();
            let reason = lost(&person, accounts.get(id)).or(is_banned.then_some(Revoked::Blocked));
            if let Some(reason) = reason {
                self.0.directory.forget(*id).await;
                self.revoke(*id, reason);
                continue;
            }
            let Some(sessions) = accounts.get(id).map(|user| &user.sessions).filter(|ended| ended.any()) else {
                continue;
            };
            for connection in self.0.expiries.ended(sessions, self.0.presence.connections(*id)) {
                revoke_connection(*id, &*connection, Revoked::SessionEnded);
            }
        }
    }
}

fn lost(person: &Person, account: Option<&User>) -> Option<Revoked> {
    match account {
        None => Some(Revoked::Deleted),
        Some(user) if user.status != AccountStatus::Active => Some(Revoked::Blocked),
        Some(user) if user.role != person.role => Some(Revoked::RoleChanged),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::accounts::testing::Fixture;
    use crate::desk::DeskSettings;
    use crate::domain::{Ban, Banned, Clock as _, Role, TokenDigest};
    use crate::presence::testing::Recorder;
    use crate::store::{SessionsChange, UserChange};

    /// Somebody is there, and the time stands still unless it is waited for.
    async fn scene() -> (Fixture, Desk, UserId, Arc<Recorder>) {
        let fixture = Fixture::new();
        let (accounts, clock) = (fixture.accounts.clone(), fixture.clock.clone());
        let desk = Desk::open(fixture.stores.clone(), accounts, clock, DeskSettings::default());
        let ann = fixture.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let expires_at = fixture.clock.now().after(Duration::from_mins(5));
        let token = Some(stamp(1, fixture.clock.now()));
        let (who, recorder) =
            (Authenticated { person: Arc::new(Person::from(&ann)), expires_at, token }, Recorder::new());
        let connection: Arc<dyn Connection> = recorder.clone();
        desk.connect_live(&who, &connection).await;
        tokio::time::pause();
        (fixture, desk, ann.id, recorder)
    }

    fn stamp(n: u8, issued_at: Timestamp) -> TokenStamp {
        TokenStamp { issued_at: Some(issued_at.seconds()), digest: TokenDigest::from_bytes([n; 16]) }
    }

    async fn end(fixture: &Fixture, user: UserId, sessions: SessionsChange) {
        let change = UserChange { sessions, ..UserChange::default() };
        fixture.stores.users.update_user(user, change, fixture.clock.now()).await.unwrap();
    }

    #[tokio::test]
    async fn sessions_that_are_ended_elsewhere_end_within_half_a_second() {
        let (fixture, desk, ann, first) = scene().await;
        let person = Arc::new(Person::from(&fixture.user(ann).await));
        let expires_at = fixture.clock.now().after(Duration::from_mins(5));
        let mut others = Vec::new();
        for token in [Some(stamp(2, fixture.clock.now())), None] {
            let (who, recorder) = (Authenticated { person: person.clone(), expires_at, token }, Recorder::new());
            let connection: Arc<dyn Connection> = recorder.clone();
            desk.connect_live(&who, &connection).await;
            others.push(recorder);
        }
        end(&fixture, ann, SessionsChange::EndOne(stamp(1, fixture.clock.now()).digest, expires_at)).await;
        let (reason, took) = revoked(&first).await;
        assert_eq!(reason, Revoked::SessionEnded);
        assert!(took <= Duration::from_millis(500), "{took:?}");
        tokio::time::sleep(PERIOD * 3).await;
        assert!(others[0].told().borrow().revoked.is_none(), "another session goes on");
        end(&fixture, ann, SessionsChange::EndAll).await;
        assert_eq!(revoked(&others[0]).await.0, Revoked::SessionEnded);
        tokio::time::sleep(PERIOD * 3).await;
        assert!(others[1].told().borrow().revoked.is_none(), "a visitor has no token");
        desk.close().await;
    }

    /// Waits until the connection loses its rights; gives why, and how long that took.
    async fn revoked(connection: &Recorder) -> (Revoked, Duration) {
        let (since, mut told) = (Instant::now(), connection.told());
        let revoked = told.wait_for(|told| told.revoked.is_some()).await.unwrap().revoked;
        revoked.map(|(reason, at)| (reason, at.saturating_duration_since(since))).unwrap()
    }

    #[tokio::test]
    async fn a_change_made_elsewhere_is_felt_within_half_a_second() {
        let (fixture, desk, ann, connection) = scene().await;
        tokio::time::sleep(PERIOD * 3).await;
        assert!(connection.told().borrow().revoked.is_none());
        fixture.set_status(ann, AccountStatus::Blocked).await;
        let (reason, took) = revoked(&connection).await;
        assert_eq!(reason, Revoked::Blocked);
        assert!(took <= Duration::from_millis(500), "{took:?}");
        desk.close().await;
    }

    #[tokio::test]
    async fn a_ban_from_elsewhere_is_felt_within_half_a_second() {
        let (fixture, desk, ann, connection) = scene().await;
        let mut changes = desk.0.accounts.bans().changes();
        tokio::time::sleep(PERIOD * 3).await;
        assert!(connection.told().borrow().revoked.is_none());
        let (now, until) = (fixture.clock.now(), fixture.clock.now().after(Duration::from_mins(5)));
        fixture.stores.bans.save_ban(Ban { who: Banned::Person(ann), until }, now).await.unwrap();
        let (reason, took) = revoked(&connection).await;
        assert_eq!(reason, Revoked::Blocked);
        assert!(took <= Duration::from_millis(500), "{took:?}");
        assert!(changes.has_changed().unwrap(), "what closes the connections of addresses is told, too");

        changes.mark_unchanged();
        let network = Banned::Network("192.0.2.0/24".parse().unwrap());
        fixture.stores.bans.save_ban(Ban { who: network, until }, now).await.unwrap();
        let since = Instant::now();
        changes.changed().await.unwrap();
        assert!(since.elapsed() <= Duration::from_millis(500), "{:?}", since.elapsed());
        assert!(desk.0.accounts.bans().check_address("192.0.2.7".parse().unwrap()).is_err());
        desk.close().await;
    }

    #[tokio::test]
    async fn a_token_is_good_until_it_runs_out_and_no_longer_than_half_a_second_more() {
        let (fixture, desk, _, connection) = scene().await;
        fixture.clock.advance(Duration::from_secs(299));
        tokio::time::sleep(PERIOD * 3).await;
        assert!(connection.told().borrow().revoked.is_none());
        fixture.clock.advance(Duration::from_secs(1));
        let (reason, took) = revoked(&connection).await;
        assert_eq!(reason, Revoked::TokenExpired);
        assert!(took <= Duration::from_millis(500), "{took:?}");
        desk.close().await;
    }
}
