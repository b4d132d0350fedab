//! The use-cases: who may do what, and what then happens. One file per verb.
//!
//! The desk knows no wire and no driver. A face decodes, calls one verb, and encodes the answer; what others hear of it
//! reaches them through [`presence`](crate::presence). Membership and limits are checked here, so that every face
//! inherits them.
//!
//! Reading order: [`send_message`], [`journal`], [`tell`], [`connect`], [`catch_up`], then the other verbs.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::Accounts;
use crate::domain::Clock;
use crate::presence::Presence;
use crate::store::Stores;
use crate::supervise::restarting;

pub mod attendance;
pub mod conversations;
pub mod delivery;
mod directory;
mod failure_log;
pub mod history;
pub mod log;
pub mod messages;
mod rate_limit;

use attendance::{DueNews, Expiries, TypingBoard, Visits};
use delivery::{Cursors, PublishedUpTo, Receipts};
use directory::Directory;
use log::Journal;
use messages::OwnMarks;
use rate_limit::RateLimit;

/// Settings of the desk.
#[derive(Debug, Clone)]
pub struct DeskSettings {
    /// The most characters of a message.
    pub max_message_chars: usize,
    /// How long a typing notice lasts if its client never says that it has ended.
    pub typing_ttl: Duration,
    /// How long after the last connection a person still counts as online.
    pub offline_grace: Duration,
    /// How many messages a second one person may send in the long run; `None` for any number.
    pub send_rate: Option<u32>,
    /// The most messages that one reading of the history gives.
    pub history_page: usize,
    /// How long a client whose connection broke may take to come back and be sent what it missed on it.
    pub back_within: Duration,
}

impl Default for DeskSettings {
    fn default() -> Self {
        Self {
            max_message_chars: 1_000_000,
            typing_ttl: Duration::from_mins(2),
            offline_grace: Duration::from_secs(10),
            send_rate: Some(50),
            history_page: 1000,
            back_within: Duration::from_secs(45),
        }
    }
}

/// Messages a second of somebody without an account, unless the settings allow fewer: anybody can be one, any number of times.
const VISITOR_RATE: u32 = 5;

/// The desk. Clones share one.
#[derive(Clone)]
pub struct Desk(Arc<Parts>);

struct Parts {
    stores: Stores,
    accounts: Arc<Accounts>,
    clock: Arc<dyn Clock>,
    settings: DeskSettings,
    presence: Presence,
    directory: Directory,
    journal: Journal,
    cursors: Cursors,
    published_up_to: PublishedUpTo,
    receipts: Receipts,
    typing: TypingBoard,
    limits: RateLimit,
    /// How much somebody without an account may send.
    visitors: RateLimit,
    /// How often somebody may mark something as read.
    marks: RateLimit,
    own_marks: OwnMarks,
    /// Rate limit for presence announcements on a repeated `authenticate`.
    repeats: RateLimit,
    due_news: DueNews,
    visits: Visits,
    expiries: Expiries,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Desk {
    /// Opens the desk over a store. Its own tasks run until [`close`](Self::close).
    #[must_use]
    pub fn open(stores: Stores, accounts: Arc<Accounts>, clock: Arc<dyn Clock>, settings: DeskSettings) -> Self {
        let (journal, submissions) = Journal::new();
        let desk = Self(Arc::new(Parts {
            directory: Directory::new(stores.clone()),
            cursors: Cursors::default(),
            published_up_to: PublishedUpTo::default(),
            receipts: Receipts::default(),
            typing: TypingBoard::default(),
            limits: RateLimit::new(settings.send_rate),
            visitors: RateLimit::new(settings.send_rate.map(|rate| rate.min(VISITOR_RATE))),
            marks: RateLimit::new(settings.send_rate),
            own_marks: OwnMarks::default(),
            repeats: RateLimit::new(Some(1)),
            due_news: DueNews::default(),
            visits: Visits::default(),
            expiries: Expiries::default(),
            presence: Presence::default(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            stores,
            accounts,
            clock,
            settings,
            journal,
        }));
        desk.run_journal(submissions);
        desk.keep_running("check of accounts", |desk| async move { desk.revalidate().await });
        desk.keep_running("expiry of typing notices", |desk| async move { desk.expire_typing().await });
        desk.keep_running("telling who is away", |desk| async move { desk.tell_who_is_away().await });
        desk.keep_running("writing of delivered cursors", |desk| async move { desk.keep_cursors().await });
        desk.keep_running("writing of receipts", |desk| async move { desk.keep_receipts().await });
        desk
    }

    /// Stops taking new entries, and finishes those that wait.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.journal.close();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Persists what has arrived at whom: once the desk is closed and all connections are.
    pub async fn write_notes(&self) {
        self.persist_cursors().await;
        self.write_receipts().await;
    }

    /// What the desk was told to do differently.
    #[must_use]
    pub fn settings(&self) -> &DeskSettings {
        &self.0.settings
    }

    /// Whether the store answers, and entries are taken.
    ///
    /// # Errors
    /// [`StoreError`](crate::store::StoreError) if not.
    pub async fn check(&self) -> Result<(), crate::store::StoreError> {
        self.0.journal.check()?;
        self.0.stores.conversations.check().await
    }

    /// Runs a task of the desk's own, until it ends or the desk is closed.
    fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.0.stop.clone();
        self.0.tasks.spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    /// Runs a background task until the desk is closed. If it panics, it is started again.
    fn keep_running<F>(&self, name: &'static str, start: impl Fn(Self) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (desk, stop) = (self.clone(), self.0.stop.clone());
        self.0.tasks.spawn(async move {
            stop.run_until_cancelled_owned(restarting(name, move || start(desk.clone()))).await;
        });
    }
}
