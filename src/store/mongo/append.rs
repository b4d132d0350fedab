//! Appends a batch of drafts of one conversation.
//!
//! Plans an entry for each draft, inserts those entries in order, then updates the projections: two round trips. An
//! insert stops at the first entry whose seq or client message id is taken. Then either the draft is stored already, or
//! another process has written in between: the end of the log is read again, and the remaining drafts are planned
//! again.
//!
//! An edit or a deletion depends on earlier edits of its message, and later drafts depend on it, so each is appended on
//! its own.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio::try_join;

use super::Shared;
use super::connection::{DEADLINE, copy, late, stopped_by_duplicate, within};
use super::documents::EntryDocument;
use super::queries;
use crate::domain::{
    ClientMessageId, ConversationId, Draft, DraftKind, Entry, EntryKind, Message, MessageId, ReadEffect, Recount, Seq,
    Side, Summary, UserId,
};
use crate::store::{AppendError, Appended, MAX_PAGE, StoreError};

/// First pause before reading again what another process has written.
const PAUSE: Duration = Duration::from_millis(2);

/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

type Answer = Result<Appended, AppendError>;

/// The plan for a draft.
#[expect(clippy::large_enum_variant, reason = "nearly all of them are of the large variant")]
enum Step {
    Insert {
        entry: Entry,
        recount: Recount,
    },
    Unchanged,
    /// The same message as an earlier draft of the batch.
    Repeats(usize),
}

/// A batch that is being appended.
struct Work {
    drafts: Vec<Draft>,
    /// The number of each message.
    numbers: Vec<u64>,
    answers: Vec<Option<Answer>>,
}

impl Shared {
    /// Appends drafts of one conversation, starting from its state if that is known. Returns the new state as well.
    pub(super) async fn append_to(
        &self,
        id: ConversationId,
        mut known: Option<Summary>,
        drafts: Vec<Draft>,
    ) -> (Vec<Answer>, Option<Summary>) {
        let mut answers = Vec::with_capacity(drafts.len());
        for drafts in in_runs(drafts) {
            let (more, now_known) = self.append_run(id, known, drafts).await;
            answers.extend(more);
            known = now_known;
        }
        self.mirror.nudge(id);
        (answers, known)
    }

    async fn append_run(
        &self,
        id: ConversationId,
        known: Option<Summary>,
        drafts: Vec<Draft>,
    ) -> (Vec<Answer>, Option<Summary>) {
        let mut work = Work { answers: drafts.iter().map(|_| None).collect(), numbers: Vec::new(), drafts };
        let known = match self.append_all(id, known, &mut work).await {
            Ok(known) => known,
            Err(error) => {
                for unanswered in work.answers.iter_mut().filter(|answer| answer.is_none()) {
                    *unanswered = Some(Err(match &error {
                        AppendError::NoConversation(id) => AppendError::NoConversation(*id),
                        AppendError::Store(error) => copy(error).into(),
                    }));
                }
                None
            }
        };
        (work.answers.into_iter().map(|answer| answer.unwrap_or_else(|| Err(late().into()))).collect(), known)
    }

