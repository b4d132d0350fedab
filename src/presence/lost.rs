//! Connections that broke, while their clients may still reconnect.
//!
//! The stream of such a connection is retained for a while. What is published to its person still counts as in flight on it, so it
//! records where its client began to miss entries, even while other connections of the person receive everything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::{Recognized, Stream};
use crate::domain::{ConversationId, EntryEvent, Seq, UserId};

/// The most lost connections of one person that are remembered.
const EACH: usize = 16;

/// By the person.
#[derive(Default)]
pub(super) struct LostStreams(HashMap<UserId, Vec<Lost>>);

struct Lost {
    by: Recognized,
    until: Instant,
    stream: Arc<Stream>,
}

impl LostStreams {
    pub(super) fn add(&mut self, user: UserId, by: Recognized, stream: Arc<Stream>, within: Duration) {
        let now = Instant::now();
        // Drops clients that never reconnected.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|_, lost| lost.iter().any(|lost| lost.until > now));
        }
        let lost = self.0.entry(user).or_default();
        lost.retain(|lost| lost.until > now);
        if lost.len() == EACH {
            lost.remove(0);
        }
        lost.push(Lost { by, until: now + within, stream });
    }

    /// A client has reconnected. Returns the first entry of each conversation that it may have missed.
    pub(super) fn take(&mut self, user: UserId, by: &Recognized) -> Vec<(ConversationId, Seq)> {
        let (Some(all), now) = (self.0.get_mut(&user), Instant::now()) else { return Vec::new() };
        let mut missed: HashMap<ConversationId, Seq> = HashMap::new();
        all.retain(|lost| {
            if lost.until > now && lost.by == *by {
                for (conversation, first, _) in lost.stream.spans() {
                    let known = missed.entry(conversation).or_insert(first);
                    *known = first.min(*known);
                }
            }
            lost.until > now && lost.by != *by
        });
        if all.is_empty() {
            self.0.remove(&user);
        }
        missed.into_iter().collect()
    }

    /// An entry is published to those connections of a person that take it.
    pub(super) fn note(&self, user: UserId, event: &EntryEvent, takes: impl Fn(&Stream) -> bool) {
        for lost in self.0.get(&user).into_iter().flatten().filter(|lost| takes(&lost.stream)) {
            if lost.by.room().is_none_or(|room| room == event.entry.conversation) {
                lost.stream.note_missed(event);
            }
        }
    }

    /// A client of this person has fetched a conversation up to here. A page fetches nothing when it reconnects.
    pub(super) fn confirm(&self, user: UserId, conversation: ConversationId, up_to: Seq) {
        for lost in self.0.get(&user).into_iter().flatten() {
            if lost.by.fetches_what_it_lost() {
                lost.stream.confirm(conversation, up_to);
            }
        }
    }
}
