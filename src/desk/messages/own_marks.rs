//! Read marks of agents that are being written, so that a list includes the agent's own marks.
//!
//! When a message arrives, a page with the open conversation sends a read mark on its socket and a request for the list at the same
//! moment. The list must not be read before the mark is durable, even if the request arrives first.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::domain::{ConversationId, Person, Timestamp, UserId};

/// The longest that a list waits for marks that have arrived.
const UNDER_WAY: Duration = Duration::from_secs(2);

/// The longest that a list waits for a mark that has probably been sent and has not arrived yet.
const EXPECTED: Duration = Duration::from_millis(250);

/// How old a message may be for its mark to be expected: the time it takes to the page and back.
const FRESH: Duration = Duration::from_secs(2);

/// The marks of one agent.
#[derive(Clone, Copy)]
struct Marks {
    /// The conversation of the last one, which is most likely open on the screen.
    conversation: ConversationId,
    under_way: usize,
    /// How many have ended, stored or not.
    done: u64,
}

/// The marks of every agent who has made one since the start.
#[derive(Default)]
pub(in crate::desk) struct OwnMarks(Mutex<HashMap<UserId, watch::Sender<Marks>>>);

/// A mark under way. It counts as done when this is dropped.
pub(in crate::desk) struct UnderWay(Option<watch::Sender<Marks>>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(marks) = &self.0 {
            marks.send_modify(|marks| {
                marks.under_way -= 1;
                marks.done += 1;
            });
        }
    }
}

impl OwnMarks {
    /// A mark of this person begins. Customers have no list, so theirs are not counted.
    pub(in crate::desk) fn begin(&self, reader: &Person, conversation: ConversationId) -> UnderWay {
        if !reader.role.is_agent() {
            return UnderWay(None);
        }
        let mut all = self.all();
        let marks = all
            .entry(reader.id)
            .or_insert_with(|| watch::Sender::new(Marks { conversation, under_way: 0, done: 0 }))
            .clone();
        drop(all);
        marks.send_modify(|marks| {
            marks.conversation = conversation;
            marks.under_way += 1;
        });
        UnderWay(Some(marks))
    }

    /// Waits until no mark of this person is being written. Returns a handle for later marks; `None` if there never was one.
    pub(in crate::desk) async fn settled(&self, reader: UserId) -> Option<LaterMarks> {
        let mut marks = self.all().get(&reader)?.subscribe();
        // A mark that takes longer is not worth waiting for; neither can the sender be gone.
        drop(timeout(UNDER_WAY, marks.wait_for(|marks| marks.under_way == 0)).await);
        let Marks { conversation, done, .. } = *marks.borrow();
        Some(LaterMarks { marks, conversation, done })
    }

    fn all(&self) -> MutexGuard<'_, HashMap<UserId, watch::Sender<Marks>>> {
        self.0.lock()
    }
}

/// An agent's marks after a certain moment.
pub(in crate::desk) struct LaterMarks {
    marks: watch::Receiver<Marks>,
    conversation: ConversationId,
    done: u64,
}

impl LaterMarks {
    /// Whether a mark in a conversation with unread messages is probably on its way: it is the one on the agent's screen, and its
    /// newest message has only just been sent.
    pub(in crate::desk) fn is_expected(&self, conversation: ConversationId, newest: Timestamp, now: Timestamp) -> bool {
        conversation == self.conversation && newest.until(now) < FRESH
    }

    /// Waits briefly for a mark. True if one arrived.
    pub(in crate::desk) async fn arrive(&mut self) -> bool {
        let done = self.done;
        let come = self.marks.wait_for(|marks| marks.done > done && marks.under_way == 0);
        matches!(timeout(EXPECTED, come).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Role;

    fn agent() -> Person {
        Person { role: Role::Agent, ..Person::deleted(UserId::from_bytes([1; 12])) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_waits_for_marks_under_way_and_no_longer() {
        let (all, agent, conversation) = (OwnMarks::default(), agent(), ConversationId::from_bytes([2; 12]));
        assert!(all.settled(agent.id).await.is_none());
        let mark = all.begin(&agent, conversation);
        let begun = tokio::time::Instant::now();
        let ended = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            drop(mark);
        };
        let (later, ()) = tokio::join!(all.settled(agent.id), ended);
        assert_eq!(begun.elapsed(), Duration::from_millis(30));
        let mut later = later.unwrap();
        assert!(!later.arrive().await, "there is none");
        drop(all.begin(&agent, conversation));
        assert!(later.arrive().await);
    }
}
