//! `kill -9` of the server under load, again and again: what was acknowledged is there, once, and everybody's transcript
//! equals the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use deskline::bench::client::{Client, ClientError};
use deskline::domain::{ConversationId, EntryKind, Role};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Account, Site, all_logs, number, text};

const SEED: u64 = 0x2026_1121;

const ROUNDS: usize = 20;

/// How long the whole may take; far more than it needs.
const PATIENCE: Duration = Duration::from_mins(2);

/// How long a client that was cut off waits before it tries again.
const RETRY: Duration = Duration::from_millis(20);

/// Messages that a client has under way at once.
const OUTSTANDING: usize = 3;

/// What clients are told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Weather {
    /// Where the server is at present.
    url: String,
    /// No new messages: only what is not acknowledged yet is sent again.
    is_over: bool,
}

/// A message, wherever it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    id: String,
    message: String,
}

/// What one client has said and heard.
#[derive(Default)]
struct Ledger {
    transcript: BTreeMap<String, BTreeMap<u64, Seen>>,
    unacked: VecDeque<(String, String)>,
    acked: Vec<Acked>,
    next: u64,
}

struct Acked {
    message: String,
    conversation: String,
    seq: u64,
    id: String,
}

impl Ledger {
    fn note(&mut self, event: &Value) {
        let seen = Seen { id: text(event, "_id").into(), message: text(event, "message").into() };
        let conversation = self.transcript.entry(text(event, "conversationId").into()).or_default();
        let first = conversation.entry(number(event, "seq")).or_insert_with(|| seen.clone());
        assert_eq!(*first, seen, "one number was given to two messages");
    }

    /// How far each conversation is known without a hole, as `resume` wants it. Live messages may have come beyond one.
    fn cursors(&self) -> BTreeMap<String, u64> {
        let known = |seqs: &BTreeMap<u64, Seen>| {
            seqs.keys().zip(1..).take_while(|(seq, next)| *seq == next).last().map_or(0, |(seq, _)| *seq)
        };
        self.transcript.iter().map(|(id, seqs)| (id.clone(), known(seqs))).collect()
    }
}

/// One person's client: comes back by itself, resumes, and sends again what was not acknowledged.
struct Talker {
    me: Account,
    others: Vec<Account>,
    weather: watch::Receiver<Weather>,
    acks: Arc<AtomicU64>,
    done: Arc<AtomicUsize>,
    ledger: Ledger,
}

impl Talker {
    async fn run(mut self) -> (Account, Ledger) {
        loop {
            let now = self.weather.borrow_and_update().clone();
            match self.converse(&now).await {
                Ok(()) => return (self.me, self.ledger),
                Err(ClientError::Unexpected(what)) => panic!("{}: {what}", self.me.name),
                // The server is gone, or going: come back.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Talks until the connection breaks, or everything is said and heard.
    async fn converse(&mut self, now: &Weather) -> Result<(), ClientError> {
        let client = Client::connect(&now.url).await?;
        let shown = json!({"token": self.me.token, "catchUp": false});
        let answer = client.emit_ack("authenticate", shown).await?;
        if answer["success"] != true {
            return Err(ClientError::Unexpected(answer.to_string()));
        }
        self.resume(&client, &now.url).await?;
        let mut under_way = FuturesUnordered::new();
        // What was not acknowledged comes first, under its old name.
        let mut to_send: VecDeque<_> = std::mem::take(&mut self.ledger.unacked);
        self.ledger.unacked.clone_from(&to_send);
        loop {
            let is_over = self.weather.borrow().is_over;
            while under_way.len() < OUTSTANDING {
                let (name, to) = match to_send.pop_front() {
                    Some(again) => again,
                    None if is_over => break,
                    None => self.something_new(),
                };
                let ask = json!({"receiverId": to, "message": name, "clientMessageId": name});
                let sent = client.emit_ack("send-message", ask);
                under_way.push(async move { (name, sent.await) });
            }
            if under_way.is_empty() {
                break;
            }
            tokio::select! {
                Some((name, answer)) = under_way.next() => self.acknowledged(&name, &answer?)?,
                event = client.next_event(Duration::from_secs(10)) => self.heard(&event?),
            }
        }
        // All is said; once everybody is done the log no longer changes, and the rest can be read.
        self.done.fetch_add(1, Ordering::SeqCst);
        let mut weather = self.weather.clone();
        let ended = weather.wait_for(|weather| weather.is_over && weather.url.is_empty());
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                _ = &mut ended => break,
                event = client.next_event(Duration::from_secs(10)) => match event {
                    Err(ClientError::TimedOut(_)) => {}
                    event => self.heard(&event?),
                },
            }
        }
        self.resume(&client, &now.url).await
    }

    fn something_new(&mut self) -> (String, String) {
        let n = self.ledger.next;
        self.ledger.next += 1;
        let index = usize::try_from(n).unwrap() % self.others.len();
        let new = (format!("{}-{n}", self.me.name), self.others[index].id.to_string());
        self.ledger.unacked.push_back(new.clone());
        new
    }

    fn acknowledged(&mut self, name: &str, answer: &Value) -> Result<(), ClientError> {
        if answer["ok"] != true {
            return Err(ClientError::Unexpected(answer.to_string()));
        }
        self.ledger.unacked.retain(|(unacked, _)| unacked != name);
        self.ledger.acked.push(Acked {
            message: name.into(),
            conversation: text(answer, "conversationId").into(),
            seq: number(answer, "seq"),
            id: text(answer, "messageId").into(),
        });
        self.acks.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn heard(&mut self, (name, event): &(String, Value)) {
        match name.as_str() {
            "receive-message" | "message-sent" => self.ledger.note(event),
            "error" => panic!("{}: {event}", self.me.name),
            _ => {}
        }
    }

    async fn resume(&mut self, client: &Client, url: &str) -> Result<(), ClientError> {
        let mut cursors = self.ledger.cursors();
        if self.me.role.is_agent() {
            // An agent names the conversations, also those that began while it was away.
            for id in self.list(url).await? {
                cursors.entry(id).or_default();
            }
        }
        loop {
            let answer = client.emit_ack("resume", json!({"conversations": cursors})).await?;
            let parts = answer["conversations"].as_object().expect("resume is answered with conversations");
            let mut has_more = false;
            for (id, part) in parts {
                let entries = part["entries"].as_array().unwrap_or_else(|| panic!("cannot resume {id}: {part}"));
                for entry in entries {
                    if entry["kind"] == "message" {
                        self.ledger.note(&entry["entry"]);
                    }
                    cursors.insert(id.clone(), number(entry, "seq"));
                }
                has_more |= part["hasMore"] == true;
            }
            if !has_more {
                return Ok(());
            }
        }
    }

    async fn list(&self, url: &str) -> Result<Vec<String>, ClientError> {
        let list = reqwest::Client::new().get(format!("{url}/api/chat/conversations")).bearer_auth(&self.me.token);
        let Ok(answer) = list.send().await else { return Err(ClientError::Closed) };
        let Ok(list) = answer.json::<Value>().await else { return Err(ClientError::Closed) };
        let list = list.as_array().expect("a list of conversations");
        Ok(list.iter().map(|listed| text(listed, "conversationId").to_owned()).collect())
    }
}

#[expect(clippy::print_stderr, reason = "whoever reads the failure needs the seed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_twenty_kills() {
    eprintln!("kill: seed {SEED:#x}");
    let mut random = StdRng::seed_from_u64(SEED);
    let names = ["ada", "bea", "ann", "bob", "cat", "dan", "eve", "fay", "gil", "hal"];
    let people: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (*name, if n < 2 { Role::Admin } else { Role::Customer })).collect();
    let (site, accounts) = Site::with(&people).await;
    let (agents, customers) = accounts.split_at(2);

