//! The use cases: who may do what, and what then happens.
//!
//! The desk knows no wire and no driver. A face decodes, calls one verb of one area, and encodes the answer; what others see of it
//! reaches them through [`presence`](crate::presence). Membership and limits are checked here, so that every face
//! inherits them.
//!
//! # Areas
//!
//! Each area is a folder with a struct of its own, whose fields nothing else can touch. An area names only areas below it:
//!
//! | area | has | names |
//! |---|---|---|
//! | [`history`] | reading messages | messages, delivery, access |
//! | [`conversations`] | lists, access, attachments | messages, attendance |
//! | [`messages`] | sending, editing, marking as read, the status | log, delivery |
//! | [`log`] | the lanes of the log, publishing | delivery, typing |
//! | [`attendance`] | connections, their rights, presence, typing | delivery |
//! | [`delivery`] | cursors, receipts, catching up | |
//!
//! Below them lie a few parts that several areas use: `directory` (people and conversations, cached), `event_builder`, `tasks`
//! and `failure_log`. [`Desk::open`] joins all of them.
//!
//! Reading order: [`messages`], [`log`], [`attendance`], [`delivery`], then the others.

use std::sync::Arc;
use std::time::Duration;

use crate::accounts::Accounts;
use crate::domain::Clock;
use crate::presence::Presence;
use crate::store::{StoreError, Stores};

pub mod attendance;
pub mod conversations;
pub mod delivery;
mod directory;
mod event_builder;
mod failure_log;
pub mod history;
pub mod log;
pub mod messages;
mod tasks;
#[cfg(test)]
mod tests;

use attendance::{Announcements, Attendance, AttendanceParts, Revalidation, Typing};
use conversations::Conversations;
use delivery::Delivery;
use directory::Directory;
use event_builder::EventBuilder;
use history::History;
use log::{Log, LogParts};
use messages::Messages;
use tasks::Tasks;

/// Settings of the desk.
#[derive(Debug, Clone)]
pub struct DeskSettings {
    /// The longest message, in characters.
    pub max_message_chars: usize,
    /// How long a typing notice lasts if its client never announces the end.
    pub typing_ttl: Duration,
    /// How long after the last connection a person still counts as online.
    pub offline_grace: Duration,
    /// How many messages a second one person may send in the long run; `None` for any number.
    pub send_rate: Option<u32>,
    /// The most messages of one page of history.
    pub history_page: usize,
    /// How long after its connection broke a client may reconnect and be sent what it missed.
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

/// The desk: its six areas, and two parts of [`attendance`] that faces use by themselves. Clones share one desk.
#[derive(Clone)]
pub struct Desk {
    /// Connections and their rights.
    pub attendance: Attendance,
    /// Presence, announced.
    pub announcements: Announcements,
    /// Typing notices.
    pub typing: Typing,
    /// Cursors, receipts and catching up.
    pub delivery: Delivery,
    /// Sending, editing and marking.
    pub messages: Messages,
    /// Lists of conversations and access to one.
    pub conversations: Conversations,
    /// Reading messages.
    pub history: History,
    /// The log itself, for what other programs write.
    pub log: Log,
    tasks: Tasks,
    settings: Arc<DeskSettings>,
}

impl Desk {
    /// Opens the desk over a store. Its background tasks run until [`close`](Self::close).
    #[must_use]
    pub fn open(stores: &Stores, accounts: Arc<Accounts>, clock: Arc<dyn Clock>, settings: DeskSettings) -> Self {
        let tasks = Tasks::default();
        let store = stores.conversations.clone();
        let presence = Arc::new(Presence::default());
        let directory = Arc::new(Directory::new(stores));
        let events = Arc::new(EventBuilder::new(store.clone(), directory.clone(), accounts.clone()));
        let delivery = Delivery::start(store.clone(), directory.clone(), events.clone(), presence.clone(), &tasks);
        let typing =
            Typing::start_expiry(presence.clone(), directory.clone(), clock.clone(), settings.typing_ttl, &tasks);
        let log_parts = LogParts {
            directory: directory.clone(),
            events: events.clone(),
            presence: presence.clone(),
            delivery: delivery.clone(),
            typing: typing.clone(),
            clock: clock.clone(),
            tasks: tasks.clone(),
        };
        let log = Log::new(log_parts, stores);
        let announcements =
            Announcements::start(store.clone(), directory.clone(), presence.clone(), &tasks, settings.offline_grace);
        let revalidation =
            Revalidation::start(stores, directory.clone(), presence.clone(), accounts.clone(), clock.clone(), &tasks);
        let attendance_parts = AttendanceParts {
            presence,
            accounts: accounts.clone(),
            delivery: delivery.clone(),
            typing: typing.clone(),
            announcements: announcements.clone(),
            revalidation,
            tasks: tasks.clone(),
        };
        let attendance = Attendance::new(attendance_parts, &settings);
        let messages = Messages::new(
            store.clone(),
            directory.clone(),
            delivery.clone(),
            log.clone(),
            clock.clone(),
            tasks.clone(),
            &settings,
        );
        let conversations =
            Conversations::new(stores, directory.clone(), messages.clone(), attendance.clone(), accounts, clock);
        let history = History::new(store, directory, events, delivery.clone(), messages.clone(), settings.history_page);
        let settings = Arc::new(settings);
        Self { attendance, announcements, typing, delivery, messages, conversations, history, log, tasks, settings }
    }

    /// Refuses new entries, and finishes those that wait.
    pub async fn close(&self) {
        self.log.close();
        self.tasks.close().await;
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &DeskSettings {
        &self.settings
    }

    /// Whether the store answers, and entries are stored.
    ///
    /// # Errors
    /// [`StoreError`] if not.
    pub async fn check(&self) -> Result<(), StoreError> {
        self.log.check().await
    }
}
