//! Hostile payloads, from known and unknown clients, do not affect others or the server.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use deskline::domain::{ConversationId, EntryKind, Role};
use deskline::lab::testkit::socketio::Client;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::support::{Account, SOON, ServerProcess, Site, Wire, all_logs, enter, settle, text};

mod generator;

use generator::Generator;

const SEED: u64 = 0x0b5e_55ed;

/// Number of sockets that send events, and of events from each.
const EVENTS: (usize, usize) = (500, 36);

/// Number of sockets that send other frames, and of frames from each.
const NOISE: (usize, usize) = (300, 12);

/// Sockets that are open at once.
const AT_ONCE: usize = 12;

/// How much longer a message may take meanwhile than on a server that is not attacked.
const LATE: Duration = Duration::from_secs(1);

struct Scene {
    url: String,
    ada: Account,
    mallories: Vec<Account>,
    known: Vec<String>,
    messages: Vec<String>,
    stranger: String,
    sent: AtomicUsize,
}

impl Scene {
    fn generator(&self, turn: usize) -> Generator {
        let random = StdRng::seed_from_u64(SEED.wrapping_add(turn as u64));
        let tokens = self.mallories.iter().map(|mallory| mallory.token.clone()).collect();
        let Self { known, messages, stranger, .. } = self;
        Generator { random, known: known.clone(), tokens, messages: messages.clone(), stranger: stranger.clone() }
    }

    async fn connect(&self, turn: usize) -> Wire {
        let mut wire = Wire::connect(&self.url).await;
        // Every third one does not authenticate.
        if !turn.is_multiple_of(3) {
            let mallory = &self.mallories[turn % self.mallories.len()];
            assert!(wire.send(format!("42{}", json!(["authenticate", mallory.token]))).await);
        }
        wire
    }

