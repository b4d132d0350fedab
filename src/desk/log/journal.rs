//! The only way into the log: stores what waits, then publishes it in the order of the log.
//!
//! All drafts wait in one bounded queue. One task hands everything that waits to the store as one batch; a second one publishes what
//! was stored. So the entries of a conversation are published in `seq` order even if two people write at once, and the next batch is
//! stored while the last one is published.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::oneshot;

use super::follow_log::Told;
use crate::desk::Desk;
use crate::desk::messages::{SendMessageError, Sent};
use crate::domain::{ConnectionId, Draft, DraftKind, Entry, EntryEvent, Parties, Person};
use crate::store::{AppendError, Appended, StoreError};
use crate::supervise::essential;

/// Called once a message is durable and told, or refused.
pub type Answer = Box<dyn FnOnce(Result<Sent, SendMessageError>) + Send>;

/// What became of a submission; `None` if it was no news.
pub(in crate::desk) type Outcome = Result<Option<Sent>, SendMessageError>;

/// Who waits for what becomes of a submission.
pub(in crate::desk) enum Waiting {
    /// Whoever sent a message.
    ForMessage(Answer),
    /// Whoever wants something that may be no news.
    ForEntry(oneshot::Sender<Outcome>),
}

impl Waiting {
    fn answer(self, outcome: Outcome) {
        match self {
            Self::ForMessage(answer) => match outcome {
                Ok(Some(sent)) => answer(Ok(sent)),
                // A message is always news.
                Ok(None) => answer(Err(unanswered().into())),
                Err(error) => answer(Err(error)),
            },
            // Nobody listens any more if whoever asked is gone.
            Self::ForEntry(answer) => drop(answer.send(outcome)),
        }
    }
}

/// The store said nothing of a draft.
fn unanswered() -> StoreError {
    StoreError::Unavailable("what became of an entry is unknown".into())
}

/// The most that may wait; what comes beyond is refused with `busy`.
const WAITING: usize = 4096;

/// The most that is handed to the store at once.
const BATCH: usize = 256;

/// Bytes of text that may wait, and that are handed to the store at once. One text may always wait, however long.
const WAITING_BYTES: usize = 64 << 20;
const BATCH_BYTES: usize = 8 << 20;

/// Batches that may be kept before the first of them is told.
const KEPT_BATCHES: usize = 4;

/// An entry on its way into the log.
pub(in crate::desk) struct Submission {
    pub(in crate::desk) draft: Draft,
    pub(in crate::desk) parties: Parties,
    pub(in crate::desk) author: Arc<Person>,
    pub(in crate::desk) origin: Option<ConnectionId>,
    /// Of an edit or a deletion: the path to the attachment of the message that it is about.
    pub(in crate::desk) attachment_path: Option<String>,
    /// `None` for what nobody waits for.
    pub(in crate::desk) waiting: Option<Waiting>,
}

impl Submission {
    fn bytes(&self) -> usize {
        match &self.draft.kind {
            DraftKind::Message { body, .. } | DraftKind::Edit { body, .. } => body.as_str().len(),
            DraftKind::Read { .. } | DraftKind::ChangeStatus { .. } | DraftKind::Delete { .. } => 0,
        }
    }
}

/// What the store made of a submission; the draft it was is gone.
struct Kept {
    parties: Parties,
    author: Arc<Person>,
    origin: Option<ConnectionId>,
    attachment_path: Option<String>,
    waiting: Option<Waiting>,
    result: Result<Appended, AppendError>,
}

/// The line in which submissions wait.
pub(in crate::desk) struct Journal {
    line: Mutex<Option<mpsc::Sender<Submission>>>,
    /// Bytes of text that wait, those that are being kept included.
    bytes: AtomicUsize,
}

impl Journal {
    pub(in crate::desk) fn new() -> (Self, mpsc::Receiver<Submission>) {
        let (line, submissions) = mpsc::channel(WAITING);
        (Self { line: Mutex::new(Some(line)), bytes: AtomicUsize::new(0) }, submissions)
    }

    /// Puts a submission in line; answers at once if there is no place.
    pub(in crate::desk) fn submit(&self, submission: Submission) {
        let line = self.line.lock();
        let bytes = submission.bytes();
        // Counted before it is in line, since it may be out of it again a moment later.
        let waiting = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let (submission, error) = match line.as_ref() {
            None => (submission, SendMessageError::ShuttingDown),
            Some(_) if waiting > 0 && waiting.saturating_add(bytes) > WAITING_BYTES => {
                (submission, SendMessageError::Busy)
            }
            Some(line) => match line.try_send(submission) {
                Ok(()) => return,
                Err(TrySendError::Full(submission)) => (submission, SendMessageError::Busy),
                Err(TrySendError::Closed(submission)) => (submission, SendMessageError::ShuttingDown),
            },
        };
        drop(line);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(waiting) = submission.waiting {
            waiting.answer(Err(error));
        }
    }

