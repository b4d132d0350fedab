//! Sends `message-status` to authors whose clients have asked for it, at most once per conversation and period.

use std::sync::Arc;
use std::time::Duration;

use super::Key;
use super::track::Track;
use crate::desk::delivery::Delivery;
use crate::domain::{
    ConversationId, DeskEvent, Entry, EntryEvent, EntryKind, Members, Message, MessageStatus, Person, ReceiptCursor,
    Seq, Side, StatusChange, Summary, UserId,
};
use crate::store::{Receipt, StoreError};

/// How often changed receipts are processed.
const PERIOD: Duration = Duration::from_millis(50);

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Receipts are persisted every this many periods.
const PERIODS_PER_WRITE: u32 = 5;

/// Entries read at a time, to find out whether a message lies between.
const PAGE: usize = 200;

/// The receipts and read marks of both sides of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ConversationReceipts {
    reach: [ReceiptCursor; 2],
    read: [Seq; 2],
}

impl ConversationReceipts {
    /// The status of a message; `None` if the entry is not a message, or was deleted.
    #[must_use]
    pub fn status_of(&self, told: &EntryEvent) -> Option<MessageStatus> {
        let across = told.entry.side.other().index();
        told.is_message().then(|| self.reach[across].status_of(told.entry.seq, self.read[across]))
    }
}

impl Delivery {
    /// From now on, changes are sent to those connections that want them.
    pub fn ask_for_receipts(&self) {
        self.0.receipts.ask();
    }

    /// The receipts of a conversation.
    pub(in crate::desk) async fn receipts_of(&self, summary: &Summary) -> Result<ConversationReceipts, StoreError> {
        let id = summary.conversation.id;
        let kept = self.0.store.receipts(id).await?;
        let reach = [Side::Customer, Side::Desk].map(|side| {
            let noted = self.0.receipts.track((id, side)).map(|track| track.reach).unwrap_or_default();
            kept[side.index()].max(noted)
        });
        Ok(ConversationReceipts { reach, read: summary.sides.map(|side| side.read) })
    }

    /// An entry was sent to everybody whom it concerns; `is_sent` if a live connection of the other side was among them.
    pub(in crate::desk) fn entry_published(&self, told: &EntryEvent, is_sent: bool) {
        self.0.published_up_to.advance(&told.entry);
        let entry = &told.entry;
        if told.parties.conversation.members.is_with_oneself() {
            return;
        }
        match &entry.kind {
            EntryKind::Message(message) => {
                let key = (entry.conversation, entry.side.other());
                self.0.receipts.live(key, (entry.seq, message.id), is_sent);
            }
            EntryKind::Read { up_to } => self.0.receipts.read((entry.conversation, entry.side), *up_to),
            EntryKind::StatusChanged { .. } | EntryKind::Edited { .. } | EntryKind::Deleted { .. } => {}
        }
    }

    /// A person fetched messages: the newest, or all if `is_all`. They count as delivered, unless messages before them were left
    /// out.
    pub(in crate::desk) fn fetched(
        &self,
        side: Side,
        messages: &[Entry],
        is_all: bool,
        receipts: &ConversationReceipts,
    ) {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
        let known = receipts.reach[side.index()].delivered.max(receipts.read[side.index()]);
        if is_all || first.seq <= known.next() {
            self.0.receipts.taken((last.conversation, side), last.seq);
        }
    }

    /// A person was sent a message from the log, and all between `after` and it.
    pub(in crate::desk::delivery) fn note_replayed(&self, person: &Person, told: &EntryEvent, after: Seq) {
        let members = told.parties.conversation.members;
        if let Some(side) = members.side_of(person.id, person.role.is_agent())
            && side != told.entry.side
        {
            self.0.receipts.replayed((told.entry.conversation, side), after, told.entry.seq);
        }
    }

