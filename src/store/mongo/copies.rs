//! Compares the copy in `messages` with the log, and rewrites it where it differs.
//!
//! The old server's own fields are compared only where the log is authoritative: who wrote what, and what was read. A message that the
//! log does not know as read may still be flagged by the old server.

use std::collections::HashMap;

use bson::oid::ObjectId;
use bson::{Document, doc};
use futures_util::TryStreamExt;

use super::connection::within;
use super::documents::{MESSAGES, object_id, our_fields, whole};
use super::mirror::{NOBODY, old_shape};
use super::updates::{Scope, Update};
use super::{Shared, queries};
use crate::domain::{Entry, Message, MessageBody, MessageId, Seq, Summary};
use crate::store::{MAX_PAGE, StoreError};

impl Shared {
    pub(super) async fn wrong_copies(&self, right: &Summary) -> Result<Vec<Seq>, StoreError> {
        let id = right.conversation.id;
        let kept = within(async { Ok::<_, StoreError>(self.conversations.find_one(queries::conversation(id)).await?) });
        if kept.await?.is_some_and(|kept| whole(kept.mirrored) < right.last_seq.get()) {
            // Copies that are only late, after an import or a crash, are not wrong. Every start updates them.
            self.copy_now(&[id]).await?;
        }
        let (mut wrong, mut after) = (Vec::new(), Seq::ZERO);
        loop {
            let page = within(self.entries_after(id, after, MAX_PAGE)).await?;
            let Some(last) = page.last() else { return Ok(wrong) };
            after = last.seq;
            let copies = within(self.copies_of(&page)).await?;
            let is_wrong = |(entry, message): &(&Entry, &Message)| {
                match (copies.get(&object_id(message.id.bytes())), message.text()) {
                    (Some(copy), Some(text)) => !says(copy, &truth(right, entry, message, text)),
                    // A deleted message has no copy.
                    (copy, text) => copy.is_some() || text.is_some(),
                }
            };
            wrong.extend(messages(&page).filter(is_wrong).map(|(entry, _)| entry.seq));
        }
    }

    pub(super) async fn repair_copies(&self, right: &Summary, wrong: &[Seq]) -> Result<(), StoreError> {
        let desk = within(self.first_agent()).await?.map_or(NOBODY, |user| user.id);
        for seqs in wrong.chunks(MAX_PAGE) {
            let entries = within(self.entries_at(right.conversation.id, seqs)).await?;
            let mend = |(entry, message): (&Entry, &Message)| {
                let text = message.text()?;
                let truth = truth(right, entry, message, text);
                let mut rest = old_shape(right, entry, text, desk);
                truth.keys().for_each(|known| drop(rest.remove(known)));
                let change = doc! { "$set": truth, "$setOnInsert": rest };
                Some(Update { filter: queries::message(message.id), change, scope: Scope::OneOrNew })
            };
            self.update_all(MESSAGES, messages(&entries).filter_map(mend).collect()).await?;
            let deleted = messages(&entries).filter(|(_, message)| message.text().is_none());
            let deleted: Vec<MessageId> = deleted.map(|(_, message)| message.id).collect();
            within(async {
                Ok::<_, StoreError>(self.messages.delete_many(queries::with_ids_of(&deleted)).await.map(drop)?)
            })
            .await?;
        }
        Ok(())
    }

    async fn copies_of(&self, entries: &[Entry]) -> Result<HashMap<ObjectId, Document>, StoreError> {
        let ids: Vec<MessageId> = messages(entries).map(|(_, message)| message.id).collect();
        let copies: Vec<Document> = self.messages.find(queries::with_ids_of(&ids)).await?.try_collect().await?;
        Ok(copies.into_iter().filter_map(|copy| Some((copy.get_object_id("_id").ok()?, copy))).collect())
    }
}

fn messages(entries: &[Entry]) -> impl Iterator<Item = (&Entry, &Message)> {
    entries.iter().filter_map(|entry| Some((entry, entry.message()?)))
}

/// The fields that a copy must have.
fn truth(right: &Summary, entry: &Entry, message: &Message, text: &MessageBody) -> Document {
    let mut truth = our_fields(entry, message);
    truth.insert("sender", object_id(entry.author.bytes()));
    truth.insert("message", text.as_str());
    if entry.seq <= right.side(entry.side.other()).read {
        truth.insert("read", true);
    }
    truth
}

fn says(copy: &Document, truth: &Document) -> bool {
    truth.iter().all(|(field, value)| copy.get(field) == Some(value))
}
