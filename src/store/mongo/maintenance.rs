//! Maintenance of the database.

use async_trait::async_trait;
use bson::doc;
use futures_util::TryStreamExt;

use super::connection::{is_duplicate, within};
use super::documents::{ConversationDocument, DeliveredDocument, EntryDocument, date, object_id, projection, whole};
use super::projection::bounded;
use super::user_documents::new_user;
use super::{MongoStore, Shared, queries, session_documents};
use crate::domain::{
    Conversation, ConversationId, DeskId, Entry, MessageExtras, MessageId, Seq, Summary, User, UserId,
};
use crate::store::maintenance::news;
use crate::store::{DeliveredCursor, Maintenance, MalformedRecord, NewUser, RestoreError, StoreError};

#[async_trait]
impl Maintenance for MongoStore {
    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        within(async {
            let after = after.map(|after| object_id(after.bytes()));
            let found = self.shared.users.find(queries::beyond(after)).sort(queries::by_id());
            let documents: Vec<_> = found.limit(bounded(limit)).await?.try_collect().await?;
            self.shared.all_numbered(documents).await
        })
        .await
    }

    async fn conversations_after(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        within(async {
            let after = after.map(|after| object_id(after.bytes()));
            let found = self.shared.conversations.find(queries::beyond(after)).sort(queries::by_id());
            let documents: Vec<ConversationDocument> = found.limit(bounded(limit)).await?.try_collect().await?;
            documents.into_iter().map(Summary::try_from).collect()
        })
        .await
    }

    async fn delivered_after(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<DeliveredCursor>, StoreError> {
        within(async {
            let found = self.shared.delivered.find(queries::delivered_beyond(user, after));
            let found = found.sort(queries::by_conversation()).limit(bounded(limit)).await?;
            let documents: Vec<DeliveredDocument> = found.try_collect().await?;
            let mark = |document: DeliveredDocument| DeliveredCursor {
                user,
                conversation: ConversationId::from_bytes(document.conversation.bytes()),
                up_to: Seq::new(whole(document.up_to)),
            };
            Ok(documents.into_iter().map(mark).collect())
        })
        .await
    }

    async fn malformed_records(&self, tell: &mut (dyn FnMut(MalformedRecord) + Send)) -> Result<(), StoreError> {
        self.shared.malformed_records(tell).await
    }

    async fn google_ids(&self, users: &[UserId]) -> Result<Vec<(UserId, String)>, StoreError> {
        within(self.shared.google_ids(users)).await
    }

    async fn fresh_conversation_number(&self) -> Result<u64, StoreError> {
        within(self.shared.numbers.conversations.take()).await
    }

    async fn restore_user(&self, user: User) -> Result<bool, RestoreError> {
        within(self.shared.restore_user(user)).await
    }

    async fn add_desk_id(&self, id: DeskId) -> Result<(), StoreError> {
        within(self.shared.add_desk_id(id)).await
    }

    async fn restore_google_id(&self, user: UserId, google_id: &str) -> Result<(), StoreError> {
        within(self.shared.restore_google_id(user, google_id)).await
    }

    async fn restore(&self, conversation: Conversation, entries: Vec<Entry>) -> Result<u64, RestoreError> {
        let restored = within(self.shared.restore(conversation, entries)).await;
        // The cached state may be outdated now, which an append detects when it finds the seq taken.
        self.shared.mirror.nudge(conversation.id);
        restored
    }

    async fn repair(&self, wrong: &Summary, right: &Summary) -> Result<bool, StoreError> {
        within(async {
            let unmoved = queries::conversation_at(wrong.conversation.id, wrong.last_seq);
            let update = self.shared.conversations.update_one(unmoved, doc! { "$set": projection(right) });
            Ok(update.await?.matched_count == 1)
        })
        .await
    }

    async fn repair_revision(
        &self,
        id: ConversationId,
        message: Seq,
        wrong: Option<Seq>,
        right: Option<&Entry>,
    ) -> Result<bool, StoreError> {
        self.shared.repair_revision(id, message, wrong, right).await
    }

    async fn replace_extras(&self, message: MessageId, extras: MessageExtras) -> Result<(), StoreError> {
        within(self.shared.replace_extras(message, extras)).await
    }

    async fn wrong_copies(&self, right: &Summary) -> Result<Vec<Seq>, StoreError> {
        self.shared.wrong_copies(right).await
    }

    async fn repair_copies(&self, right: &Summary, wrong: &[Seq]) -> Result<(), StoreError> {
        self.shared.repair_copies(right, wrong).await
    }
}

impl Shared {
    async fn restore_user(&self, user: User) -> Result<bool, RestoreError> {
        self.numbers.users.raise(user.number).await?;
        let what = || {
            RestoreError::Occupied(format!(
                "another account with the number, address, username or session of {}",
                user.id
            ))
        };
        let new = NewUser {
            id: user.id,
            name: user.name.clone(),
            email: user.email.clone(),
            password_hash: user.password_hash.clone(),
            role: user.role,
            status: user.status,
            pending_codes: user.pending_codes.clone(),
            profile: user.profile.clone(),
            at: user.created_at,
        };
        let mut document = new_user(&new, user.number);
        document.insert("updatedAt", date(user.updated_at));
        document.extend(session_documents::fields(&user.sessions));
        match self.users.clone_with_type().insert_one(document).await {
            Ok(_) => Ok(true),
            Err(error) if is_duplicate(&error) => {
                let kept = self.users.find_one(queries::user(user.id)).await.map_err(StoreError::from)?;
                if kept.is_some() { Ok(false) } else { Err(what()) }
            }
            Err(error) => Err(StoreError::from(error).into()),
        }
    }

    async fn restore(&self, conversation: Conversation, entries: Vec<Entry>) -> Result<u64, RestoreError> {
        let id = conversation.id;
        let summary = match self.summary_of(id).await? {
            Some(kept) if kept.conversation == conversation => kept,
            Some(_) => return Err(RestoreError::Occupied(format!("conversation {id}"))),
            None => {
                self.numbers.conversations.raise(conversation.number).await?;
                match self.conversations.insert_one(ConversationDocument::opened(conversation)).await {
                    Ok(_) => Summary::opened(conversation),
                    Err(error) if is_duplicate(&error) => {
                        return Err(RestoreError::Occupied(format!("another conversation of the members of {id}")));
                    }
                    Err(error) => return Err(StoreError::from(error).into()),
                }
            }
        };
        let Some(first) = entries.first() else { return Ok(0) };
        let kept = self.entries_after(id, first.seq.previous(), entries.len()).await?;
        let news = news(&kept, entries, summary.last_seq)?;
        if news.is_empty() {
            return Ok(0);
        }
        let highest = news.iter().filter_map(Entry::message).map(|message| message.number).max();
        self.numbers.messages.raise(highest.unwrap_or_default()).await?;
        let documents: Vec<EntryDocument> = news.iter().map(Into::into).collect();
        if let Err(error) = self.entries.insert_many(documents).await {
            return Err(match super::connection::stopped_by_duplicate(&error) {
                Some(_) => RestoreError::Occupied(format!("another message with an id of conversation {id}")),
                None => StoreError::from(error).into(),
            });
        }
        self.summary_of(id).await?;
        Ok(news.len() as u64)
    }
}
