//! Imports messages into the logs of their conversations.

use std::collections::HashMap;

use super::dump::MessageAt;
use super::rooms::RoomTaken;
use super::rows::{MessageFields, Row};
use super::{DjangoError, Note, Taking};
use crate::domain::{
    Draft, DraftKind, Entry, EntryKind, Message, MessageBody, MessageExtras, Seq, Side, Timestamp, UserId,
};
use crate::json;
use crate::store::{Appended, MAX_PAGE};

/// How many messages are stored at once.
const CHUNK: usize = 500;

/// A log that is being imported.
struct Log<'a> {
    room: &'a RoomTaken,
    /// Seqs and numbers of the messages of the dump that it already has, by their old keys.
    kept: HashMap<u64, (Seq, u64)>,
    /// Whether it has messages that are not from the dump.
    has_others: bool,
    /// Whether it has read marks or status changes.
    has_marks: bool,
    /// What each side has read, by [`Side::index`].
    read: [Reading; 2],
    /// Messages that are not stored yet.
    waiting: Vec<Waiting>,
    appended: u64,
    last_at: Timestamp,
}

struct Waiting {
    pk: u64,
    is_read: bool,
    draft: Draft,
}

/// What a side has read: everything before its first unread message.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    up_to: Seq,
    is_over: bool,
    /// Messages that were read, but come after the first unread one.
    beyond: u64,
}