    async fn append_all(
        &self,
        id: ConversationId,
        known: Option<Summary>,
        work: &mut Work,
    ) -> Result<Option<Summary>, AppendError> {
        let give_up = Instant::now() + DEADLINE;
        let mut pause = PAUSE;
        for draft in &work.drafts {
            let is_message = matches!(draft.kind, DraftKind::Message { .. });
            work.numbers.push(if is_message { within(self.numbers.messages.take()).await? } else { 0 });
        }
        let mut is_read = known.is_none();
        let mut summary = match known {
            Some(known) => known,
            None => self.read_again(id).await?,
        };
        loop {
            let before = summary.clone();
            let steps = within(self.decide(&summary, work)).await?;
            if !is_read && steps.iter().all(|(_, step)| step.entry().is_none()) {
                // Without an insert, nothing shows whether the cached state is outdated.
                is_read = true;
                let written = within(self.entries_after(id, summary.last_seq, MAX_PAGE)).await?;
                if !written.is_empty() {
                    within(self.fold(&mut summary, written)).await?;
                    continue;
                }
            }
            let stopped = within(self.insert(&steps)).await?;
            let reached = work.record(&steps, stopped, &mut summary);
            let is_moved = summary.last_seq == before.last_seq || self.project(&before, &summary, &steps).await;
            let Some((index, entry)) = reached else { return Ok(is_moved.then_some(summary)) };
            if !is_moved {
                summary = self.read_again(id).await?;
                continue;
            }
            let in_the_way = async {
                let written = self.entries_after(id, summary.last_seq, MAX_PAGE);
                try_join!(self.kept_before(entry), written)
            };
            let (first, written) = within(in_the_way).await?;
            if let Some(first) = first {
                work.answers[index] = Some(Ok(Appended::Already(first)));
            } else if Instant::now() + pause > give_up {
                return Err(StoreError::Unavailable("other processes keep writing to the conversation".into()).into());
            } else if written.is_empty() {
                // Reads return what a majority has, which may not have the other process's entry yet.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            // As long as the other process needs for its next batch, so that both make progress.
            within(self.fold(&mut summary, written)).await?;
        }
    }

    async fn read_again(&self, id: ConversationId) -> Result<Summary, AppendError> {
        within(self.summary_of(id)).await?.ok_or(AppendError::NoConversation(id))
    }

    /// Plans each draft without a result, assuming that no other process writes meanwhile.
    async fn decide(&self, summary: &Summary, work: &Work) -> Result<Vec<(usize, Step)>, StoreError> {
        let mut ahead = summary.clone();
        let mut steps: Vec<(usize, Step)> = Vec::new();
        let mut named: HashMap<(UserId, &ClientMessageId), usize> = HashMap::new();
        for (index, draft) in work.drafts.iter().enumerate() {
            if work.answers[index].is_some() {
                continue;
            }
            if let DraftKind::Message { client_id: Some(client_id), .. } = &draft.kind
                && let Some(first) = named.insert((draft.author, client_id), index)
            {
                named.insert((draft.author, client_id), first);
                steps.push((index, Step::Repeats(first)));
                continue;
            }
            let mut unread = 0;
            let kind = match &draft.kind {
                DraftKind::Message { id, body, client_id, extras } => Some(EntryKind::Message(Message {
                    id: *id,
                    number: work.numbers[index],
                    original: body.clone(),
                    client_id: client_id.clone(),
                    extras: extras.clone(),
                    revision: None,
                })),
                DraftKind::ChangeStatus { status } => {
                    (*status != ahead.status).then_some(EntryKind::StatusChanged { status: *status })
                }
                DraftKind::Read { up_to } => match ahead.read_effect(draft.side, *up_to) {
                    ReadEffect::Nothing => None,
                    ReadEffect::Everything => Some(EntryKind::Read { up_to: ahead.last_seq }),
                    ReadEffect::Part(up_to) => {
                        let from = draft.side.other();
                        unread = planned(&steps, from, up_to)
                            + self.count_messages(summary, from, up_to, summary.last_seq.next()).await?;
                        (unread != ahead.side(draft.side).unread).then_some(EntryKind::Read { up_to })
                    }
                },
                DraftKind::Edit { target, body } => {
                    let text = self.text(draft.conversation, target).await?;
                    let is_news = text.is_some_and(|text| text != *body);
                    is_news.then(|| EntryKind::Edited { target: *target, body: body.clone() })
                }
                DraftKind::Delete { target } => {
                    let text = self.text(draft.conversation, target).await?;
                    text.map(|_| EntryKind::Deleted { target: *target })
                }
            };
            let Some(kind) = kind else {
                steps.push((index, Step::Unchanged));
                continue;
            };
            let entry = Entry {
                conversation: draft.conversation,
                seq: ahead.last_seq.next(),
                author: draft.author,
                side: draft.side,
                at: draft.at.following(ahead.updated_at),
                kind,
            };
            // A read mark may cover entries that are planned before it and not in the log yet.
            let recount = match &entry.kind {
                EntryKind::Read { .. } => Recount { unread, ..Recount::default() },
                _ => self.recount(&ahead, &entry).await?,
            };
            ahead.apply(&entry, recount.clone());
            steps.push((index, Step::Insert { entry, recount }));
        }
        Ok(steps)
    }

    /// Inserts the entries in order. If a duplicate stopped the rest, returns how many were inserted.
    async fn insert(&self, steps: &[(usize, Step)]) -> Result<Option<usize>, StoreError> {
        let entries: Vec<EntryDocument> = steps.iter().filter_map(|(_, step)| step.entry()).map(Into::into).collect();
        if entries.is_empty() {
            return Ok(None);
        }
        match self.entries.insert_many(entries).await {
            Ok(_) => Ok(None),
            Err(error) => stopped_by_duplicate(&error).map(Some).ok_or_else(|| error.into()),
        }
    }

    /// Updates the state of the conversation from `before` to `after`, and returns whether that is what is stored now. The entries are
    /// durable, so a failure is repaired later: in the background, or by the next reader.
    async fn project(&self, before: &Summary, after: &Summary, steps: &[(usize, Step)]) -> bool {
        let inserted = steps.iter().filter_map(|(_, step)| step.entry()).filter(|entry| entry.seq <= after.last_seq);
        let revisions: Vec<_> = inserted.filter(|entry| entry.target().is_some()).cloned().collect();
        let moved = within(async {
            self.revise(&revisions).await?;
            self.move_forward(queries::conversation_as_in(before), after).await
        });
        moved.await.unwrap_or_else(|error: StoreError| {
            let id = after.conversation.id;
            tracing::warn!(
                %error, conversation.id = %id,
                "Could not update the projections of conversation {id}; they are updated with its next entry or when they are read"
            );
            self.mirror.nudge(id);
            false
        })
    }

    /// The stored entry of this message, if there is one: found by its client message id, or by its id.
    async fn kept_before(&self, entry: &Entry) -> Result<Option<Entry>, StoreError> {
        let Some(message) = entry.message() else { return Ok(None) };
        let named = async {
            let Some(client_id) = &message.client_id else { return Ok(None) };
            let named = queries::entry_by_client_id(entry.conversation, entry.author, client_id);
            Ok(self.entries.find_one(named).await?)
        };
        let (named, same) = try_join!(named, self.entry_of_message(entry.author, message.id))?;
        named.or(same).map(Entry::try_from).transpose()
    }

    async fn entry_of_message(&self, author: UserId, id: MessageId) -> Result<Option<EntryDocument>, StoreError> {
        Ok(self.entries.find_one(queries::entry_of_message(author, id)).await?)
    }
}

impl Step {
    const fn entry(&self) -> Option<&Entry> {
        match self {
            Self::Insert { entry, .. } => Some(entry),
            Self::Unchanged | Self::Repeats(_) => None,
        }
    }
}

impl Work {
    /// Records the results of the drafts up to the entry at which the insert `stopped`, and applies the inserted
    /// entries to the state. Returns that entry and its draft.
    fn record<'a>(
        &mut self,
        steps: &'a [(usize, Step)],
        stopped: Option<usize>,
        summary: &mut Summary,
    ) -> Option<(usize, &'a Entry)> {
        let mut inserted = 0;
        for (index, step) in steps {
            let answer = match step {
                Step::Insert { entry, .. } if stopped == Some(inserted) => return Some((*index, entry)),
                Step::Insert { entry, recount } => {
                    inserted += 1;
                    summary.apply(entry, recount.clone());
                    Appended::New(entry.clone())
                }
                Step::Unchanged => Appended::Unchanged { end: summary.last_seq },
                Step::Repeats(first) => match &self.answers[*first] {
                    Some(Ok(Appended::New(entry) | Appended::Already(entry))) => Appended::Already(entry.clone()),
                    // The first draft of the same message is before it in the batch, and all entries up to here were
                    // inserted.
                    _ => continue,
                },
            };
            self.answers[*index] = Some(Ok(answer));
        }
        None
    }
}

/// Groups drafts that are planned together: each edit or deletion on its own, and the drafts between them.
fn in_runs(drafts: Vec<Draft>) -> Vec<Vec<Draft>> {
    let is_alone = |draft: &Draft| matches!(draft.kind, DraftKind::Edit { .. } | DraftKind::Delete { .. });
    let mut runs: Vec<Vec<Draft>> = Vec::with_capacity(1);
    for draft in drafts {
        match runs.last_mut() {
            Some(run) if !is_alone(&draft) && !run.iter().any(is_alone) => run.push(draft),
            _ => runs.push(vec![draft]),
        }
    }
    runs
}

/// Messages of `side` beyond `after` that the steps would insert.
fn planned(steps: &[(usize, Step)], side: Side, after: Seq) -> u64 {
    let entries = steps.iter().filter_map(|(_, step)| step.entry());
    entries.map(|entry| u64::from(entry.side == side && entry.seq > after && entry.message().is_some())).sum()
}
