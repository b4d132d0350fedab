//! Checks that nothing is reported as delivered or read before a client of the other side confirmed or requested it.

use std::time::Instant;

use super::actor::Actor;
use super::checks::Invariant;
use super::logs::{Logs, StoredConversation};
use super::transcript::{Extent, Received, StatusEvent};
use crate::domain::{Side, Timestamp};

/// Compares every `message-status` with what the other side had received by then. Only those that could be wrong count as checks.
pub(super) fn receipts(logs: &Logs, actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("no receipt is sent before its cause");
    for kept in &logs.all {
        for side in [Side::Customer, Side::Desk] {
            let received = ReceivedBy::side(kept, side, actors);
            let across = actors.iter().filter(|actor| kept.side_of(actor) == Some(side.other()));
            for actor in across {
                let here =
                    actor.transcript.statuses.iter().filter(|receipt| receipt.conversation == kept.name(actor.face));
                for receipt in here {
                    check_receipt(kept, side, &received, actor, receipt, &mut invariant);
                }
            }
        }
    }
    for actor in actors {
        for StatusEvent { conversation, .. } in &actor.transcript.statuses {
            let theirs = logs.called(actor.face, conversation).and_then(|kept| kept.side_of(actor));
            if theirs.is_none() {
                invariant.check(false, || {
                    format!("{} received a receipt of {conversation}, which is not theirs", actor.name)
                });
            }
        }
    }
    invariant
}

/// Compares one receipt with what `side`, the other one, had received.
fn check_receipt(
    kept: &StoredConversation,
    side: Side,
    received: &ReceivedBy,
    actor: &Actor,
    receipt: &StatusEvent,
    invariant: &mut Invariant,
) {
    let StatusEvent { conversation, status, up_to, at } = receipt;
    let broken = |known: u64| format!("{}: {conversation} is {status} up to {up_to}, not {known}", actor.name);
    if *up_to > kept.last {
        return invariant.check(false, || broken(kept.last));
    }
    // Only own messages that are not deleted are delivered to the other side.
    let mut claimed = kept.messages.range(..=*up_to).rev();
    let claimed = claimed.find(|(_, message)| message.side == side.other() && message.now.is_some());
    let Some((seq, message)) = claimed else { return };
    let is_read = match status.as_str() {
        "sent" => return,
        "delivered" => false,
        "read" => true,
        _ => return invariant.check(false, || broken(0)),
    };
    if !received.perhaps(is_read, message.at, *at) {
        let known = received.surely(is_read, *at);
        invariant.check(known >= *seq, || broken(known));
    }
}

/// What one side of a conversation has received.
struct ReceivedBy {
    /// Time, whether it was read, and up to which seq; ordered by time.
    known: Vec<(Instant, bool, u64)>,
    /// Unanswered requests: time, whether they mark as read, and when the client gave up.
    unknown: Vec<(Instant, bool, Timestamp)>,
}

impl ReceivedBy {
    fn side(kept: &StoredConversation, side: Side, actors: &[Actor]) -> Self {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for actor in actors.iter().filter(|actor| kept.side_of(actor) == Some(side)) {
            let name = kept.name(actor.face);
            for Received { at, is_read, up_to } in &actor.transcript.received {
                match up_to {
                    Extent::Known(up_to) => {
                        let here = up_to.iter().filter(|(conversation, _)| conversation == name);
                        let seqs = here.filter_map(|(_, named)| kept.seq_of(actor.transcript.naming, *named));
                        known.extend(seqs.map(|seq| (*at, *is_read, seq)));
                    }
                    Extent::Unknown(until) => {
                        unknown.push((*at, *is_read, until.unwrap_or(Timestamp::from_millis(i64::MAX))));
                    }
                }
            }
        }
        known.sort_unstable();
        Self { known, unknown }
    }

    /// The seq up to which everything was certainly received before.
    fn surely(&self, by_reading: bool, before: Instant) -> u64 {
        let earlier = self.known.iter().take_while(|(at, ..)| *at <= before);
        let received = earlier.filter(|(_, is_read, _)| *is_read || !by_reading);
        received.map(|(_, _, up_to)| *up_to).max().unwrap_or_default()
    }

    /// Whether a message sent at `said` may have been received, because an unanswered request was pending.
    fn perhaps(&self, by_reading: bool, said: Timestamp, before: Instant) -> bool {
        self.unknown.iter().any(|(at, is_read, until)| *at <= before && said <= *until && (*is_read || !by_reading))
    }
}
