//! Who receives what, once, and in which order.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::support::{Account, SOON, TestServer, Wire, number, send_message, settle, text};

/// Long enough for an unwanted event to arrive.
const QUIET: Duration = Duration::from_millis(700);

/// The next message, whoever sent it.
async fn next_message(client: &Client) -> Value {
    loop {
        let (name, event) = client.next_event(SOON).await.expect("a message is missing");
        if name == "receive-message" || name == "message-sent" {
            return event;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn messages_sent_right_after_the_connect_are_handled() {
    let server = Arc::new(TestServer::start(&[]).await);
    let ann = server.customer("ann").await;
    let mut entering = JoinSet::new();
    for _ in 0..8 {
        let (server, ann) = (server.clone(), ann.clone());
        entering.spawn(async move {
            for _ in 0..50 {
                drop(server.enter(&ann).await);
            }
        });
    }
    while let Some(done) = entering.join_next().await {
        done.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_sent_while_a_customer_was_offline_arrive_once_and_in_order() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let desk = server.enter(&ada).await;
    for n in 0..250 {
        send_message(&desk, &ann, &n.to_string()).await;
    }
    let back = server.enter(&ann).await;
    for n in 0..250 {
        let got = back.wait_for("receive-message", SOON).await.unwrap();
        assert_eq!((text(&got, "message"), number(&got, "seq")), (n.to_string().as_str(), n + 1));
    }
    assert_eq!(back.emit_ack("authenticate", json!({"token": ann.token})).await.unwrap()["success"], true);
    let more = settle(&back, QUIET).await;
    assert!(!more.iter().any(|(name, _)| name == "receive-message"), "received twice: {more:?}");
}

/// Sends 400 messages as fast as they are stored, two at a time.
async fn talk(server: &TestServer, from: &Account, to: &Account, is_over: Arc<AtomicBool>) -> JoinSet<()> {
    let (client, to) = (Arc::new(server.enter(from).await), to.clone());
    let mut talking = JoinSet::new();
    talking.spawn(async move {
        for n in 0..200 {
            let (one, two) = (format!("{n} a"), format!("{n} b"));
            tokio::join!(send_message(&client, &to, &one), send_message(&client, &to, &two));
        }
        is_over.store(true, Ordering::SeqCst);
    });
    talking
}

/// Authenticates as often as the server allows.
async fn authenticate_until(is_over: &AtomicBool, client: &Client, who: &Account) {
    while !is_over.load(Ordering::SeqCst) {
        let answer = client.emit_ack("authenticate", json!({"token": who.token})).await.unwrap();
        if answer["success"] != true {
            assert_eq!(answer["code"], "rate_limited", "{answer}");
            tokio::time::sleep(Duration::from_millis(answer["retryAfterMs"].as_u64().unwrap())).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_authenticates_repeatedly_during_a_conversation_gets_everything_once() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let restless = server.enter(&ann).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut talking = talk(&server, &ada, &ann, is_over.clone()).await;
    authenticate_until(&is_over, &restless, &ann).await;
    talking.join_next().await.unwrap().unwrap();
    for seq in 1..=400 {
        let got = restless.wait_for("receive-message", SOON).await.expect("a message is missing");
        assert_eq!(number(&got, "seq"), seq, "a message is missing, duplicated or out of order");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tab_that_authenticates_repeatedly_misses_nothing_that_the_other_tab_receives() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let (restless, calm) = (server.enter(&ann).await, server.enter(&ann).await);
    let is_over = Arc::new(AtomicBool::new(false));
    let mut talking = talk(&server, &ada, &ann, is_over.clone()).await;
    authenticate_until(&is_over, &restless, &ann).await;
    talking.join_next().await.unwrap().unwrap();
    for (name, client) in [("calm", &calm), ("restless", &restless)] {
        for seq in 1..=400 {
            let got = client.wait_for("receive-message", SOON).await;
            let got = got.unwrap_or_else(|error| panic!("{name} has no {seq}: {error}"));
            assert_eq!(number(&got, "seq"), seq, "{name}: a gap, a double or disorder");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_who_connects_under_load_can_answer_at_once() {
    let server = TestServer::start(&[]).await;
    let ada = server.agent("ada").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut talking = JoinSet::new();
    let mut ann = None;
    for n in 0..4 {
        let customer = server.customer(&format!("c{n}")).await;
        let (client, to, is_over) = (server.enter(&customer).await, ada.clone(), is_over.clone());
        ann.get_or_insert(customer);
        talking.spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let (one, two) = (send_message(&client, &to, "help"), send_message(&client, &to, "please"));
                tokio::join!(one, two);
            }
        });
    }
    let ann = ann.unwrap();
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let arrived = Instant::now();
        let desk = server.enter(&ada).await;
        send_message(&desk, &ann, "at your service").await;
        slowest = slowest.max(arrived.elapsed());
    }
    is_over.store(true, Ordering::SeqCst);
    while talking.join_next().await.is_some() {}
    // The load does not end before that, so waiting for its end would take for ever.
    assert!(slowest < SOON, "an agent waited {slowest:?} for the load to end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_concurrent_authors_are_received_in_one_order_by_everybody() {
    const EACH: u64 = 60;
    let server = TestServer::start(&[]).await;
    let ann = server.customer("ann").await;
    let mut agents = Vec::new();
    for name in ["ada", "bea", "cyd"] {
        agents.push(server.agent(name).await);
    }
    let mut clients = vec![(Arc::new(server.enter(&ann).await), agents[0].clone())];
    for agent in &agents {
        clients.push((Arc::new(server.enter(agent).await), ann.clone()));
    }
    let listeners = [server.enter(&ann).await, server.enter(&agents[1]).await];
    let mut talking = JoinSet::new();
    for (client, to) in &clients {
        let (client, to) = (client.clone(), to.clone());
        talking.spawn(async move {
            for n in 0..EACH {
                send_message(&client, &to, &n.to_string()).await;
            }
        });
    }
    while let Some(done) = talking.join_next().await {
        done.unwrap();
    }
    let everybody = clients.iter().map(|(client, _)| &**client).chain(&listeners);
    let mut order: BTreeMap<u64, String> = BTreeMap::new();
    for client in everybody {
        for seq in 1..=4 * EACH {
            let got = next_message(client).await;
            assert_eq!(number(&got, "seq"), seq, "a message is missing, duplicated or out of order");
            let id = text(&got, "_id").to_owned();
            assert_eq!(*order.entry(seq).or_insert(id.clone()), id);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_disconnected_and_delays_nobody() {
    let server = TestServer::start(&["--offline-grace", "100ms"]).await;
    let (ann, bob, ada) = (server.customer("ann").await, server.customer("bob").await, server.agent("ada").await);
    let (bea, desk) = (server.agent("bea").await, server.enter(&ada).await);
    let (healthy, answering) = (server.enter(&bob).await, server.enter(&bea).await);
    let mut stuck = Wire::connect_with_buffer(&server.url, Some(4096)).await;
    stuck.authenticate(&ann).await;

    let is_cut_off = Arc::new(AtomicBool::new(false));
    let (to, until) = (ann.clone(), is_cut_off.clone());
    let flood = tokio::spawn(async move {
        let long = "x".repeat(15_000);
        let mut sent = 0_u64;
        while !until.load(Ordering::SeqCst) {
            send_message(&desk, &to, &long).await;
            sent += 1;
        }
        sent
    });
    let notice = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        loop {
            let before = Instant::now();
            send_message(&answering, &bob, "hello").await;
            healthy.wait_for("receive-message", SOON).await.unwrap();
            slowest = slowest.max(before.elapsed());
            while let Ok((name, event)) = answering.next_event(Duration::from_millis(1)).await {
                if name == "user-offline" && event["userId"] == ann.id.to_string() {
                    return (slowest, ann);
                }
            }
        }
    });
    let noticed = timeout(Duration::from_secs(40), notice).await;
    is_cut_off.store(true, Ordering::SeqCst);
    let sent = timeout(SOON, flood).await.unwrap().unwrap();
    let (slowest, ann) = noticed.expect("the client was not disconnected").unwrap();
    // If others waited for a client that does not read, they would wait until the kernel closes it after 20 s.
    assert!(slowest < SOON, "another conversation was held up for {slowest:?}");

    // The disconnected client reconnects and gets the rest.
    let back = server.enter(&ann).await;
    let mut last = 0;
    while last < sent {
        let got = back.wait_for("receive-message", SOON).await.expect("a message is missing");
        let seq = number(&got, "seq");
        assert!(last == 0 || seq == last + 1, "{seq} follows {last}");
        last = seq;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_gets_the_first_answer_and_is_not_delivered_again() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let (desk, one, two) = (server.enter(&ada).await, server.enter(&ann).await, server.enter(&ann).await);
    let ask = json!({"receiverId": ada.id.to_string(), "message": "once", "clientMessageId": "m1"});
    let tries =
        (0..25).flat_map(|_| [one.emit_ack("send-message", ask.clone()), two.emit_ack("send-message", ask.clone())]);
    let answers = futures_util::future::join_all(tries).await;
    let first = answers[0].as_ref().unwrap();
    assert_eq!(first["ok"], true);
    for answer in &answers {
        assert_eq!(answer.as_ref().unwrap(), first);
    }
    let events = settle(&desk, QUIET).await;
    assert_eq!(events.iter().filter(|(name, _)| name == "receive-message").count(), 1);
}
