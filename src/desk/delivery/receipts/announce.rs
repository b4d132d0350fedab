//! To tell who spoke how far their words have come: at most once per conversation and moment, and only whoever asked.

use std::sync::Arc;
use std::time::Duration;

use super::Key;
use super::track::Track;
use crate::desk::Desk;
use crate::domain::{
    DeskEvent, Entry, EntryEvent, EntryKind, Members, MessageStatus, Person, ReceiptCursor, Seq, Side, StatusChange,
    Summary, UserId,
};
use crate::store::StoreError;

/// How often receipts are looked at.
const PERIOD: Duration = Duration::from_millis(50);

/// How long to wait after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// They are written down once in so many looks.
const LOOKS: u32 = 5;

/// Entries that are read at a time, to find whether anything lies between.
const PAGE: usize = 200;

/// How far both sides of a conversation have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reaches {
    reach: [ReceiptCursor; 2],
    read: [Seq; 2],
}

impl Reaches {
    /// How far a message has come; `None` if the entry is none that is still there.
    #[must_use]
    pub fn status_of(&self, told: &EntryEvent) -> Option<MessageStatus> {
        let across = told.entry.side.other().index();
        told.is_message().then(|| self.reach[across].status_of(told.entry.seq, self.read[across]))
    }
}

impl Desk {
    /// From now on, changes are told to those connections which want that.
    pub fn ask_for_receipts(&self) {
        self.0.receipts.ask();
    }

    /// How far both sides have come.
    pub(in crate::desk) async fn reaches(&self, summary: &Summary) -> Result<Reaches, StoreError> {
        let id = summary.conversation.id;
        let kept = self.0.stores.conversations.receipts(id).await?;
        let reach = [Side::Customer, Side::Desk].map(|side| {
            let noted = self.0.receipts.track((id, side)).map(|track| track.reach).unwrap_or_default();
            kept[side.index()].max(noted)
        });
        Ok(Reaches { reach, read: summary.sides.map(|side| side.read) })
    }

    /// An entry was told; `is_handed` if a live connection of the other side got it.
    pub(in crate::desk) fn note_told(&self, told: &EntryEvent, is_handed: bool) {
        let entry = &told.entry;
        if told.parties.conversation.members.is_with_oneself() {
            return;
        }
        match &entry.kind {
            EntryKind::Message(message) => {
                let key = (entry.conversation, entry.side.other());
                self.0.receipts.live(key, (entry.seq, message.id), is_handed);
            }
            EntryKind::Read { up_to } => self.0.receipts.read((entry.conversation, entry.side), *up_to),
            EntryKind::StatusChanged { .. } | EntryKind::Edited { .. } | EntryKind::Deleted { .. } => {}
        }
    }

    /// A person was given messages by request: the newest, or all there are if `is_all`. They count as taken, unless others
    /// before them were left out.
    pub(in crate::desk) fn note_taken(&self, side: Side, messages: &[Entry], is_all: bool, reaches: &Reaches) {
        let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return };
        let known = reaches.reach[side.index()].delivered.max(reaches.read[side.index()]);
        if is_all || first.seq <= known.next() {
            self.0.receipts.taken((last.conversation, side), last.seq);
        }
    }

    /// A person was handed a message from the log, and all between `after` and it.
    pub(in crate::desk) fn note_replayed(&self, person: &Person, told: &EntryEvent, after: Seq) {
        let members = told.parties.conversation.members;
        if let Some(side) = members.side_of(person.id, person.role.is_agent())
            && side != told.entry.side
        {
            self.0.receipts.replayed((told.entry.conversation, side), after, told.entry.seq);
        }
    }

    pub(in crate::desk) async fn keep_receipts(&self) {
        let mut tick = tokio::time::interval(PERIOD);
        let mut looks = 0;
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
            looks = (looks + 1) % LOOKS;
            if looks == 0 && !self.write_receipts().await {
                tokio::time::sleep(RETRY).await;
            }
        }
    }

    /// Writes down at once what is noted. A failure is told to nobody: the notes stay, and the next time may succeed. Tells
    /// whether it worked.
    pub(in crate::desk) async fn write_receipts(&self) -> bool {
        let receipts = self.0.receipts.take_unwritten();
        if receipts.is_empty() {
            return true;
        }
        let written = self.0.stores.conversations.note_receipts(receipts.clone()).await;
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
            let conversations = &self.0.stores.conversations;
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

    /// Whether the other side said something beyond `after` and before `before` that is still there.
    async fn is_anything_between(&self, (id, side): Key, mut after: Seq, before: Seq) -> Result<bool, StoreError> {
        loop {
            let page = self.0.stores.conversations.entries_after(id, after, PAGE).await?;
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
        // A step that a later one covers as well is not told.
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
        // Nothing that can fail comes after this, else a failure would swallow the news.
        self.0.receipts.told(key, track.told, (reach, read));
        for recipient in recipients {
            for event in &events {
                self.0.presence.tell(recipient, event);
            }
        }
        Ok(())
    }

    /// Those of one side who are there and want to be told.
    fn who_wants_receipts(&self, members: Members, side: Side) -> Vec<UserId> {
        let wants_them = |recipient: &UserId| {
            let connections = self.0.presence.connections(*recipient);
            members.side_of(*recipient, true) == Some(side) && connections.iter().any(|it| it.wants_receipts())
        };
        self.recipients(members).into_iter().filter(wants_them).collect()
    }
}