    /// A socket that sends events. Each event with an acknowledgement id has to be acknowledged.
    async fn send_events(&self, turn: usize) {
        let (mut wire, mut generator) = (self.connect(turn).await, self.generator(turn));
        let mut waiting: BTreeSet<usize> = BTreeSet::new();
        let mut said = Vec::new();
        for n in 0..EVENTS.1 {
            let (event, attachments) = generator.event();
            let ack = if generator.one_in(4) { String::new() } else { n.to_string() };
            if !ack.is_empty() {
                waiting.insert(n);
            }
            let frame =
                if attachments > 0 { format!("45{attachments}-{ack}{event}") } else { format!("42{ack}{event}") };
            said.push(frame.chars().take(300).collect::<String>());
            assert!(wire.send(frame).await, "turn {turn}: closed after {said:#?}");
            for _ in 0..attachments {
                assert!(wire.send_binary(vec![0xff; 64]).await);
            }
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        while let Some(first) = waiting.first().copied() {
            let Some(frame) = wire.next(SOON).await else {
                panic!("turn {turn}: event {first} of {} was not answered: {}", waiting.len(), said[first])
            };
            if let Some(rest) = frame.strip_prefix("43") {
                let (id, answer) = rest.split_at(rest.find('[').unwrap());
                assert!(waiting.remove(&id.parse().unwrap()), "turn {turn}: answered twice: {frame}");
                let answer: Value = serde_json::from_str(answer).unwrap();
                assert!(answer[0]["ok"].is_boolean() && answer[0]["success"].is_boolean(), "{answer}");
            }
        }
    }

    /// A socket that sends arbitrary frames. The server may close it.
    async fn make_noise(&self, turn: usize) {
        let (mut wire, mut generator) = (self.connect(turn).await, self.generator(turn));
        for _ in 0..NOISE.1 {
            let noise = generator.noise();
            let sent =
                if generator.one_in(6) { wire.send_binary(noise.into_bytes()).await } else { wire.send(noise).await };
            if !sent {
                wire = self.connect(turn).await;
            }
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
        // An answer or a close shows that the server has read everything.
        wire.send("42999[\"bogus\"]").await;
        while let Some(frame) = wire.next(Duration::from_millis(200)).await {
            if frame.starts_with("43999") {
                break;
            }
        }
    }
}

#[expect(clippy::print_stderr, reason = "the seed is needed to reproduce a failure")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_hostile_payloads_are_answered_and_do_not_affect_others() {
    eprintln!("hostile: seed {SEED:#x}");
    let people = [("ada", Role::Admin), ("carol", Role::Customer), ("dave", Role::Customer)];
    let mallories = ["m0", "m1", "m2", "m3", "m4", "m5"].map(|name| (name, Role::Customer));
    let (site, mut accounts) = Site::with(&[&people[..], &mallories[..]].concat()).await;
    let mallories = accounts.split_off(3);
    let [ada, carol, dave] = <[Account; 3]>::try_from(accounts).unwrap();
    let server = site.start(&[]).await;
    let honest = Honest::enter(&server, &ada, &dave).await;
    // At the same time on the same machine, so that other load affects both equally.
    let (calm_site, calm_people) = Site::with(&people).await;
    let calm = calm_site.start(&[]).await;
    let unharmed = Honest::enter(&calm, &calm_people[0], &calm_people[2]).await;
    let bystander = enter(&server.url, &carol).await;
    let to_desk = json!({"receiverId": ada.id.to_string(), "message": "mine alone"});
    let kept = bystander.emit_ack("send-message", to_desk).await.unwrap();
    let carols = text(&kept, "conversationId").to_owned();
    settle(&bystander, Duration::from_millis(500)).await;
    let mut messages = vec![text(&kept, "messageId").to_owned()];
    for mallory in &mallories {
        let socket = enter(&server.url, mallory).await;
        for (from, to, message) in
            [(&socket, &ada, "mine"), (&socket, &ada, "mine too"), (&honest.desk, mallory, "answer")]
        {
            let ask = json!({"receiverId": to.id.to_string(), "message": message});
            messages.push(text(&from.emit_ack("send-message", ask).await.unwrap(), "messageId").to_owned());
        }
    }

    let mut known = vec![ada.id.to_string(), carols.clone(), "0".repeat(24), "f".repeat(24), "m1".into()];
    known.extend(mallories.iter().flat_map(|mallory| [mallory.id.to_string(), mallory.token.clone()]));
    let stranger = carol.id.to_string();
    known.extend(messages.iter().cloned());
    let url = server.url.clone();
    let scene = Scene { url, ada, mallories, known, messages, stranger, sent: AtomicUsize::new(0) };
    let scene = Arc::new(scene);
    let is_over = Arc::new(AtomicBool::new(false));
    let honest = tokio::spawn(honest.talk(is_over.clone()));
    let unharmed = tokio::spawn(unharmed.talk(is_over.clone()));
    let began = Instant::now();
    let mut attacks = JoinSet::new();
    for turn in 0..EVENTS.0 + NOISE.0 {
        if attacks.len() >= AT_ONCE {
            attacks.join_next().await.unwrap().unwrap();
        }
        let scene = scene.clone();
        attacks.spawn(async move {
            if turn < EVENTS.0 { scene.send_events(turn).await } else { scene.make_noise(turn).await }
        });
    }
    while let Some(done) = attacks.join_next().await {
        done.unwrap();
    }
    is_over.store(true, Ordering::SeqCst);
    let took = timeout(SOON, honest).await.unwrap().unwrap();
    let unharmed = timeout(SOON, unharmed).await.unwrap().unwrap().into_iter().max().unwrap();
    let (sent, times) = (scene.sent.load(Ordering::Relaxed), took.len());
    let slowest = took.iter().max().unwrap();
    eprintln!(
        "hostile: {sent} payloads in {:?}; {times} honest messages, the slowest took {slowest:?}, unharmed {unharmed:?}",
        began.elapsed()
    );
    let late = took.iter().filter(|took| **took > unharmed + LATE).count();
    // A single one may be late by chance.
    assert!(late * 20 <= times + 19, "{late} of {times} honest messages were late, the slowest took {slowest:?}");
    assert!(sent >= 10_000 && times >= 5, "{sent} payloads and {times} honest messages prove little");

    let heard = settle(&bystander, Duration::from_millis(300)).await;
    assert_eq!(heard, [], "somebody else received an event");
    assert!(!bystander.is_closed());
    stored_messages(&site, server, &scene, &dave, &carols).await;
}

/// A regular customer, and the desk.
struct Honest {
    customer: Client,
    desk: Client,
    agent: Account,
}

impl Honest {
    async fn enter(server: &ServerProcess, agent: &Account, customer: &Account) -> Self {
        let (desk, customer) = (enter(&server.url, agent).await, enter(&server.url, customer).await);
        Self { customer, desk, agent: agent.clone() }
    }

