//! Checks the rights of open connections again when a token expires or an account changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::connect::Authenticated;
use crate::accounts::Accounts;
use crate::desk::directory::Directory;
use crate::desk::failure_log::FailureLog;
use crate::desk::tasks::Tasks;
use crate::domain::{AccountStatus, Clock, ConnectionId, Person, Sessions, Timestamp, TokenStamp, User, UserId};
use crate::presence::{Connection, Presence, Revoked};
use crate::store::{BanStore, StoreError, Stores, UserStore};

/// How often the rights of all connected people are checked: a change made by another process takes effect within this time.
const PERIOD: Duration = Duration::from_millis(500);

/// Accounts that are read at once. More would take memory twice a second.
const READ_AT_ONCE: usize = 256;

/// Connections by the time at which their tokens expire.
#[derive(Default)]
struct Expiries(Mutex<Queue>);

/// The time, and a number that makes it unique.
type ExpiryKey = (Timestamp, u64);

#[derive(Default)]
struct Queue {
    by_time: BTreeMap<ExpiryKey, (UserId, Weak<dyn Connection>)>,
    keys: HashMap<ConnectionId, (ExpiryKey, Option<TokenStamp>)>,
    next: u64,
}

impl Expiries {
    pub(super) fn add(&self, who: &Authenticated, connection: &Arc<dyn Connection>) {
        let mut queue = self.queue();
        queue.next += 1;
        let key = (who.expires_at, queue.next);
        if let Some((old, _)) = queue.keys.insert(connection.id(), (key, who.token)) {
            queue.by_time.remove(&old);
        }
        queue.by_time.insert(key, (who.person.id, Arc::downgrade(connection)));
    }

    pub(super) fn remove(&self, connection: ConnectionId) {
        let mut queue = self.queue();
        if let Some((key, _)) = queue.keys.remove(&connection) {
            queue.by_time.remove(&key);
        }
    }

    fn take_due(&self, now: Timestamp) -> Vec<(UserId, Arc<dyn Connection>)> {
        let mut queue = self.queue();
        let later = queue.by_time.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut queue.by_time, later);
        due.into_values().filter_map(|(user, connection)| Some((user, connection.upgrade()?))).collect()
    }

    /// Those of these connections whose session was ended.
    fn ended(&self, sessions: &Sessions, mut connections: Vec<Arc<dyn Connection>>) -> Vec<Arc<dyn Connection>> {
        let queue = self.queue();
        let token = |id| queue.keys.get(&id).and_then(|(_, token)| token.as_ref());
        connections.retain(|connection| token(connection.id()).is_some_and(|token| !sessions.accepts(token)));
        connections
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.lock()
    }
}

/// Checks open connections. Clones share one state.
#[derive(Clone)]
pub(in crate::desk) struct Revalidation(Arc<Inner>);

struct Inner {
    users: Arc<dyn UserStore>,
    bans: Arc<dyn BanStore>,
    directory: Arc<Directory>,
    presence: Arc<Presence>,
    accounts: Arc<Accounts>,
    clock: Arc<dyn Clock>,
    expiries: Expiries,
    failures: FailureLog,
    ban_failures: FailureLog,
}

impl Revalidation {
    /// Starts the task that checks all connected people.
    pub(in crate::desk) fn start(
        stores: &Stores,
        directory: Arc<Directory>,
        presence: Arc<Presence>,
        accounts: Arc<Accounts>,
        clock: Arc<dyn Clock>,
        tasks: &Tasks,
    ) -> Self {
        let revalidation = Self(Arc::new(Inner {
            users: stores.users.clone(),
            bans: stores.bans.clone(),
            directory,
            presence,
            accounts,
            clock,
            expiries: Expiries::default(),
            failures: FailureLog::new("recheck accounts"),
            ban_failures: FailureLog::new("reload bans"),
        }));
        let this = revalidation.clone();
        tasks.keep_running("check of accounts", move || this.clone().run());
        revalidation
    }

    /// Watches a connection until its token expires.
    pub(super) fn add(&self, who: &Authenticated, connection: &Arc<dyn Connection>) {
        self.0.expiries.add(who, connection);
    }

    /// Forgets a connection.
    pub(super) fn remove(&self, connection: ConnectionId) {
        self.0.expiries.remove(connection);
    }

    /// Revokes all connections of a person.
    pub(super) fn revoke(&self, user: UserId, reason: Revoked) {
        for connection in self.0.presence.connections(user) {
            revoke_connection(user, &*connection, reason);
        }
    }

    /// Evicts an account from the cache, and checks its connections.
    pub(super) async fn account_changed(&self, id: UserId) {
        self.0.directory.forget(id).await;
        self.judge(&[id]).await;
    }

