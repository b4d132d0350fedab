//! Implements the port for conversations.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use bson::oid::ObjectId;
use bson::{Document, doc};
use futures_util::{StreamExt, TryStreamExt};
use mongodb::Cursor;
use serde::Deserialize;
use tokio::time::timeout;

use super::connection::{DEADLINE, is_duplicate, late, within};
use super::documents::{CONVERSATIONS, ConversationDocument, DELIVERED, EntryDocument, int, object_id, reached, whole};
use super::projection::bounded;
use super::updates::{Scope, Update};
use super::{MongoStore, Shared, queries};
use crate::domain::{
    self, Conversation, ConversationId, Draft, Entry, Members, MessageId, Seq, Summary, Timestamp, UserId,
};
use crate::store::{
    AppendError, Appended, ConversationStore, DeliveredCursor, ListFor, MAX_PAGE, MessagePage, Missed, MovedCursors,
    Page, Receipt, StoreError, SummaryPage,
};

/// How long a health check may take.
const CHECK: Duration = Duration::from_secs(3);

#[async_trait]
impl ConversationStore for MongoStore {
    async fn open(&self, members: Members, at: Timestamp) -> Result<Conversation, StoreError> {
        within(self.shared.open(members, at)).await
    }

    async fn find(&self, members: Members) -> Result<Option<Conversation>, StoreError> {
        within(self.shared.find(members)).await
    }

    async fn summary(&self, id: ConversationId) -> Result<Option<Summary>, StoreError> {
        within(self.shared.summary_of(id)).await
    }

    async fn summary_by_uuid(&self, uuid: u128) -> Result<Option<Summary>, StoreError> {
        within(self.shared.summary_where(queries::conversation_by_uuid(uuid))).await
    }

    async fn summary_by_number(&self, number: u64) -> Result<Option<Summary>, StoreError> {
        within(self.shared.summary_where(queries::conversation_by_number(number))).await
    }

    async fn support(&self, skip: u64, limit: usize) -> Result<SummaryPage, StoreError> {
        let limit = limit.min(MAX_PAGE);
        within(async {
            let all = queries::all_support_conversations();
            let total = self.shared.conversations.count_documents(all.clone()).await?;
            if limit == 0 || skip >= total {
                return Ok(SummaryPage { summaries: Vec::new(), total });
            }
            let found = self.shared.conversations.find(all).sort(queries::changed_last_first());
            let found = found.skip(skip).limit(bounded(limit)).await?;
            Ok(SummaryPage { summaries: summaries(found).await?, total })
        })
        .await
    }

