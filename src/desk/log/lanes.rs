//! The bounded queues in which submissions wait, one per lane.
//!
//! Within a lane, entries are stored and published in order, one batch at a time. Lanes do not wait for one another. A store that
//! numbers all entries in one order has a single lane, because entries must be published in that order. Any other store has a
//! lane per conversation, so that a conversation whose writes are slow delays no other one.
//!
//! A lane exists while something waits in it or is being stored or published.

use std::collections::hash_map::Entry::{Occupied, Vacant};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::submission::{Submission, SubmitError};
use crate::domain::ConversationId;
use crate::store::StoreError;

/// Submissions that may wait or be in the process of being stored, in all lanes; further ones are refused with `busy`. A single lane
/// has room for 4096 that wait while a batch is being stored.
const HELD: usize = 4096 + BATCH;

/// Submissions that may wait in the lane of one conversation.
const WAITING_PER_CONVERSATION: usize = 1024;

/// Bytes of text that may wait or be in the process of being stored. One text is always accepted, however long.
const WAITING_BYTES: usize = 64 << 20;

/// The same for the lane of one conversation.
const WAITING_BYTES_PER_CONVERSATION: usize = 16 << 20;

/// The most submissions that are stored as one batch.
pub(super) const BATCH: usize = 256;

/// The most bytes of text that are stored as one batch, unless the first text alone is longer.
const BATCH_BYTES: usize = 8 << 20;

/// Names a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum LaneId {
    /// The only lane of a store with one order of all entries.
    Store,
    /// A lane of any other store.
    Conversation(ConversationId),
}

pub(super) struct Lanes {
    /// Whether all entries have one order.
    is_ordered: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    lanes: HashMap<LaneId, Lane>,
    /// Of those that wait, and of the batches that are being stored.
    submissions: usize,
    bytes: usize,
    is_closed: bool,
    /// A lane or its publisher panicked.
    is_broken: bool,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Submission>,
    /// Of those that wait, and of the batch that is being stored.
    bytes: usize,
    pushed: Arc<Notify>,
}

/// A lane that has to be started.
pub(super) struct Start {
    pub(super) lane: LaneId,
    /// Notified when something was pushed.
    pub(super) pushed: Arc<Notify>,
}

impl Lanes {
    pub(super) fn new(is_ordered: bool) -> Self {
        Self { is_ordered, state: Mutex::default() }
    }

    /// Puts a submission into its lane, or refuses it at once. Returns the lane if it has to be started.
    pub(super) fn push(&self, submission: Submission) -> Option<Start> {
        let lane = if self.is_ordered { LaneId::Store } else { LaneId::Conversation(submission.draft.conversation) };
        let mut state = self.state();
        let bytes = submission.bytes();
        if let Err(error) = state.check_room(lane, bytes) {
            drop(state);
            submission.refuse(error);
            return None;
        }
        state.submissions += 1;
        state.bytes += bytes;
        let (known, is_new) = match state.lanes.entry(lane) {
            Occupied(known) => (known.into_mut(), false),
            Vacant(place) => (place.insert(Lane::default()), true),
        };
        known.waiting.push_back(submission);
        known.bytes += bytes;
        if is_new {
            return Some(Start { lane, pushed: known.pushed.clone() });
        }
        known.pushed.notify_one();
        None
    }

    /// Moves waiting submissions of a lane into a batch, as many as it has room for.
    pub(super) fn take(&self, lane: LaneId, batch: &mut Vec<Submission>) {
        let mut bytes: usize = batch.iter().map(Submission::bytes).sum();
        let mut state = self.state();
        let Some(known) = state.lanes.get_mut(&lane) else { return };
        while batch.len() < BATCH
            && bytes < BATCH_BYTES
            && let Some(submission) = known.waiting.pop_front()
        {
            bytes += submission.bytes();
            batch.push(submission);
        }
    }

    /// `count` submissions of a lane, of `bytes` in total, have been stored or refused.
    pub(super) fn release(&self, lane: LaneId, submissions: usize, bytes: usize) {
        let mut state = self.state();
        state.submissions -= submissions;
        state.bytes -= bytes;
        if let Some(known) = state.lanes.get_mut(&lane) {
            known.bytes -= bytes;
        }
    }