    async fn run(self) {
        let mut tick = tokio::time::interval(PERIOD);
        // Whether guests have to be checked because of a ban.
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
            for ids in present.chunks(READ_AT_ONCE) {
                self.judge(ids).await;
            }
        }
    }

    /// Reads the bans from the store. True if they have changed. If they cannot be read, those that were read last stay in force.
    pub(super) async fn read_bans(&self) -> bool {
        let read = self.0.bans.bans(self.0.clock.now()).await;
        let mut has_changed = false;
        let read = read.map(|bans| has_changed = self.0.accounts.bans().replace(&bans));
        self.0.ban_failures.note(&read);
        has_changed
    }

    /// Revokes the connections of guests whose customer is banned now.
    async fn revoke_guests(&self) -> Result<(), StoreError> {
        for conversation in self.0.presence.guests_are_in() {
            let Some(conversation) = self.0.directory.conversation(conversation).await? else { continue };
            let Some(customer) = conversation.members.customer() else { continue };
            if self.0.accounts.bans().check_person(customer).is_err() {
                for connection in self.0.presence.guests_of(conversation.id) {
                    revoke_connection(customer, &*connection, Revoked::Blocked);
                }
            }
        }
        Ok(())
    }

    /// Compares connected people with their accounts.
    async fn judge(&self, ids: &[UserId]) {
        let mut accounts = HashMap::new();
        let looked = self.0.users.users(ids).await;
        let looked = looked.map(|users| accounts.extend(users.into_iter().map(|user| (user.id, user))));
        if !self.0.failures.note(&looked) {
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

/// The connection informs its client, and disconnects the person by itself.
pub(super) fn revoke_connection(user: UserId, connection: &dyn Connection, reason: Revoked) {
    tracing::info!(user.id = %user, connection.id = %connection.id(), ?reason, "Revoked a connection");
    connection.revoke(reason);
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::accounts::testing::Fixture;
    use crate::desk::{Desk, DeskSettings};
    use crate::domain::{Ban, Banned, Role, TokenDigest};
    use crate::presence::testing::Recorder;
    use crate::store::{SessionsChange, UserChange};

    /// One customer is connected, and the clock is paused.
    async fn scene() -> (Fixture, Desk, UserId, Arc<Recorder>) {
        let fixture = Fixture::new();
        let (accounts, clock) = (fixture.accounts.clone(), fixture.clock.clone());
        let desk = Desk::open(&fixture.stores, accounts, clock, DeskSettings::default());
        let ann = fixture.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let expires_at = fixture.clock.now().after(Duration::from_mins(5));
        let token = Some(stamp(1, fixture.clock.now()));
        let (who, recorder) =
            (Authenticated { person: Arc::new(Person::from(&ann)), expires_at, token }, Recorder::new());
        let connection: Arc<dyn Connection> = recorder.clone();
        desk.attendance.connect_live(&who, &connection).await;
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
            desk.attendance.connect_live(&who, &connection).await;
            others.push(recorder);
        }
        end(&fixture, ann, SessionsChange::EndOne(stamp(1, fixture.clock.now()).digest, expires_at)).await;
        let (reason, took) = revoked(&first).await;
        assert_eq!(reason, Revoked::SessionEnded);
        assert!(took <= Duration::from_millis(500), "{took:?}");
        tokio::time::sleep(PERIOD * 3).await;
        assert!(others[0].record().borrow().revoked.is_none(), "another session goes on");
        end(&fixture, ann, SessionsChange::EndAll).await;
        assert_eq!(revoked(&others[0]).await.0, Revoked::SessionEnded);
        tokio::time::sleep(PERIOD * 3).await;
        assert!(others[1].record().borrow().revoked.is_none(), "a visitor has no token");
        desk.close().await;
    }

    /// Waits until the connection is revoked. Returns why, and how long that took.
    async fn revoked(connection: &Recorder) -> (Revoked, Duration) {
        let (since, mut record) = (Instant::now(), connection.record());
        let revoked = record.wait_for(|record| record.revoked.is_some()).await.unwrap().revoked;
        revoked.map(|(reason, at)| (reason, at.saturating_duration_since(since))).unwrap()
    }

    #[tokio::test]
    async fn a_change_made_elsewhere_is_felt_within_half_a_second() {
        let (fixture, desk, ann, connection) = scene().await;
        tokio::time::sleep(PERIOD * 3).await;
        assert!(connection.record().borrow().revoked.is_none());
        fixture.set_status(ann, AccountStatus::Blocked).await;
        let (reason, took) = revoked(&connection).await;
        assert_eq!(reason, Revoked::Blocked);
        assert!(took <= Duration::from_millis(500), "{took:?}");
        desk.close().await;
    }

    #[tokio::test]
    async fn a_ban_from_elsewhere_is_felt_within_half_a_second() {
        let (fixture, desk, ann, connection) = scene().await;
        let mut changes = fixture.accounts.bans().changes();
        tokio::time::sleep(PERIOD * 3).await;
        assert!(connection.record().borrow().revoked.is_none());
        let (now, until) = (fixture.clock.now(), fixture.clock.now().after(Duration::from_mins(5)));
        fixture.stores.bans.save_ban(Ban { who: Banned::Person(ann), until }, now).await.unwrap();
        let (reason, took) = revoked(&connection).await;
        assert_eq!(reason, Revoked::Blocked);
        assert!(took <= Duration::from_millis(500), "{took:?}");
        assert!(changes.has_changed().unwrap(), "a ban of addresses is announced, too");

        changes.mark_unchanged();
        let network = Banned::Network("192.0.2.0/24".parse().unwrap());
        fixture.stores.bans.save_ban(Ban { who: network, until }, now).await.unwrap();
        let since = Instant::now();
        changes.changed().await.unwrap();
        assert!(since.elapsed() <= Duration::from_millis(500), "{:?}", since.elapsed());
        assert!(fixture.accounts.bans().check_address("192.0.2.7".parse().unwrap()).is_err());
        desk.close().await;
    }

    #[tokio::test]
    async fn a_socket_is_closed_within_half_a_second_after_its_token_expires() {
        let (fixture, desk, _, connection) = scene().await;
        fixture.clock.advance(Duration::from_secs(299));
        tokio::time::sleep(PERIOD * 3).await;
        assert!(connection.record().borrow().revoked.is_none());
        fixture.clock.advance(Duration::from_secs(1));
        let (reason, took) = revoked(&connection).await;
        assert_eq!(reason, Revoked::TokenExpired);
        assert!(took <= Duration::from_millis(500), "{took:?}");
        desk.close().await;
    }
}