    async fn reassign(&self, id: ConversationId, customer: UserId) -> Result<bool, StoreError> {
        within(async {
            let change = doc! { "$set": { "customer": object_id(customer.bytes()) } };
            match self.shared.conversations.update_one(queries::support_conversation(id), change).await {
                Ok(updated) => Ok(updated.matched_count > 0),
                Err(error) if is_duplicate(&error) => Ok(false),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    async fn list(&self, list: ListFor, limit: usize) -> Result<Vec<Summary>, StoreError> {
        let limit = limit.min(MAX_PAGE);
        let mut summaries = within(self.shared.candidates(list, limit)).await?;
        summaries.sort_by_key(|summary| Reverse(summary.last_message.as_ref().map(|last| last.at)));
        summaries.truncate(limit);
        Ok(summaries)
    }

    async fn unread(&self, list: ListFor) -> Result<u64, StoreError> {
        within(self.shared.unread(list)).await
    }

    async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        self.append_in_lanes(drafts, DEADLINE).await
    }

    async fn entries_after(&self, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Entry>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        within(self.shared.entries_after(id, after, limit)).await
    }

    async fn messages_before(
        &self,
        id: ConversationId,
        before: Option<Seq>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        within(async {
            let found = self.shared.entries.find(queries::messages_before(id, before));
            let mut newest = found.sort(queries::newest_first()).limit(bounded(limit)).await?;
            let mut page = Page::default();
            while let Some(document) = newest.try_next().await? {
                if page.ends_with(Entry::try_from(document)?) {
                    break;
                }
            }
            page.entries.reverse();
            Ok(page.entries)
        })
        .await
    }

    async fn messages_from(&self, id: ConversationId, skip: u64, limit: usize) -> Result<MessagePage, StoreError> {
        within(async {
            let all = queries::messages_before(id, None);
            let total = self.shared.entries.count_documents(all.clone()).await?;
            if limit == 0 || skip >= total {
                return Ok(MessagePage { messages: Vec::new(), total });
            }
            let found = self.shared.entries.find(all).sort(queries::by_seq()).skip(skip).limit(bounded(limit)).await?;
            let messages: Vec<EntryDocument> = found.try_collect().await?;
            let messages = messages.into_iter().map(Entry::try_from).collect::<Result<_, _>>()?;
            Ok(MessagePage { messages, total })
        })
        .await
    }

    async fn entries_at(&self, id: ConversationId, seqs: &[Seq]) -> Result<Vec<Entry>, StoreError> {
        within(self.shared.entries_at(id, seqs)).await
    }

    async fn message(&self, id: MessageId) -> Result<Option<Entry>, StoreError> {
        within(async {
            let found = self.shared.entries.find_one(queries::message_entry(id)).await?;
            found.map(Entry::try_from).transpose()
        })
        .await
    }

    async fn messages_by_number(&self, numbers: &[u64]) -> Result<Vec<Entry>, StoreError> {
        let numbers = &numbers[..numbers.len().min(MAX_PAGE)];
        within(async {
            let found = self.shared.entries.find(queries::messages_by_number(numbers)).await?;
            let found: Vec<EntryDocument> = found.try_collect().await?;
            found.into_iter().map(Entry::try_from).collect()
        })
        .await
    }

    async fn stored_by(&self, author: UserId) -> Result<u64, StoreError> {
        within(self.shared.stored_by(author)).await
    }

    async fn advance_cursors(&self, moved: MovedCursors) -> Result<(), StoreError> {
        let delivered = |cursor: DeliveredCursor| Update {
            filter: queries::delivered(cursor.user, cursor.conversation),
            change: doc! { "$max": { "upTo": int(cursor.up_to.get()) } },
            scope: Scope::OneOrNew,
        };
        let receipt = |receipt: Receipt| Update {
            filter: queries::conversation(receipt.conversation),
            change: reached(receipt.side, receipt.cursor),
            scope: Scope::One,
        };
        let (of_people, of_sides) =
            (moved.delivered.into_iter().map(delivered), moved.receipts.into_iter().map(receipt));
        self.shared.update_all(DELIVERED, of_people.collect()).await?;
        self.shared.update_all(CONVERSATIONS, of_sides.collect()).await.map(drop)
    }

    async fn delivered(&self, id: ConversationId, user: UserId) -> Result<Option<Seq>, StoreError> {
        within(async {
            let found = self.shared.delivered.find_one(queries::delivered(user, id)).await?;
            Ok(found.map(|found| Seq::new(whole(found.up_to))))
        })
        .await
    }

    async fn missed(&self, list: ListFor, limit: usize) -> Result<Vec<Missed>, StoreError> {
        within(self.shared.missed(list, limit.min(MAX_PAGE))).await
    }

    /// Conversations can be on several shards, which have no order among them.
    async fn newest_number(&self) -> Result<Option<u64>, StoreError> {
        Ok(None)
    }

    async fn entries_since(&self, _: ListFor, _: u64, _: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        Ok(Vec::new())
    }

    async fn receipts(&self, id: ConversationId) -> Result<[domain::ReceiptCursor; 2], StoreError> {
        within(async {
            let found = self.shared.conversations.find_one(queries::conversation(id)).await?;
            Ok(found.map(|found| found.receipt_cursors()).unwrap_or_default())
        })
        .await
    }

    async fn check(&self) -> Result<(), StoreError> {
        // Shorter than other calls: a load balancer decides by the result where to send clients.
        timeout(CHECK, self.shared.check()).await.unwrap_or_else(|_| Err(late()))
    }
}

/// The result of the aggregation over unread counts.
#[derive(Deserialize)]
struct Total {
    unread: i64,
}

impl Shared {
    pub(super) async fn open(&self, members: Members, at: Timestamp) -> Result<Conversation, StoreError> {
        loop {
            if let Some(found) = self.find(members).await? {
                return Ok(found);
            }
            let conversation = Conversation {
                id: ConversationId::generate(at),
                number: self.numbers.conversations.take().await?,
                uuid: uuid::Uuid::new_v4().as_u128(),
                members,
                created_at: at,
            };
            match self.conversations.insert_one(ConversationDocument::opened(conversation)).await {
                Ok(_) => return Ok(conversation),
                // Somebody else has opened it meanwhile; it is found on the next attempt.
                Err(error) if is_duplicate(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn summary_where(&self, filter: Document) -> Result<Option<Summary>, StoreError> {
        match self.conversations.find_one(filter).await? {
            Some(found) => self.summary_of(found.conversation().id).await,
            None => Ok(None),
        }
    }

    async fn find(&self, members: Members) -> Result<Option<Conversation>, StoreError> {
        let found = self.conversations.find_one(queries::conversation_of(members)).await?;
        Ok(found.map(|found| found.conversation()))
    }

    /// Conversations with messages that the viewer may see; of an agent's support conversations the `limit` newest.
    async fn candidates(&self, list: ListFor, limit: usize) -> Result<Vec<Summary>, StoreError> {
        let user = list.user();
        let second = self.some_conversations(queries::direct_as_second(user));
        let (mut summaries, second) = match list {
            ListFor::Customer(_) => {
                tokio::try_join!(self.some_conversations(queries::conversations_as_customer(user)), second)?
            }
            ListFor::Agent(_) => {
                let first = self.some_conversations(queries::direct_as_first(user));
                let (mut first, second, support) =
                    tokio::try_join!(first, second, self.newest_support_conversations(limit))?;
                first.extend(support);
                (first, second)
            }
        };
        // A conversation with oneself is found by both queries.
        summaries.extend(second.into_iter().filter(|summary| !summary.conversation.members.is_with_oneself()));
        summaries.retain(|summary| summary.last_message.is_some());
        Ok(summaries)
    }

    async fn some_conversations(&self, filter: Document) -> Result<Vec<Summary>, StoreError> {
        summaries(self.conversations.find(filter).limit(bounded(MAX_PAGE)).await?).await
    }

    async fn newest_support_conversations(&self, limit: usize) -> Result<Vec<Summary>, StoreError> {
        let newest = self.conversations.find(queries::support_conversations()).sort(queries::newest_message_first());
        summaries(newest.limit(bounded(limit)).await?).await
    }

    async fn unread(&self, list: ListFor) -> Result<u64, StoreError> {
        let user = list.user();
        let first = match list {
            ListFor::Agent(_) => queries::direct_as_first(user),
            ListFor::Customer(_) => queries::conversations_as_customer(user),
        };
        let by_desk = async {
            match list {
                ListFor::Agent(_) => self.unread_by_the_desk().await,
                ListFor::Customer(_) => Ok(0),
            }
        };
        let second = self.some_conversations(queries::direct_as_second(user));
        let (by_desk, first, second) = tokio::try_join!(by_desk, self.some_conversations(first), second)?;
        let unread_of = |summary: &Summary| {
            summary.conversation.members.side_of(user, false).map_or(0, |side| summary.side(side).unread)
        };
        // A conversation with oneself has nothing unread, so it does not matter that both queries find it.
        Ok(by_desk + first.iter().chain(&second).map(unread_of).sum::<u64>())
    }

    async fn unread_by_the_desk(&self) -> Result<u64, StoreError> {
        let mut totals = self.conversations.aggregate(unread_pipeline()).with_type::<Total>().await?;
        Ok(totals.try_next().await?.map_or(0, |total| whole(total.unread)))
    }

    async fn missed(&self, list: ListFor, limit: usize) -> Result<Vec<Missed>, StoreError> {
        let user = list.user();
        let candidates = self.candidates(list, limit).await?;
        let ids = candidates.iter().map(|summary| summary.conversation.id);
        let mut recorded: HashMap<ObjectId, Seq> = HashMap::new();
        let mut marks = self.delivered.find(queries::delivered_in(user, ids)).await?;
        while let Some(mark) = marks.try_next().await? {
            recorded.insert(mark.conversation, Seq::new(whole(mark.up_to)));
        }
        let missed_in = |summary: Summary| {
            let conversation = summary.conversation;
            let side = conversation.members.side_of(user, list.is_agent())?;
            let mark = recorded.get(&object_id(conversation.id.bytes()));
            let after = mark.copied().unwrap_or(summary.side(side).read);
            let newest = summary.last_message.filter(|newest| newest.seq > after)?;
            Some((newest.at, Missed { conversation, after, last_seq: summary.last_seq }))
        };
        let mut missed: Vec<_> = candidates.into_iter().filter_map(missed_in).collect();
        missed.sort_by_key(|(at, _)| *at);
        Ok(missed.into_iter().map(|(_, missed)| missed).take(limit).collect())
    }
}

pub(super) fn unread_pipeline() -> Vec<Document> {
    vec![
        doc! { "$match": queries::unread_by_the_desk() },
        // Filters the documents that the index has found.
        doc! { "$match": { "status": { "$ne": "removed" } } },
        doc! { "$group": { "_id": null, "unread": { "$sum": "$deskUnread" } } },
    ]
}

async fn summaries(found: Cursor<ConversationDocument>) -> Result<Vec<Summary>, StoreError> {
    found.map(|document| Summary::try_from(document?)).try_collect().await
}
