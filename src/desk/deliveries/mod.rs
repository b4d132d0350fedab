//! How far everybody has been delivered to: noted in memory at once, written down a few seconds later.
//!
//! A process that dies in that time delivers once more what it delivered last, to clients that cannot say what they
//! have: better twice than never.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Desk;
use super::outage::Outage;
use crate::domain::{ConversationId, Seq, UserId};
use crate::store::{Delivered, StoreError};

mod notes;

use notes::Notes;

/// How often it is looked whether something is due.
const PERIOD: Duration = Duration::from_millis(100);

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// So many of these make a note older by one age. An entry that is on its way leaves the process within one age, even on a
/// machine that is overloaded.
const AGE: u32 = 20;

pub(super) struct Deliveries {
    notes: Mutex<Notes>,
    /// Held while notes are being written, so that there is one writing at a time.
    writing: tokio::sync::Mutex<()>,
    outage: Outage,
}

impl Default for Deliveries {
    fn default() -> Self {
        let outage = Outage::new("write down what was delivered");
        Self { notes: Mutex::default(), writing: tokio::sync::Mutex::default(), outage }
    }
}

impl Deliveries {
    /// Everything up to `up_to` has been delivered. Gives what was known before.
    pub(super) fn mark(&self, user: UserId, conversation: ConversationId, up_to: Seq) -> Seq {
        self.notes().mark((user, conversation), up_to)
    }

    /// What was marked beyond `up_to` did not arrive after all.
    pub(super) fn take_back(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        self.notes().take_back((user, conversation), up_to);
    }

    pub(super) fn known(&self, user: UserId, conversation: ConversationId) -> Option<Seq> {
        self.notes().known((user, conversation))
    }

    /// What is noted of this person and the store may not show yet.
    pub(super) fn unsettled(&self, user: UserId) -> Vec<(ConversationId, Seq)> {
        self.notes().unsettled(user)
    }

    fn take_due(&self) -> Vec<Delivered> {
        self.notes().take_due()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Notes that an entry is on its way on a live connection. False if that was the person's last one and has ended
    /// meanwhile: then the entry is as doubtful as all that was left unconfirmed on it.
    pub(super) fn note_delivery(&self, user: UserId, conversation: ConversationId, seq: Seq) -> bool {
        let before = self.0.deliveries.mark(user, conversation, seq);
        let is_there = self.0.presence.is_connected(user);
        if !is_there {
            self.0.deliveries.take_back(user, conversation, before);
        }
        is_there
    }

    /// Everything up to here has certainly arrived at this person.
    pub(super) fn confirm(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        for connection in self.0.presence.connections(user) {
            connection.confirm(conversation, up_to);
        }
    }

    /// How far this person has been delivered to in a conversation.
    pub(super) async fn delivered(
        &self,
        user: UserId,
        conversation: ConversationId,
    ) -> Result<Option<Seq>, StoreError> {
        match self.0.deliveries.known(user, conversation) {
            Some(known) => Ok(Some(known)),
            None => self.0.stores.conversations.delivered(conversation, user).await,
        }
    }

    /// Writes down all that is noted, for when the connections have had all that was sent. A failure is told to nobody: the
    /// notes stay, and the next time may succeed.
    pub(super) async fn write_deliveries(&self) {
        for _ in 0..2 {
            self.0.deliveries.notes().age();
        }
        self.write_due().await;
    }

    /// Tells whether it worked.
    async fn write_due(&self) -> bool {
        let _writing = self.0.deliveries.writing.lock().await;
        let marks = self.0.deliveries.take_due();
        if marks.is_empty() {
            return true;
        }
        let written = self.0.stores.conversations.set_delivered(marks).await;
        let is_written = self.0.deliveries.outage.note(&written);
        if is_written {
            self.0.deliveries.notes().written();
        } else {
            self.0.deliveries.notes().put_back();
        }
        is_written
    }

    pub(super) async fn keep_deliveries(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        for turn in 1_u32.. {
            tick.tick().await;
            if turn.is_multiple_of(AGE) {
                self.0.deliveries.notes().age();
            }
            if !self.write_due().await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}