    /// Fails if nothing will be kept any more although the journal was not closed.
    pub(in crate::desk) fn check(&self) -> Result<(), StoreError> {
        match self.line.lock().as_ref() {
            Some(line) if line.is_closed() => Err(StoreError::Unavailable("the journal has ended".into())),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes nothing more; what waits is still kept and told.
    pub(in crate::desk) fn close(&self) {
        self.line.lock().take();
    }
}

/// Takes all that waits, and lets everything that is ready to run do so for as long as that puts more in line: under load,
/// batches grow by what has arrived already, and a lone message waits for nothing.
async fn gather(submissions: &mut mpsc::Receiver<Submission>, waiting: &mut Vec<Submission>) {
    let mut bytes: usize = waiting.iter().map(Submission::bytes).sum();
    loop {
        tokio::task::yield_now().await;
        let before = waiting.len();
        while waiting.len() < BATCH
            && bytes < BATCH_BYTES
            && let Ok(submission) = submissions.try_recv()
        {
            bytes += submission.bytes();
            waiting.push(submission);
        }
        if waiting.len() == before || waiting.len() == BATCH || bytes >= BATCH_BYTES {
            return;
        }
    }
}

impl Desk {
    /// Puts a submission in line at once. Gives what becomes of it, once it is kept and told.
    pub(in crate::desk) fn append(&self, mut submission: Submission) -> impl Future<Output = Outcome> + use<> {
        let (answer, answered) = oneshot::channel();
        submission.waiting = Some(Waiting::ForEntry(answer));
        self.0.journal.submit(submission);
        async { answered.await.unwrap_or_else(|_| Err(unanswered().into())) }
    }

    /// Starts the two tasks. They end when the journal is closed and the line is empty.
    pub(in crate::desk) fn run_journal(&self, submissions: mpsc::Receiver<Submission>) {
        let (to_tell, kept) = mpsc::channel(KEPT_BATCHES);
        let (keeper, teller) = (self.clone(), self.clone());
        self.0.tasks.spawn(essential("journal", async move { keeper.keep(submissions, to_tell).await }));
        self.0.tasks.spawn(essential("journal publisher", async move { teller.tell_what_is_kept(kept).await }));
    }

    async fn keep(&self, mut submissions: mpsc::Receiver<Submission>, to_tell: mpsc::Sender<Vec<Kept>>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while let Some(first) = submissions.recv().await {
            waiting.push(first);
            // What is there already is older than anything that is told.
            self.published_up_to().await;
            gather(&mut submissions, &mut waiting).await;
            let bytes: usize = waiting.iter().map(Submission::bytes).sum();
            let mut drafts = Vec::with_capacity(waiting.len());
            let mut rests = Vec::with_capacity(waiting.len());
            for Submission { draft, parties, author, origin, attachment_path, waiting } in waiting.drain(..) {
                drafts.push(draft);
                rests.push((parties, author, origin, attachment_path, waiting));
            }
            let results = self.0.stores.conversations.append(drafts).await;
            self.0.journal.bytes.fetch_sub(bytes, Ordering::Relaxed);
            say_what_failed(&results);
            let results = results.into_iter().chain(std::iter::repeat_with(|| Err(unanswered().into())));
            let kept = rests.into_iter().zip(results);
            let kept = kept.map(|((parties, author, origin, attachment_path, waiting), result)| Kept {
                parties,
                author,
                origin,
                attachment_path,
                waiting,
                result,
            });
            if to_tell.send(kept.collect()).await.is_err() {
                return;
            }
        }
    }

    async fn tell_what_is_kept(&self, mut kept: mpsc::Receiver<Vec<Kept>>) {
        let mut told = Told::new(self.0.clock.now());
        while let Some(batch) = kept.recv().await {
            for kept in batch {
                if let Ok(Appended::New(entry)) = &kept.result {
                    self.tell_what_comes_before(entry, kept.parties.conversation, &mut told).await;
                }
                self.tell_and_answer(kept);
            }
            // A long line of full batches must not keep the sockets waiting.
            tokio::task::yield_now().await;
        }
    }

    fn tell_and_answer(&self, kept: Kept) {
        let Kept { parties, author, origin, attachment_path, waiting, result } = kept;
        let told = |entry: Entry, parties: Parties| {
            let attachment_path = attachment_path.or_else(|| self.attachment_path(entry.message()?));
            Arc::new(EntryEvent { parties, entry, author, origin, attachment_path, about: None })
        };
        let outcome = match result {
            Ok(Appended::New(entry)) => {
                let told = told(entry, parties);
                if told.is_message() {
                    self.stop_typing_what_is_sent(&told);
                }
                self.tell_entry(&told);
                Ok(Some(Sent { told, is_repeat: false }))
            }
            Ok(Appended::Already(entry)) => Ok(Some(Sent { told: told(entry, parties), is_repeat: true })),
            Ok(Appended::Unchanged) => Ok(None),
            Err(AppendError::NoConversation(_)) => Err(SendMessageError::NoAddressee),
            Err(AppendError::Store(error)) => Err(SendMessageError::Store(error)),
        };
        if let Some(waiting) = waiting {
            waiting.answer(outcome);
        }
    }
}

/// Once for a batch, since what befalls one entry mostly befalls all.
fn say_what_failed(results: &[Result<Appended, AppendError>]) {
    let failed = results.iter().filter_map(|result| match result {
        Err(AppendError::Store(error)) => Some(error),
        Ok(_) | Err(AppendError::NoConversation(_)) => None,
    });
    if let Some(error) = failed.clone().next() {
        let (count, of) = (failed.count(), results.len());
        tracing::warn!(%error, "Could not store {count} of {of} entries");
    }
}