    /// Removes a lane unless something waits in it. True if it was removed.
    pub(super) fn end(&self, lane: LaneId) -> bool {
        let mut state = self.state();
        let is_idle = state.lanes.get(&lane).is_none_or(|known| known.waiting.is_empty());
        if is_idle {
            state.lanes.remove(&lane);
        }
        is_idle
    }

    /// Refuses further submissions. Those that wait are still stored and published.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
    }

    /// Refuses further submissions because a lane or its publisher panicked, and drops those that wait.
    pub(super) fn break_down(&self) {
        let dropped = {
            let mut state = self.state();
            state.is_broken = true;
            std::mem::take(&mut state.lanes)
        };
        drop(dropped);
    }

    /// Whether a lane or its publisher panicked.
    pub(super) fn is_broken(&self) -> bool {
        self.state().is_broken
    }

    /// Fails if the log has stopped storing submissions without having been closed.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let state = self.state();
        if state.is_broken && !state.is_closed {
            return Err(StoreError::Unavailable("the log has failed".into()));
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn check_room(&self, lane: LaneId, bytes: usize) -> Result<(), SubmitError> {
        if self.is_closed || self.is_broken {
            return Err(SubmitError::ShuttingDown);
        }
        let fits = |held: usize, most: usize| held == 0 || held.saturating_add(bytes) <= most;
        let mut has_room = self.submissions < HELD && fits(self.bytes, WAITING_BYTES);
        if let (LaneId::Conversation(_), Some(known)) = (lane, self.lanes.get(&lane)) {
            has_room &=
                known.waiting.len() < WAITING_PER_CONVERSATION && fits(known.bytes, WAITING_BYTES_PER_CONVERSATION);
        }
        if has_room { Ok(()) } else { Err(SubmitError::Busy) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::log::testing::read_mark;

    /// Pushes a submission for the nth conversation. Returns its lane, or `None` if it was refused with `busy`.
    fn push(lanes: &Lanes, n: usize) -> Option<LaneId> {
        let mut id = [0; 12];
        id[..8].copy_from_slice(&n.to_be_bytes());
        let conversation = ConversationId::from_bytes(id);
        let (submission, mut answered) = read_mark(conversation);
        lanes.push(submission);
        let lane = if lanes.is_ordered { LaneId::Store } else { LaneId::Conversation(conversation) };
        match answered.try_recv() {
            Ok(outcome) => {
                assert!(matches!(outcome, Err(SubmitError::Busy)), "{:?}", outcome.err());
                None
            }
            Err(_) => Some(lane),
        }
    }

    #[test]
    fn entries_that_lanes_have_picked_up_count_until_they_are_stored() {
        let lanes = Lanes::new(false);
        let mut picked_up = Vec::new();
        for n in 0..HELD {
            let lane = push(&lanes, n).unwrap();
            let mut batch = Vec::new();
            lanes.take(lane, &mut batch);
            assert_eq!(batch.len(), 1);
            picked_up.push(lane);
        }
        assert_eq!(push(&lanes, HELD), None);
        lanes.release(picked_up[0], 1, 0);
        assert!(push(&lanes, HELD).is_some());
        assert_eq!(push(&lanes, HELD + 1), None);
    }

    #[test]
    fn a_single_lane_has_room_for_4096_while_it_stores_a_batch() {
        let lanes = Lanes::new(true);
        for n in 0..BATCH {
            push(&lanes, n).unwrap();
        }
        let mut batch = Vec::new();
        lanes.take(LaneId::Store, &mut batch);
        assert_eq!(batch.len(), BATCH);
        for n in 0..4096 {
            push(&lanes, n).unwrap();
        }
        assert_eq!(push(&lanes, 4096), None);
        lanes.release(LaneId::Store, BATCH, 0);
        let mut next = Vec::new();
        lanes.take(LaneId::Store, &mut next);
        assert_eq!(next.len(), BATCH);
    }
}