impl Taking<'_> {
    pub(super) async fn take_log(&mut self, room: &RoomTaken, messages: &[MessageAt]) -> Result<(), DjangoError> {
        let mut log = self.open_log(room).await?;
        for chunk in messages.chunks(CHUNK) {
            let texts = self.dump.texts(chunk.iter().map(MessageAt::span).collect()).await?;
            for (message, text) in chunk.iter().zip(texts) {
                let fields = serde_json::from_str::<Row<'_>>(&text)
                    .and_then(|row| json::read::<MessageFields>(row.fields.get().as_bytes()));
                match fields {
                    Ok(fields) => self.take_message(&mut log, message, fields).await?,
                    Err(_) => self.report.note(&self.dump.labels.message, Note::Unreadable, message.pk),
                }
            }
            self.keep(&mut log).await?;
            self.look(chunk.len());
        }
        self.mark(log).await
    }

    async fn open_log<'a>(&self, room: &'a RoomTaken) -> Result<Log<'a>, DjangoError> {
        let mut log = Log {
            room,
            kept: HashMap::new(),
            has_others: false,
            has_marks: false,
            read: [Reading::default(); 2],
            waiting: Vec::new(),
            appended: 0,
            last_at: room.updated_at,
        };
        let mut after = Seq::ZERO;
        loop {
            let entries = self.to.stores.conversations.entries_after(room.conversation, after, MAX_PAGE).await?;
            let Some(last) = entries.last() else { return Ok(log) };
            after = last.seq;
            for entry in &entries {
                match entry.message() {
                    Some(message) => match message.client_id.as_ref().and_then(|id| self.ids.pk(id)) {
                        Some(pk) => drop(log.kept.insert(pk, (entry.seq, message.number))),
                        None => log.has_others = true,
                    },
                    None => log.has_marks = true,
                }
            }
        }
    }

    async fn take_message(
        &mut self,
        log: &mut Log<'_>,
        message: &MessageAt,
        fields: MessageFields,
    ) -> Result<(), DjangoError> {
        let side = fields.side();
        let id = self.ids.message(message.pk, message.at);
        if let Some((seq, _)) = log.kept.get(&message.pk) {
            self.report.taken(&self.dump.labels.message, false);
            log.read[side.other().index()].note(fields.is_read, *seq);
            return self.copy_later(message.pk, id, &fields).await;
        }
        if let Some(answered) = fields.reply_to
            && log.waiting.iter().any(|waiting| waiting.pk == answered)
        {
            self.keep(log).await?;
        }
        let extras = MessageExtras {
            reply_to: self.answered(log, message.pk, &fields),
            attachment: self.attachment(message.pk, &fields).await?,
        };
        let text = fields.content.replace('\0', "");
        let text = match &extras.attachment {
            Some(attachment) if text.trim().is_empty() => attachment.name.clone(),
            _ => text,
        };
        let Ok(body) = MessageBody::parse(&text, usize::MAX) else {
            self.report.note(&self.dump.labels.message, Note::Blank, message.pk);
            return Ok(());
        };
        let draft = Draft {
            conversation: log.room.conversation,
            author: self.author(log.room, message.pk, side, &fields),
            side,
            at: message.at,
            kind: DraftKind::Message { id, body, client_id: self.ids.client_id(message.pk), extras: extras.boxed() },
        };
        log.waiting.push(Waiting { pk: message.pk, is_read: fields.is_read, draft });
        Ok(())
    }

    /// The number of the message that this one replies to, if it is in the same conversation.
    fn answered(&mut self, log: &Log<'_>, pk: u64, fields: &MessageFields) -> Option<u64> {
        let answered = log.kept.get(&fields.reply_to?);
        if answered.is_none() {
            self.report.note(&self.dump.labels.message, Note::NoAnswered, pk);
        }
        answered.map(|(_, number)| *number)
    }

    fn author(&mut self, room: &RoomTaken, pk: u64, side: Side, fields: &MessageFields) -> UserId {
        let sender = fields.sender.and_then(|sender| self.people.accounts.get(&sender));
        match side {
            Side::Customer => {
                let author = sender.map_or(room.customer, |sender| sender.id);
                if author != room.customer || (fields.sender.is_some() && sender.is_none()) {
                    self.report.note(&self.dump.labels.message, Note::NotTheCustomer, pk);
                }
                author
            }
            Side::Desk => {
                let by_name = || self.people.agents.get(name_in(&fields.sender_name)).copied();
                sender.map(|sender| sender.id).or_else(by_name).unwrap_or_else(|| {
                    self.report.note(&self.dump.labels.message, Note::UnknownAgent, pk);
                    self.people.first_agent.map_or_else(|| self.ids.nobody(), |(_, id)| id)
                })
            }
        }
    }

    /// Stores the waiting messages.
    async fn keep(&mut self, log: &mut Log<'_>) -> Result<(), DjangoError> {
        let waiting = std::mem::take(&mut log.waiting);
        let conversations = &self.to.stores.conversations;
        let mut drafts = Vec::with_capacity(waiting.len());
        for Waiting { draft, .. } in &waiting {
            drafts.push(draft.clone());
        }
        let appended = conversations.append(drafts).await;
        for (Waiting { pk, is_read, draft, .. }, appended) in waiting.into_iter().zip(appended) {
            let (entry, is_new) = match appended? {
                Appended::New(entry) => (entry, true),
                Appended::Already(entry) => (entry, false),
                Appended::Unchanged { .. } => continue,
            };
            if let Entry { seq, kind: EntryKind::Message(Message { number, .. }), .. } = entry {
                log.kept.insert(pk, (seq, number));
                log.read[draft.side.other().index()].note(is_read, seq);
            }
            log.appended += u64::from(is_new);
            log.last_at = log.last_at.max(draft.at);
            self.report.taken(&self.dump.labels.message, is_new);
        }
        Ok(())
    }

    /// Imports read marks and the status, unless the conversation has changed here since.
    async fn mark(&mut self, log: Log<'_>) -> Result<(), DjangoError> {
        let model = &self.dump.labels.message;
        for reading in log.read.iter().filter(|reading| reading.beyond > 0 && log.appended > 0) {
            self.report.note_many(model, Note::UnreadAgain, reading.beyond, None::<&str>);
        }
        if log.has_others {
            if log.appended > 0 {
                self.report.note(&self.dump.labels.room, Note::MovedOn, log.room.conversation);
            }
            return Ok(());
        }
        if log.has_marks && log.appended == 0 {
            return Ok(());
        }
        let desk = self.people.first_agent.map_or_else(|| self.ids.nobody(), |(_, id)| id);
        let mark =
            |author, side, kind| Draft { conversation: log.room.conversation, author, side, at: log.last_at, kind };
        let mut drafts = Vec::new();
        for (author, side) in [(log.room.customer, Side::Customer), (desk, Side::Desk)] {
            let up_to = log.read[side.index()].up_to;
            drafts.push(mark(author, side, DraftKind::Read { up_to }));
        }
        if let Some(status) = log.room.status {
            drafts.push(mark(desk, Side::Desk, DraftKind::ChangeStatus { status }));
        }
        for appended in self.to.stores.conversations.append(drafts).await {
            appended?;
        }
        Ok(())
    }
}

impl Reading {
    fn note(&mut self, is_read: bool, seq: Seq) {
        match (is_read, self.is_over) {
            (true, false) => self.up_to = seq,
            (true, true) => self.beyond += 1,
            (false, _) => self.is_over = true,
        }
    }
}

/// How the storefront names an agent: `First Last (address)`, or by the username.
fn name_in(sender_name: &str) -> &str {
    let address = sender_name.strip_suffix(')').and_then(|name| name.rsplit_once('('));
    address.map_or(sender_name, |(_, address)| address)
}
