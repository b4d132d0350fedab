//! Imports messages that only the old server knows into the log.
//!
//! Such a message has no `conversation`. It becomes an entry under its own id, after which the mirror adds our fields
//! to it. Messages without the field are the work list, so an import that was killed continues where it was, and one
//! that has nothing to do changes nothing. An existing entry is found by its id.
//!
//! Old read flags become read marks: each side has read everything before the first message that is still unread.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bson::{Bson, Document, doc};
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};

use super::connection::within;
use super::documents::{EntryDocument, MESSAGES, object_id, our_fields, whole};
use super::mirror::NOBODY;
use super::old_messages::OldMessage;
use super::updates::{Scope, Update};
use super::{MongoStore, Shared, queries};
use crate::domain::{
    Conversation, ConversationId, Draft, DraftKind, Entry, Members, MessageBody, MessageId, Seq, Side, Summary,
    Timestamp, UserId,
};
use crate::store::{AppendError, Appended, StoreError};

/// Receives the progress: messages done, and the total.
pub type Progress<'a> = &'a (dyn Fn(u64, u64) + Sync);

/// Appends drafts: [`ConversationStore::append`](crate::store::ConversationStore::append), or a function around it.
pub type Append<'a> = &'a (dyn Fn(Vec<Draft>) -> BoxFuture<'a, Vec<Result<Appended, AppendError>>> + Sync);

/// Messages in one batch.
const BATCH: i64 = 500;

/// How long an append of a batch may take. No client is waiting for it.
const PATIENCE: Duration = Duration::from_mins(1);

/// Conversations that are processed at the same time.
const AT_ONCE: usize = 8;

impl MongoStore {
    /// Imports the messages of an old database. Can be stopped at any point and run again. Returns how many messages it
    /// imported.
    ///
    /// # Errors
    /// [`StoreError`] if the server fails; what was imported so far stays.
    pub async fn migrate(&self, progress: Progress<'_>) -> Result<u64, StoreError> {
        let total = self.shared.messages.count_documents(queries::messages_without_conversation()).await?;
        let append = |drafts| self.append_in_lanes(drafts, PATIENCE).boxed();
        self.take_in_all(&append, |done| progress(done, total.max(done))).await
    }

    /// Imports what the old server has written since the last call, while both servers run. `append` may also publish
    /// the entries. Returns how many messages it imported.
    ///
    /// # Errors
    /// As [`MongoStore::migrate`].
    pub async fn pick_up(&self, append: Append<'_>) -> Result<u64, StoreError> {
        self.take_in_all(append, |_| ()).await
    }

    async fn take_in_all(&self, append: Append<'_>, progress: impl Fn(u64) + Sync) -> Result<u64, StoreError> {
        self.finish(append, &within(self.shared.begun()).await?).await?;
        let mut done = 0;
        loop {
            let oldest = self.shared.messages.find(queries::messages_without_conversation());
            let oldest = oldest.sort(queries::oldest_first()).limit(BATCH).await?;
            let batch: Vec<Document> = oldest.try_collect().await?;
            if batch.is_empty() {
                return Ok(done);
            }
            done += batch.len() as u64;
            self.take_in(append, batch).await?;
            progress(done);
        }
    }

    async fn take_in(&self, append: Append<'_>, batch: Vec<Document>) -> Result<(), StoreError> {
        let mut messages = Vec::with_capacity(batch.len());
        for document in batch {
            match OldMessage::read(&document) {
                Ok(message) => messages.push(message),
                Err(field) => self.shared.leave_out(&document, field).await?,
            }
        }
        self.shared.straighten(&messages).await?;
        // Searched in all conversations: if the role of an account has changed since, the message is in another one,
        // and a sharded collection enforces unique ids on each shard only.
        let mut kept = within(self.shared.entries_of(&messages)).await?;
        let known: HashSet<MessageId> = kept.iter().filter_map(Entry::message).map(|message| message.id).collect();
        messages.retain(|message| !known.contains(&message.id));
        let drafts = self.shared.drafts(messages).await?;
        let of_kept = kept.iter().map(|entry| entry.conversation);
        let touched: HashSet<ConversationId> = drafts.iter().map(|draft| draft.conversation).chain(of_kept).collect();
        let touched: Vec<ConversationId> = touched.into_iter().collect();
        within(self.shared.begin(&touched)).await?;
        for answer in append(drafts).await {
            match answer {
                Ok(Appended::Already(entry)) => kept.push(entry),
                // The mirror adds our fields to these.
                Ok(Appended::New(_) | Appended::Unchanged { .. }) => {}
                Err(AppendError::Store(error)) => return Err(error),
                Err(AppendError::NoConversation(id)) => {
                    return Err(StoreError::Corrupt(format!("conversation {id} is gone")));
                }
            }
        }
        self.finish(append, &touched).await?;
        // The mirror may be past these already, since their entries are older.
        let stamp = |entry: &Entry| {
            entry.message().map(|message| Update {
                filter: queries::message(message.id),
                change: doc! { "$set": our_fields(entry, message) },
                scope: Scope::One,
            })
        };
        self.shared.update_all(MESSAGES, kept.iter().filter_map(stamp).collect()).await.map(drop)
    }

    /// Brings the read marks of these conversations in line with the old read flags.
    async fn finish(&self, append: Append<'_>, begun: &[ConversationId]) -> Result<(), StoreError> {
        if begun.is_empty() {
            return Ok(());
        }
        self.shared.copy_now(begun).await?;
        let marks = stream::iter(begun.to_vec()).map(|id| within(self.shared.read_marks(id))).buffer_unordered(AT_ONCE);
        let marks: Vec<Vec<Draft>> = marks.try_collect().await?;
        for answer in append(marks.into_iter().flatten().collect()).await {
            if let Err(AppendError::Store(error)) = answer {
                return Err(error);
            }
        }
        within(self.shared.end(begun)).await
    }
}

impl Shared {
    /// The existing entries of these messages.
    async fn entries_of(&self, messages: &[OldMessage]) -> Result<Vec<Entry>, StoreError> {
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let found: Vec<EntryDocument> = self.entries.find(queries::with_ids_of(&ids)).await?.try_collect().await?;
        found.into_iter().map(Entry::try_from).collect()
    }

    /// These messages as drafts, in their order.
    async fn drafts(&self, messages: Vec<OldMessage>) -> Result<Vec<Draft>, StoreError> {
        let people: HashSet<UserId> = messages.iter().flat_map(|message| [message.sender, message.receiver]).collect();
        let people: Vec<UserId> = people.into_iter().collect();
        let users = within(self.users_with(&people)).await?;
        let agents: HashSet<UserId> = users.iter().filter(|user| user.role.is_agent()).map(|user| user.id).collect();
        let desk: HashSet<UserId> = within(self.desk_ids()).await?.iter().map(|id| id.user).collect();
        let mut first: HashMap<Members, Timestamp> = HashMap::new();
        for message in &messages {
            first.entry(message.members(&agents, &desk)).or_insert(message.at);
        }
        let open = |(members, at)| within(self.open(members, at));
        let opened: Vec<Conversation> = stream::iter(first).map(open).buffer_unordered(AT_ONCE).try_collect().await?;
        let opened: HashMap<Members, ConversationId> =
            opened.into_iter().map(|conversation| (conversation.members, conversation.id)).collect();
        let draft = |message: OldMessage| {
            let members = message.members(&agents, &desk);
            let side = match members {
                Members::Support { customer } if customer == message.sender => Side::Customer,
                Members::Support { .. } => Side::Desk,
                Members::Direct { .. } => members.side_of(message.sender, false)?,
            };
            let body = MessageBody::stored(message.text);
            Some(Draft {
                conversation: *opened.get(&members)?,
                author: message.sender,
                side,
                at: message.at,
                kind: DraftKind::Message { id: message.id, body, client_id: None, extras: None },
            })
        };
        Ok(messages.into_iter().filter_map(draft).collect())
    }

    /// Rewrites malformed fields with the type that the old server uses, so that it reads them the same way.
    async fn straighten(&self, messages: &[OldMessage]) -> Result<(), StoreError> {
        let odd = messages.iter().filter(|message| !message.odd.is_empty());
        let straight = odd.map(|message| {
            let fields: Vec<&String> = message.odd.keys().collect();
            let id = message.id;
            tracing::warn!(message.id = %id, ?fields, "Message {id} has malformed fields and was read as far as possible");
            Update {
                filter: queries::message(message.id),
                change: doc! { "$set": message.odd.clone() },
                scope: Scope::One,
            }
        });
        self.update_all(MESSAGES, straight.collect()).await.map(drop)
    }

    /// Marks an unreadable document, so that it is skipped from now on.
    async fn leave_out(&self, document: &Document, field: &str) -> Result<(), StoreError> {
        let Some(id) = document.get("_id") else { return Ok(()) };
        tracing::warn!(message.id = %id, field, "Skipped document {id} of {MESSAGES}: its {field} is not that of a message");
        let change = doc! { "$set": { "conversation": false } };
        self.messages.update_one(queries::no_message(id), change).await?;
        Ok(())
    }

    /// What each side has read according to the flags, up to the last entry that was copied.
    async fn read_marks(&self, id: ConversationId) -> Result<Vec<Draft>, StoreError> {
        let Some(kept) = self.conversations.find_one(queries::conversation(id)).await? else { return Ok(Vec::new()) };
        let mirrored = Seq::new(whole(kept.mirrored));
        let summary = Summary::try_from(kept)?;
        let mut marks = Vec::new();
        for side in [Side::Customer, Side::Desk] {
            if summary.side(side).unread == 0 {
                continue;
            }
            let unread = self.messages.find_one(queries::flagged_unread(id, side.other(), mirrored));
            let first_unread = unread.sort(queries::by_seq()).await?;
            let first_unread = first_unread.and_then(|message| message.get_i64("seq").ok());
            let up_to = first_unread.map_or(mirrored, |seq| Seq::new(whole(seq)).previous());
            let author = match (summary.conversation.members, side) {
                (Members::Support { customer: reader } | Members::Direct { first: reader, .. }, Side::Customer)
                | (Members::Direct { second: reader, .. }, Side::Desk) => reader,
                (Members::Support { .. }, Side::Desk) => self.first_agent().await?.map_or(NOBODY, |user| user.id),
            };
            marks.push(Draft {
                conversation: id,
                author,
                side,
                at: summary.updated_at,
                kind: DraftKind::Read { up_to },
            });
        }
        Ok(marks)
    }

    /// Conversations whose read flags may not have become read marks yet, because an import was killed.
    async fn begun(&self) -> Result<Vec<ConversationId>, StoreError> {
        let Some(state) = self.state.find_one(pick_up()).await? else { return Ok(Vec::new()) };
        let ids = state.get_array("conversations").map(Vec::as_slice).unwrap_or_default();
        let ids = ids.iter().filter_map(Bson::as_object_id);
        Ok(ids.map(|id| ConversationId::from_bytes(id.bytes())).collect())
    }

    async fn begin(&self, ids: &[ConversationId]) -> Result<(), StoreError> {
        let change = doc! { "$addToSet": { "conversations": { "$each": object_ids(ids) } } };
        self.state.update_one(pick_up(), change).upsert(true).await?;
        Ok(())
    }

    async fn end(&self, ids: &[ConversationId]) -> Result<(), StoreError> {
        self.state.update_one(pick_up(), doc! { "$pullAll": { "conversations": object_ids(ids) } }).await?;
        Ok(())
    }
}

fn pick_up() -> Document {
    queries::state("pickUp")
}

fn object_ids(ids: &[ConversationId]) -> Vec<Bson> {
    ids.iter().map(|id| object_id(id.bytes()).into()).collect()
}