    /// The customer sends one message after the other. Returns how long each took to reach the desk.
    async fn talk(self, is_over: Arc<AtomicBool>) -> Vec<Duration> {
        let mut times = Vec::new();
        while !is_over.load(Ordering::SeqCst) {
            let (said, before) = (format!("honest {}", times.len()), Instant::now());
            let ask = json!({"receiverId": self.agent.id.to_string(), "message": said});
            self.customer.emit("send-message", ask).unwrap();
            let arrives =
                async { while self.desk.wait_for("receive-message", SOON).await.unwrap()["message"] != said {} };
            timeout(SOON, arrives).await.expect("a regular message did not arrive");
            times.push(before.elapsed());
            // Drops the events that arrived meanwhile, and waits a little.
            settle(&self.customer, Duration::from_millis(100)).await;
        }
        times
    }
}

/// Asserts that logs have no gaps, and that every stored message is valid and from somebody who may have sent it.
async fn stored_messages(site: &Site, server: ServerProcess, scene: &Scene, dave: &Account, carols: &str) {
    server.signal("TERM").await;
    let (status, log) = server.ended().await;
    assert!(status.success(), "{status}");
    assert!(!log.contains("panicked"), "{log}");
    let store = site.store().stores().conversations;
    let carols: ConversationId = carols.parse().unwrap();
    let is_mallory = |author| scene.mallories.iter().any(|mallory| mallory.id == author);
    let (mut kept, mut edits, mut deletions) = (0, 0, 0);
    for (id, log) in all_logs(&*store, scene.ada.id).await {
        let messages: Vec<_> = log.iter().filter_map(|entry| entry.message().map(|message| (entry, message))).collect();
        if id == carols {
            assert_eq!((log.len(), messages.len()), (1, 1), "somebody else has written to it, or marked it as read");
        }
        for (entry, message) in &messages {
            let body = message.original.as_str();
            let is_legal = !body.is_empty() && body.trim() == body && !body.contains('\0');
            assert!(is_legal && body.chars().count() <= 1_000_000, "{id} {}: {body:?}", entry.seq);
            let may_speak = id == carols || [dave.id, scene.ada.id].contains(&entry.author) || is_mallory(entry.author);
            assert!(may_speak, "{id} {} was said by {}", entry.seq, entry.author);
        }
        for entry in &log {
            let target = match &entry.kind {
                EntryKind::Message(_) | EntryKind::Read { .. } => continue,
                EntryKind::Edited { target, .. } => {
                    edits += 1;
                    target
                }
                EntryKind::Deleted { target } => {
                    deletions += 1;
                    target
                }
                EntryKind::StatusChanged { .. } => panic!("{id} {}: a customer has changed the status", entry.seq),
            };
            let author = log.iter().find(|entry| entry.seq == target.seq).map(|entry| entry.author);
            assert_eq!(author, Some(entry.author), "{id} {}: somebody else's message was changed", entry.seq);
        }
        kept += messages.len();
    }
    assert!(edits > 0 && deletions > 0, "{edits} edits and {deletions} deletions prove little");
    assert!(kept > 50, "only {kept} messages were stored, so too few payloads were valid");
}
