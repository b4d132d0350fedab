//! What was acknowledged and heard, against what is kept.

use std::collections::BTreeMap;

use deskline::domain::{ConversationId, EntryKind};
use deskline::store::OpenStore;
use deskline::verify::{Repair, verify};

use crate::shared::{Account, all_logs};
use crate::talker::{Acked, Ledger, Seen};

/// Compares what was acknowledged and heard with what is kept. Gives how much was acknowledged.
#[expect(clippy::print_stderr, reason = "tells how much was at stake")]
pub(crate) async fn compare(opened: &OpenStore, agent: &Account, ledgers: &[(Account, Ledger)]) -> usize {
    let store = opened.stores().conversations;
    let logs = all_logs(&*store, agent.id).await;
    let mut kept: BTreeMap<String, BTreeMap<u64, Seen>> = BTreeMap::new();
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for (id, log) in &logs {
        for entry in log {
            let EntryKind::Message(message) = &entry.kind else { continue };
            let seen = Seen { id: message.id.to_string(), message: message.original.as_str().into() };
            *times.entry(seen.message.clone()).or_default() += 1;
            kept.entry(id.to_string()).or_default().insert(entry.seq.get(), seen);
        }
    }
    let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "kept more than once: {doubled:?}");
    let mut acked = 0;
    for (who, ledger) in ledgers {
        assert!(ledger.unacked.is_empty(), "{} was never answered: {:?}", who.name, ledger.unacked);
        acked += ledger.acked.len();
        for Acked { message, conversation, seq, id } in &ledger.acked {
            let there = kept.get(conversation).and_then(|log| log.get(seq));
            let expected = Seen { id: id.clone(), message: message.clone() };
            assert_eq!(there, Some(&expected), "acknowledged to {} and not kept as {conversation}/{seq}", who.name);
        }
        for (id, log) in &kept {
            let conversation: ConversationId = id.parse().unwrap();
            let summary = store.summary(conversation).await.unwrap().unwrap();
            let is_theirs = summary.conversation.members.side_of(who.id, who.role.is_agent()).is_some();
            let transcript = ledger.transcript.get(id);
            if is_theirs {
                assert_eq!(transcript, Some(log), "{} has another transcript of {id} than the store", who.name);
            } else {
                assert_eq!(transcript, None, "{} heard of a conversation of others", who.name);
            }
        }
    }
    let total: usize = kept.values().map(BTreeMap::len).sum();
    let wrong = verify(&*store, &*opened.maintenance().unwrap(), Repair::No, |finding| eprintln!("{finding}"), |_| ())
        .await
        .unwrap();
    assert_eq!(wrong.found, 0, "the projections differ from the log");
    eprintln!("{acked} messages acknowledged, {total} kept in {} conversations", kept.len());
    acked
}
