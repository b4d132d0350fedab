//! Submissions for tests.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::submission::{Submission, SubmitResult, Waiting};
use crate::domain::{
    Conversation, ConversationId, Draft, DraftKind, Members, Parties, Person, Seq, Side, Timestamp, UserId,
};

/// A read mark for a conversation that need not exist, and where its outcome arrives.
pub(super) fn read_mark(id: ConversationId) -> (Submission, oneshot::Receiver<SubmitResult>) {
    let (at, author) = (Timestamp::default(), Arc::new(Person::deleted(UserId::from_bytes([1; 12]))));
    let members = Members::Support { customer: author.id };
    let conversation = Conversation { id, number: 1, uuid: 1, members, created_at: at };
    let parties = Parties { conversation, customer: author.clone(), desk: author.clone() };
    let kind = DraftKind::Read { up_to: Seq::new(1) };
    let draft = Draft { conversation: id, author: author.id, side: Side::Customer, at, kind };
    let mut submission = Submission::new(draft, parties, author);
    let (answer, answered) = oneshot::channel();
    submission.publication.waiting = Some(Waiting::Entry(answer));
    (submission, answered)
}
