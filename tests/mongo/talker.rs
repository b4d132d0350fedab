//! People who talk without pause, whatever happens to the database: they come back by themselves, resume, and send again what
//! was not acknowledged.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use deskline::lab::testkit::socketio::{Client, ClientError};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::shared::{Account, number, text};

/// How long a client that was cut off waits before it tries again.
const RETRY: Duration = Duration::from_millis(20);

/// How long a client waits before it sends again what was refused.
const AGAIN: Duration = Duration::from_millis(100);

/// How long a client listens at a time.
const QUIET: Duration = Duration::from_secs(10);

/// Messages that a client has under way at once.
const OUTSTANDING: usize = 3;

/// How long everybody may take to be answered and to read the rest.
const END: Duration = Duration::from_mins(2);

/// How far the story is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Talk,
    /// No new messages: only what is not acknowledged yet is sent again.
    Finish,
    /// Everybody has finished, so the rest can be read.
    ReadTheRest,
}

/// A message, wherever it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) id: String,
    pub(crate) message: String,
}

/// What one client has said and heard.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) transcript: BTreeMap<String, BTreeMap<u64, Seen>>,
    pub(crate) unacked: VecDeque<(String, String)>,
    pub(crate) acked: Vec<Acked>,
    pub(crate) next: u64,
    /// Times it was told that the store is away.
    pub(crate) refused: u64,
    /// Times it had to connect.
    pub(crate) connections: u64,
}

pub(crate) struct Acked {
    pub(crate) message: String,
    pub(crate) conversation: String,
    pub(crate) seq: u64,
    pub(crate) id: String,
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

/// How far everybody is.
#[derive(Default)]
struct Counts {
    /// Messages that were acknowledged.
    acks: AtomicU64,
    /// People who have said everything.
    done: AtomicUsize,
}

/// One person's client: comes back by itself, resumes, and sends again what was not acknowledged.
struct Talker {
    me: Account,
    /// Their server.
    url: String,
    others: Vec<Account>,
    phase: watch::Receiver<Phase>,
    counts: Arc<Counts>,
    ledger: Ledger,
}

impl Talker {
    async fn run(mut self) -> (Account, Ledger) {
        loop {
            match self.converse().await {
                Ok(()) => return (self.me, self.ledger),
                Err(ClientError::Unexpected(what)) => panic!("{}: {what}", self.me.name),
                // The server is gone, or going: come back.
                Err(_) => tokio::time::sleep(RETRY).await,
            }
        }
    }

    /// Talks until the connection breaks, or everything is said and heard.
    async fn converse(&mut self) -> Result<(), ClientError> {
        let client = Client::connect(&self.url).await?;
        self.ledger.connections += 1;
        let shown = json!({"token": self.me.token, "catchUp": false});
        let answer = client.emit_ack("authenticate", shown).await?;
        if answer["code"] == "storage_unavailable" {
            return Err(ClientError::Closed);
        }
        if answer["success"] != true {
            return Err(ClientError::Unexpected(answer.to_string()));
        }
        self.resume(&client).await?;
        let mut under_way = FuturesUnordered::new();
        // What was not acknowledged comes first, under its old name.
        let mut to_send: VecDeque<_> = std::mem::take(&mut self.ledger.unacked);
        self.ledger.unacked.clone_from(&to_send);
        loop {
            let is_over = *self.phase.borrow() > Phase::Talk;
            while under_way.len() < OUTSTANDING {
                let (name, to) = match to_send.pop_front() {
                    Some(again) => again,
                    None if is_over => break,
                    None => self.something_new(),
                };
                let ask = json!({"receiverId": to, "message": name, "clientMessageId": name});
                let sent = client.emit_ack("send-message", ask);
                under_way.push(async move { (name, to, sent.await) });
            }
            if under_way.is_empty() {
                break;
            }
            tokio::select! {
                Some((name, to, answer)) = under_way.next() => if !self.acknowledged(&name, &answer?) {
                    to_send.push_back((name, to));
                    tokio::time::sleep(AGAIN).await;
                },
                event = client.next_event(QUIET) => match event {
                    // While the store is away there is nothing to hear.
                    Err(ClientError::TimedOut(_)) => {}
                    event => self.heard(&event?),
                },
            }
        }
        // All is said; once everybody is done the log no longer changes, and the rest can be read.
        self.counts.done.fetch_add(1, Ordering::SeqCst);
        let mut phase = self.phase.clone();
        let ended = phase.wait_for(|phase| *phase == Phase::ReadTheRest);
        let mut ended = std::pin::pin!(ended);
        loop {
            tokio::select! {
                _ = &mut ended => break,
                event = client.next_event(QUIET) => match event {
                    Err(ClientError::TimedOut(_)) => {}
                    event => self.heard(&event?),
                },
            }
        }
        self.resume(&client).await
    }

