//! One queue per conversation, with one batch at a time, so that a process never competes with itself for a seq. Batches of
//! different conversations run concurrently, up to a limit.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};

use super::connection::late;
use super::{MongoStore, Shared};
use crate::domain::{ConversationId, Draft, Summary};
use crate::store::{AppendError, Appended, StoreError};

/// Drafts that may wait in all lanes; more are refused.
const QUEUE: usize = 20_000;

/// Largest batch, which bounds how long the first draft of it waits.
const BATCH: usize = 256;

/// Lanes whose state is cached; beyond this number, idle ones are evicted and read again when needed.
const REMEMBERED: usize = 50_000;

/// Lanes that use the server at the same time.
const AT_ONCE: usize = 24;

type Answer = Result<Appended, AppendError>;

/// A draft, and the channel for its result.
type Asked = (Draft, oneshot::Sender<Answer>);

pub(super) struct Lanes {
    lanes: Mutex<Waiting>,
    turns: Semaphore,
}

#[derive(Default)]
struct Waiting {
    lanes: HashMap<ConversationId, Lane>,
    drafts: usize,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Asked>,
    runs: bool,
    /// The cached state of the conversation. It may be outdated, which an insert detects.
    known: Option<Summary>,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { lanes: Mutex::default(), turns: Semaphore::new(AT_ONCE) }
    }
}

impl MongoStore {
    /// Appends drafts, each in its conversation's lane. A result that is not there in time is a failure.
    pub(super) async fn append_in_lanes(&self, drafts: Vec<Draft>, patience: Duration) -> Vec<Answer> {
        let until = Instant::now() + patience;
        let (answers, idle) = self.shared.lanes.enqueue(drafts);
        for id in idle {
            // A separate task, so that a caller that is dropped does not stop drafts of others.
            self.tasks.spawn(run(self.shared.clone(), id));
        }
        let mut answered = Vec::with_capacity(answers.len());
        for answer in answers {
            answered.push(match timeout_at(until, answer).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_)) => Err(StoreError::Unavailable("too many messages are waiting to be stored".into()).into()),
                Err(_) => Err(late().into()),
            });
        }
        answered
    }
}

impl Lanes {
    /// Puts drafts into their lanes. Returns the channels of the results, and the lanes that have to be started. A
    /// draft that does not fit is dropped, and with it the sender of its result.
    fn enqueue(&self, drafts: Vec<Draft>) -> (Vec<oneshot::Receiver<Answer>>, Vec<ConversationId>) {
        let mut waiting = self.lock();
        let (mut answers, mut idle) = (Vec::with_capacity(drafts.len()), Vec::new());
        for draft in drafts {
            let (answer, answered) = oneshot::channel();
            answers.push(answered);
            if waiting.drafts >= QUEUE {
                continue;
            }
            waiting.drafts += 1;
            let id = draft.conversation;
            let lane = waiting.lanes.entry(id).or_default();
            lane.waiting.push_back((draft, answer));
            if !lane.runs {
                lane.runs = true;
                idle.push(id);
            }
        }
        (answers, idle)
    }

    /// The next batch of a lane, without drafts whose senders have given up. `None` if the lane is idle.
    fn next_batch(&self, id: ConversationId) -> Option<(Vec<Asked>, Option<Summary>)> {
        let mut waiting = self.lock();
        let Waiting { lanes, drafts } = &mut *waiting;
        let lane = lanes.entry(id).or_default();
        let count = lane.waiting.len().min(BATCH);
        *drafts -= count;
        let batch: Vec<_> = lane.waiting.drain(..count).filter(|(_, answer)| !answer.is_closed()).collect();
        if !batch.is_empty() || !lane.waiting.is_empty() {
            return Some((batch, lane.known.take()));
        }
        lane.runs = false;
        if lane.known.is_none() {
            lanes.remove(&id);
        } else if lanes.len() > REMEMBERED {
            // Half of the idle ones: if all were evicted, all would have to be read again at once.
            let mut is_kept = false;
            lanes.retain(|_, lane| {
                is_kept = !is_kept;
                is_kept || lane.runs
            });
        }
        None
    }

    fn remember(&self, id: ConversationId, known: Option<Summary>) {
        if let Some(lane) = self.lock().lanes.get_mut(&id) {
            lane.known = known;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.lanes.lock()
    }
}

/// Works through a lane until nothing waits there.
async fn run(shared: Arc<Shared>, id: ConversationId) {
    let _guard = Guard { lanes: &shared.lanes, id };
    loop {
        let Ok(_turn) = shared.lanes.turns.acquire().await else { return };
        let Some((batch, known)) = shared.lanes.next_batch(id) else { return };
        if batch.is_empty() {
            shared.lanes.remember(id, known);
            continue;
        }
        let (drafts, senders): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
        let (answers, known) = shared.append_to(id, known, drafts).await;
        shared.lanes.remember(id, known);
        for (sender, answer) in senders.into_iter().zip(answers) {
            // The receiver is gone if the caller was dropped.
            drop(sender.send(answer));
        }
    }
}

/// Clears a lane whose task panicked, so that it can be started again.
struct Guard<'a> {
    lanes: &'a Lanes,
    id: ConversationId,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut waiting = self.lanes.lock();
            if let Some(lane) = waiting.lanes.remove(&self.id) {
                waiting.drafts -= lane.waiting.len();
            }
        }
    }
}