    pub(in crate::desk::delivery) async fn keep_receipts(self) {
        let mut tick = tokio::time::interval(PERIOD);
        let mut periods = 0;
        loop {
            tick.tick().await;
            let mut due = self.0.receipts.take_due().into_iter();
            while let Some(key) = due.next() {
                let looked = self.look_at(key).await;
                if let Err(StoreError::Corrupt(what)) = &looked {
                    // A retry cannot read it either, and would delay the receipts of other conversations.
                    tracing::error!("Could not update the receipts of a conversation: {what}");
                    continue;
                }
                if !self.0.receipts.looking.note(&looked) {
                    self.0.receipts.put_back_due(due.chain([key]));
                    tokio::time::sleep(RETRY).await;
                    break;
                }
            }
            periods = (periods + 1) % PERIODS_PER_WRITE;
            if periods == 0 && !self.write(self.0.receipts.take_unwritten()).await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Persists what has changed. False if the store failed; it is persisted the next time.
    pub(in crate::desk::delivery) async fn write_receipts(&self) -> bool {
        self.write(self.0.receipts.take_all_unwritten()).await
    }

    async fn write(&self, receipts: Vec<Receipt>) -> bool {
        if receipts.is_empty() {
            return true;
        }
        let written = self.0.store.note_receipts(receipts.clone()).await;
        let is_written = self.0.receipts.writing.note(&written);
        if !is_written {
            self.0.receipts.put_back(&receipts);
        }
        is_written
    }

    async fn look_at(&self, key: Key) -> Result<(), StoreError> {
        let receipts = &self.0.receipts;
        let Some(track) = receipts.track(key) else { return Ok(()) };
        let (id, side) = key;
        if !track.is_loaded {
            let conversations = &self.0.store;
            let reach = conversations.receipts(id).await?[side.index()];
            let read = conversations.summary(id).await?.map_or(Seq::ZERO, |summary| summary.side(side).read);
            receipts.load(key, reach, read);
        }
        if let Some(track) = receipts.track(key)
            && let Some((first, _)) = track.undecided()
        {
            let joins = !self.is_anything_between(key, track.reach.sent, first).await?;
            receipts.decide(key, first, joins);
        }
        match receipts.track(key) {
            Some(track) if receipts.is_asked_for() => self.tell_receipts(key, &track).await,
            _ => Ok(()),
        }
    }

    /// Whether the other side has a message beyond `after` and before `before` that was not deleted.
    async fn is_anything_between(&self, (id, side): Key, mut after: Seq, before: Seq) -> Result<bool, StoreError> {
        loop {
            let page = self.0.store.entries_after(id, after, PAGE).await?;
            for entry in &page {
                if entry.seq >= before {
                    return Ok(false);
                }
                let is_there = entry.message().is_some_and(|message| message.text().is_some());
                if is_there && entry.side != side {
                    return Ok(true);
                }
            }
            match page.last() {
                Some(last) => after = last.seq,
                None => return Ok(false),
            }
        }
    }

    async fn tell_receipts(&self, key: Key, track: &Track) -> Result<(), StoreError> {
        let ((reach, read), (told, told_read)) = ((track.reach, track.read), track.told);
        // A status that a later one includes is not sent.
        let steps = [
            (MessageStatus::Sent, reach.sent > told.sent.max(reach.delivered).max(read), reach.sent),
            (MessageStatus::Delivered, reach.delivered > told.delivered.max(read), reach.delivered),
            (MessageStatus::Read, read > told_read, read),
        ];
        let (id, side) = key;
        let recipients = match self.0.directory.conversation(id).await? {
            Some(conversation) => self.who_wants_receipts(conversation.members, side.other()),
            None => Vec::new(),
        };
        let steps = steps.into_iter().filter(|(_, is_news, _)| *is_news && !recipients.is_empty());
        let mut events = Vec::new();
        for (status, _, up_to) in steps {
            let newest = match track.newest {
                Some((seq, message)) if seq <= up_to => Some(message),
                _ => self.newest_of_side(id, side.other(), up_to).await?.map(|message| message.id),
            };
            if let Some(message) = newest {
                events.push(DeskEvent::Status(Arc::new(StatusChange { conversation: id, status, up_to, message })));
            }
        }
        // Nothing after this can fail, else the change would never be sent.
        self.0.receipts.told(key, track.told, (reach, read));
        for recipient in recipients {
            for event in &events {
                self.0.presence.tell(recipient, event);
            }
        }
        Ok(())
    }

    /// The newest message of a side up to an entry: the one that a read mark there is about.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    pub async fn newest_of_side(
        &self,
        id: ConversationId,
        side: Side,
        up_to: Seq,
    ) -> Result<Option<Message>, StoreError> {
        const LOOKED_AT: usize = 100;
        let entries = self.0.store.messages_before(id, Some(up_to.next()), LOOKED_AT).await?;
        let newest = entries.into_iter().rev().find(|entry| entry.side == side);
        Ok(newest.and_then(|entry| entry.message().cloned()))
    }

    /// The people of one side who are connected and want receipts.
    fn who_wants_receipts(&self, members: Members, side: Side) -> Vec<UserId> {
        let wants_them = |recipient: &UserId| {
            let connections = self.0.presence.connections(*recipient);
            members.side_of(*recipient, true) == Some(side) && connections.iter().any(|it| it.wants_receipts())
        };
        self.0.presence.recipients(members).into_iter().filter(wants_them).collect()
    }
}
