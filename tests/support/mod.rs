//! Helpers shared by the test suites: accounts, the server in this process or as a child process, and a proof.

use std::path::Path;
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{
    AccountStatus, Clock, ConversationId, Email, Entry, PendingCodes, Profile, Role, Seq, SystemClock, UserId,
};
use deskline::store::sqlite::SqliteStore;
use deskline::store::{ConversationStore, ListFor, NewUser, UserStore};
use serde_json::Value;

pub(crate) mod process;
mod proof;
pub(crate) mod server;

pub(crate) use process::{PROGRAM, ServerProcess};
pub(crate) use proof::assert_proven;

/// Secret of the servers' tokens.
pub(crate) const SECRET: &str = "a secret of the tests alone, and of nothing else";

/// An account with a token.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: UserId,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) token: String,
}

/// The e-mail address of an account with this name.
pub(crate) fn email_of(name: &str) -> Email {
    format!("{name}@desk.test").parse().unwrap()
}

/// Creates an account in a store.
pub(crate) async fn make_account(
    users: &dyn UserStore,
    tokens: &Tokens,
    clock: &dyn Clock,
    name: &str,
    role: Role,
) -> Account {
    let at = clock.now();
    let new = NewUser {
        id: UserId::generate(at),
        name: name.into(),
        email: Some(email_of(name)),
        password_hash: None,
        role,
        status: AccountStatus::Active,
        pending_codes: PendingCodes::new(),
        profile: Profile::default(),
        at,
    };
    let user = users.create_user(new).await.unwrap();
    Account { id: user.id, name: name.into(), role, token: tokens.issue(user.id, user.role, at) }
}

/// Creates a data file with these accounts.
///
/// It is created elsewhere and copied: an open store runs background work on its file, and only the next server may repair what a
/// killed one left behind.
pub(crate) async fn seed(data: &Path, people: &[(&str, Role)]) -> Vec<Account> {
    let seeds = tempfile::tempdir().unwrap();
    let file = seeds.path().join("seeds.db");
    let tokens = Tokens::new(&Secret::from(SECRET), Duration::from_hours(1));
    let users = SqliteStore::open(&file).unwrap().stores().users;
    let mut accounts = Vec::new();
    for (name, role) in people {
        accounts.push(make_account(&*users, &tokens, &SystemClock, name, *role).await);
    }
    let copy = rusqlite::Connection::open(&file).unwrap();
    copy.execute("VACUUM INTO ?1", [data.to_str().unwrap()]).unwrap();
    accounts
}

/// A whole log. Panics if its seqs have a gap.
pub(crate) async fn log_of(store: &dyn ConversationStore, id: ConversationId) -> Vec<Entry> {
    let mut log: Vec<Entry> = Vec::new();
    loop {
        let after = log.last().map_or(Seq::ZERO, |entry| entry.seq);
        let page = store.entries_after(id, after, 1000).await.unwrap();
        if page.is_empty() {
            break;
        }
        log.extend(page);
    }
    for (index, entry) in log.iter().enumerate() {
        assert_eq!(entry.seq.get(), index as u64 + 1, "the log of {id} has a gap or a duplicate");
    }
    log
}

/// The logs of all conversations that an agent can see.
pub(crate) async fn all_logs(store: &dyn ConversationStore, agent: UserId) -> Vec<(ConversationId, Vec<Entry>)> {
    let mut logs = Vec::new();
    for summary in store.list(ListFor::Agent(agent), 1000).await.unwrap() {
        logs.push((summary.conversation.id, log_of(store, summary.conversation.id).await));
    }
    logs
}

/// How long a store hangs: `DESKLINE_HANG_SECONDS`, or `usually`.
#[expect(clippy::disallowed_methods, reason = "a long run is requested by hand")]
pub(crate) fn how_long(usually: Duration) -> Duration {
    std::env::var("DESKLINE_HANG_SECONDS").map_or(usually, |seconds| Duration::from_secs(seconds.parse().unwrap()))
}

/// A number field. Panics if it is not one.
pub(crate) fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_else(|| panic!("no number {field} in {value}"))
}

/// A text field. Panics if it is not one.
pub(crate) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}
