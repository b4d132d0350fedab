//! That nothing counts as delivered or read before somebody across has said so, or has asked for it.

use std::time::Instant;

use super::actor::Actor;
use super::checks::Invariant;
use super::logs::{Logs, StoredConversation};
use super::transcript::{Extent, Taken, Told};
use crate::domain::{Side, Timestamp};

/// Holds what everybody was told of how far messages have come against what was taken before. Only those count as checked that
/// could have turned out to be false.
pub(super) fn receipts(logs: &Logs, actors: &[Actor]) -> Invariant {
    let mut invariant = Invariant::of("no receipt claims what had not happened");
    for kept in &logs.all {
        for side in [Side::Customer, Side::Desk] {
            let taken = TakenBy::side(kept, side, actors);
            let across = actors.iter().filter(|actor| kept.side_of(actor) == Some(side.other()));
            for actor in across {
                let here = actor.transcript.statuses.iter().filter(|told| told.conversation == kept.name(actor.face));
                for told in here {
                    check_receipt(kept, side, &taken, actor, told, &mut invariant);
                }
            }
        }
    }
    for actor in actors {
        for Told { conversation, .. } in &actor.transcript.statuses {
            let theirs = logs.called(actor.face, conversation).and_then(|kept| kept.side_of(actor));
            if theirs.is_none() {
                invariant.check(false, || format!("{} was told of {conversation}, which is not theirs", actor.name));
            }
        }
    }
    invariant
}

/// Holds one receipt against what `side`, which is the other one, has taken.
fn check_receipt(
    kept: &StoredConversation,
    side: Side,
    taken: &TakenBy,
    actor: &Actor,
    told: &Told,
    invariant: &mut Invariant,
) {
    let Told { conversation, status, up_to, at } = told;
    let broken = |known: u64| format!("{}: {conversation} is {status} up to {up_to}, not {known}", actor.name);
    if *up_to > kept.last {
        return invariant.check(false, || broken(kept.last));
    }
    // What is no message of one's own, or is one that was deleted, is given to nobody.
    let mut claimed = kept.messages.range(..=*up_to).rev();
    let claimed = claimed.find(|(_, message)| message.side == side.other() && message.now.is_some());
    let Some((seq, message)) = claimed else { return };
    let is_read = match status.as_str() {
        "sent" => return,
        "delivered" => false,
        "read" => true,
        _ => return invariant.check(false, || broken(0)),
    };
    if !taken.perhaps(is_read, message.at, *at) {
        let known = taken.surely(is_read, *at);
        invariant.check(known >= *seq, || broken(known));
    }
}

/// What one side of a conversation has taken.
struct TakenBy {
    /// When, whether by reading, and up to which seq; in the order of their times.
    known: Vec<(Instant, bool, u64)>,
    /// Asked and never answered: from when on, whether by reading, and what was said until when.
    unknown: Vec<(Instant, bool, Timestamp)>,
}

impl TakenBy {
    fn side(kept: &StoredConversation, side: Side, actors: &[Actor]) -> Self {
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for actor in actors.iter().filter(|actor| kept.side_of(actor) == Some(side)) {
            let name = kept.name(actor.face);
            for Taken { at, is_read, up_to } in &actor.transcript.taken {
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

    /// Up to where everything was taken before.
    fn surely(&self, by_reading: bool, before: Instant) -> u64 {
        let earlier = self.known.iter().take_while(|(at, ..)| *at <= before);
        let taken = earlier.filter(|(_, is_read, _)| *is_read || !by_reading);
        taken.map(|(_, _, up_to)| *up_to).max().unwrap_or_default()
    }

    /// Whether nobody knows, for somebody had asked, without an answer, when what was said at `said` was there.
    fn perhaps(&self, by_reading: bool, said: Timestamp, before: Instant) -> bool {
        self.unknown.iter().any(|(at, is_read, until)| *at <= before && said <= *until && (*is_read || !by_reading))
    }
}