    fn something_new(&mut self) -> (String, String) {
        let n = self.ledger.next;
        self.ledger.next += 1;
        let index = usize::try_from(n).unwrap() % self.others.len();
        let new = (format!("{}-{n}", self.me.name), self.others[index].id.to_string());
        self.ledger.unacked.push_back(new.clone());
        new
    }

    /// Takes an answer into account. Tells whether the message was acknowledged.
    fn acknowledged(&mut self, name: &str, answer: &Value) -> bool {
        if answer["ok"] != true {
            // Any other refusal is none that may happen here. The name stays among what is not acknowledged.
            assert_eq!(answer["code"], "storage_unavailable", "{}: {answer}", self.me.name);
            self.ledger.refused += 1;
            return false;
        }
        self.ledger.unacked.retain(|(unacked, _)| unacked != name);
        self.ledger.acked.push(Acked {
            message: name.into(),
            conversation: text(answer, "conversationId").into(),
            seq: number(answer, "seq"),
            id: text(answer, "messageId").into(),
        });
        self.counts.acks.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn heard(&mut self, (name, event): &(String, Value)) {
        match name.as_str() {
            "receive-message" | "message-sent" => self.ledger.note(event),
            "error" | "message-error" if event["code"] != "storage_unavailable" => panic!("{}: {event}", self.me.name),
            _ => {}
        }
    }

    async fn resume(&mut self, client: &Client) -> Result<(), ClientError> {
        let mut cursors = self.ledger.cursors();
        if self.me.role.is_agent() {
            // An agent names the conversations, also those that began while it was away.
            for id in self.list().await? {
                cursors.entry(id).or_default();
            }
        }
        loop {
            let mut answer = client.emit_ack("resume", json!({"conversations": cursors})).await?;
            while answer["code"] == "storage_unavailable" {
                tokio::time::sleep(AGAIN).await;
                answer = client.emit_ack("resume", json!({"conversations": cursors})).await?;
            }
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

    async fn list(&self) -> Result<Vec<String>, ClientError> {
        let ask = || reqwest::Client::new().get(format!("{}/api/chat/conversations", self.url));
        loop {
            let Ok(answer) = ask().bearer_auth(&self.me.token).send().await else { return Err(ClientError::Closed) };
            if answer.status() == StatusCode::SERVICE_UNAVAILABLE {
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            let Ok(list) = answer.json::<Value>().await else { return Err(ClientError::Closed) };
            let list = list.as_array().unwrap_or_else(|| panic!("no list of conversations, but {list}"));
            return Ok(list.iter().map(|listed| text(listed, "conversationId").to_owned()).collect());
        }
    }
}

/// Everybody, talking.
pub(crate) struct Talk {
    tell: watch::Sender<Phase>,
    counts: Arc<Counts>,
    talking: JoinSet<(Account, Ledger)>,
}

impl Talk {
    /// Lets everybody talk with the agents among them, spread over the servers at `urls`.
    pub(crate) fn start(accounts: &[Account], urls: &[&str]) -> Self {
        let (tell, phase) = watch::channel(Phase::Talk);
        let (agents, customers): (Vec<Account>, Vec<Account>) =
            accounts.iter().cloned().partition(|account| account.role.is_agent());
        let (counts, mut talking) = (Arc::new(Counts::default()), JoinSet::new());
        for (me, url) in accounts.iter().zip(urls.iter().cycle()) {
            let others = if me.role.is_agent() { customers.clone() } else { vec![agents[0].clone()] };
            let (me, url, phase, counts) = (me.clone(), (*url).to_owned(), phase.clone(), counts.clone());
            talking.spawn(Talker { me, url, others, phase, counts, ledger: Ledger::default() }.run());
        }
        Self { tell, counts, talking }
    }

    /// Waits until `count` more messages were acknowledged; false if that takes too long.
    pub(crate) async fn is_acknowledged(&self, count: u64, deadline: Duration) -> bool {
        let enough = self.counts.acks.load(Ordering::Relaxed) + count;
        let acknowledged = async {
            while self.counts.acks.load(Ordering::Relaxed) < enough {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(deadline, acknowledged).await.is_ok()
    }

    /// Lets the clients finish what they began, and then read the rest.
    pub(crate) async fn end(mut self) -> Vec<(Account, Ledger)> {
        let end = async {
            self.tell.send_replace(Phase::Finish);
            while self.counts.done.load(Ordering::SeqCst) < self.talking.len() {
                // Nobody leaves before the others have finished, unless by a failure.
                if let Some(Err(failed)) = self.talking.try_join_next() {
                    std::panic::resume_unwind(failed.into_panic());
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.tell.send_replace(Phase::ReadTheRest);
            let mut ledgers = Vec::new();
            while let Some(done) = self.talking.join_next().await {
                ledgers.push(done.unwrap());
            }
            ledgers
        };
        timeout(END, end).await.expect("it does not end")
    }
}
