//! `kill -9` of the server under load, again and again: what was acknowledged is there, once, and everybody's transcript
//! equals the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deskline::domain::{ConversationId, Entry, EntryKind, Role, Seq, UserId};
use deskline::store::{ConversationStore, ListFor};
use deskline::verify::{Repair, verify};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::support::{Account, Site};
use crate::talker::{Acked, Counts, Ledger, Seen, Weather, finish, let_talk};

const SEED: u64 = 0x2026_1121;

/// Rounds, unless they take longer than [`ENOUGH`].
const ROUNDS: usize = 20;

/// Rounds that must be, however long they take.
const LEAST: usize = 10;

const ENOUGH: Duration = Duration::from_mins(1);

/// How long the end may take.
const PATIENCE: Duration = Duration::from_mins(1);

#[expect(clippy::print_stderr, reason = "whoever reads the failure needs the seed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_twenty_kills() {
    let names = ["ada", "bea", "ann", "bob", "cat", "dan", "eve"];
    let people: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (*name, if n < 2 { Role::Admin } else { Role::Customer })).collect();
    let Some((site, accounts)) = Site::with(&people).await else { return };
    eprintln!("kill: seed {SEED:#x}");
    let mut random = StdRng::seed_from_u64(SEED);
    let mut server = site.start().await;
    let (tell, weather) = watch::channel(Weather { url: server.url.clone(), is_over: false });
    let counts = Arc::new(Counts::default());
    let talking = let_talk(&accounts, &weather, &counts);
    let (mut logs, began, mut rounds) = (String::new(), Instant::now(), 0);
    while rounds < ROUNDS && (rounds < LEAST || began.elapsed() < ENOUGH) {
        // The clients are back when something is acknowledged; the moment after that is up to chance.
        let before = counts.acks.load(Ordering::Relaxed);
        let back = async {
            while counts.acks.load(Ordering::Relaxed) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), back).await.unwrap_or_else(|_| {
            panic!("round {rounds}: nobody is acknowledged anything; the server says: {}", server.log())
        });
        tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
        logs.push_str(&server.kill().await);
        server = site.start().await;
        tell.send_modify(|weather| weather.url.clone_from(&server.url));
        rounds += 1;
    }
    eprintln!("kill: {rounds} rounds in {:?}", began.elapsed());
    tell.send_modify(|weather| weather.is_over = true);
    let ledgers = timeout(PATIENCE, finish(&tell, &counts, talking)).await.expect("it does not end");
    logs.push_str(&server.stop().await);
    assert!(!logs.contains("panicked"), "{logs}");
    let acked = compare(&site, &accounts[0], &ledgers).await;
    assert!(acked >= 20 * rounds, "only {acked} messages were acknowledged, which proves little");
    site.remove().await;
}

/// Every log that an agent sees, each whole.
async fn all_logs(store: &dyn ConversationStore, agent: UserId) -> Vec<(ConversationId, Vec<Entry>)> {
    let mut logs = Vec::new();
    for summary in store.list(ListFor::Agent(agent), 1000).await.unwrap() {
        let (id, mut log) = (summary.conversation.id, Vec::new());
        loop {
            let last = log.last().map_or(Seq::ZERO, |entry: &Entry| entry.seq);
            let page = store.entries_after(id, last, 1000).await.unwrap();
            if page.is_empty() {
                break;
            }
            log.extend(page);
        }
        assert!(log.iter().zip(1..).all(|(entry, n)| entry.seq.get() == n), "the log of {id} is not whole");
        logs.push((id, log));
    }
    logs
}

/// Compares what was acknowledged and heard with what is kept. Gives how much was acknowledged.
#[expect(clippy::print_stderr, reason = "tells how much was at stake")]
pub(crate) async fn compare(site: &Site, agent: &Account, ledgers: &[(Account, Ledger)]) -> usize {
    let opened = site.store().await;
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
    let wrong = verify(&*store, &*opened, Repair::No, |finding| eprintln!("{finding}"), |_| ()).await.unwrap();
    assert_eq!(wrong.found, 0, "the projections differ from the log");
    opened.close().await;
    eprintln!("{acked} messages acknowledged, {total} kept in {} conversations", kept.len());
    acked
}