    let mut server = site.start(&["--send-rate", "0"]).await;
    let (tell, weather) = watch::channel(Weather { url: server.url.clone(), is_over: false });
    let (acks, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicUsize::new(0)));
    let mut talking = JoinSet::new();
    for me in &accounts {
        let others = if me.role.is_agent() { customers.to_vec() } else { vec![agents[0].clone()] };
        let (weather, acks, done) = (weather.clone(), acks.clone(), done.clone());
        talking.spawn(Talker { me: me.clone(), others, weather, acks, done, ledger: Ledger::default() }.run());
    }
    let mut logs = String::new();
    for round in 0..ROUNDS {
        // The clients are back when something is acknowledged; the moment after that is up to chance.
        let before = acks.load(Ordering::Relaxed);
        let back = async {
            while acks.load(Ordering::Relaxed) == before {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(20), back).await.unwrap_or_else(|_| {
            panic!("round {round}: nobody is acknowledged anything; the server says: {}", server.log())
        });
        tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
        logs.push_str(&server.log());
        server.kill().await;
        server = site.start(&["--send-rate", "0"]).await;
        tell.send_modify(|weather| weather.url.clone_from(&server.url));
    }
    tell.send_modify(|weather| weather.is_over = true);
    let ledgers = timeout(PATIENCE, finish(&tell, &done, talking)).await.expect("it does not end");
    server.terminate().await;
    let (status, log) = server.ended(Duration::from_secs(10)).await;
    assert!(status.success(), "{log}");
    assert!(!(logs + &log).contains("panicked"));
    compare(&site, &agents[0], &ledgers).await;
}

/// Lets the clients finish what they began, and then read the rest.
async fn finish(
    tell: &watch::Sender<Weather>,
    done: &AtomicUsize,
    mut talking: JoinSet<(Account, Ledger)>,
) -> Vec<(Account, Ledger)> {
    while done.load(Ordering::SeqCst) < talking.len() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tell.send_modify(|weather| weather.url.clear());
    let mut ledgers = Vec::new();
    while let Some(done) = talking.join_next().await {
        ledgers.push(done.unwrap());
    }
    ledgers
}

#[expect(clippy::print_stderr, reason = "tells how much was at stake")]
async fn compare(site: &Site, agent: &Account, ledgers: &[(Account, Ledger)]) {
    let store = site.store().stores().conversations;
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
    eprintln!("kill: {acked} messages acknowledged, {total} kept in {} conversations", kept.len());
    assert!(acked >= 50 * ROUNDS, "only {acked} messages were acknowledged, which proves little");
}
