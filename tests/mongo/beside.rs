//! The replaced server writes to the database on which Deskline runs, as during a move.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use deskline::domain::{Entry, Members, Seq, UserId};
use deskline::lab::testkit::socketio::Client;
use deskline::store::ConversationStore as _;
use deskline::verify::{Repair, verify};
use serde_json::Value;

use crate::golden::{get, log_in, run, write};
use crate::shared::{ServerProcess, number, text};
use crate::support::{PATIENCE, Site, enter, send_message, stop};

/// Messages that the old server writes, and that Ann sends over Deskline meanwhile.
const OLD: usize = 60;
const NEW: usize = 20;

async fn the_old_server_writes(site: &Site, ids: &Value) -> Vec<Value> {
    let count = OLD.to_string();
    let people = [text(ids, "admin"), text(ids, "ann"), text(ids, "bob")];
    let arguments = [&[site.server.as_str(), &site.name, &count][..], &people].concat();
    run("beside.mjs", &arguments).await.as_array().unwrap().clone()
}

/// Receives until all of `ids` have arrived. Returns their seqs by conversation, in order of arrival and with
/// duplicates. Other messages are ignored.
async fn hear(client: &Client, ids: &[&str]) -> BTreeMap<String, Vec<u64>> {
    let mut heard: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut missing: BTreeSet<&str> = ids.iter().copied().collect();
    while !missing.is_empty() {
        let event = client.next_event(PATIENCE).await;
        let (name, event) = event.unwrap_or_else(|error| panic!("{error}, and {missing:?} did not arrive"));
        if (name == "receive-message" || name == "message-sent") && ids.contains(&text(&event, "_id")) {
            missing.remove(text(&event, "_id"));
            heard.entry(text(&event, "conversationId").into()).or_default().push(number(&event, "seq"));
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_the_old_server_are_stored_once_and_delivered_in_order() {
    let Some(site) = Site::new() else { return };
    let ids = write(&site).await;
    let id = |name: &str| text(&ids, name).to_owned();
    let (server, second) = (site.start().await, site.start().await);
    let (ann, admin) = (log_in(&server, "ann@old.test").await, log_in(&server, "admin@old.test").await);
    let before = number(&get(&server, &admin, "/api/chat/unread-count").await, "count");

    let at_ann = enter(&server, &ann).await;
    let sending = async {
        let mut sent = Vec::new();
        for n in 0..NEW {
            let answer = send_message(&at_ann, &id("admin"), &format!("new {n}")).await;
            sent.push(text(&answer, "messageId").to_owned());
            tokio::time::sleep(Duration::from_millis(40)).await;
        }
        sent
    };
    let (written, sent) = tokio::join!(the_old_server_writes(&site, &ids), sending);
    assert_eq!(written.len(), OLD);
    // Only the process that imports a message publishes it, so clients of the other one get it when they reconnect.
    wait_until_all_is_taken_in(&site).await;
    let log = kept(&site, &ids).await;
    let of = |customer: &str| written.iter().filter(|one| text(one, "customer") == customer).collect::<Vec<_>>();
    for customer in ["ann", "bob"] {
        let old: Vec<&str> = of(&id(customer)).iter().map(|one| text(one, "id")).collect();
        let kept: Vec<&str> = log[customer].iter().map(String::as_str).filter(|id| old.contains(id)).collect();
        assert_eq!(kept, old, "the messages of {customer}'s conversation are stored once and in order");
    }
    assert!(sent.iter().all(|id| log["ann"].iter().filter(|kept| *kept == id).count() == 1));
    let to_desk = written.iter().filter(|one| text(one, "sender") != id("admin")).count() + NEW;
    let unread = number(&get(&server, &admin, "/api/chat/unread-count").await, "count");
    assert_eq!(unread, before + to_desk as u64);
    stop(second).await;

    events_arrive_live(&site, &server, &admin, &ann, &ids).await;
    stop(server).await;
    let store = site.store().await;
    let tell = |finding: &deskline::verify::Finding| panic!("{finding}");
    verify(&*store.stores().conversations, &*store, Repair::No, tell, |_| ()).await.unwrap();
    store.close().await;
    site.remove().await;
}

/// Both sides receive what is written while their sockets are open, once and in the order of the log.
async fn events_arrive_live(site: &Site, server: &ServerProcess, admin: &str, ann: &str, ids: &Value) {
    let (at_admin, at_ann) = (enter(server, admin).await, enter(server, ann).await);
    let written = the_old_server_writes(site, ids).await;
    let all: Vec<&str> = written.iter().map(|one| text(one, "id")).collect();
    let anns = written.iter().filter(|one| one["customer"] == ids["ann"]);
    let anns: Vec<&str> = anns.map(|one| text(one, "id")).collect();
    let (by_admin, by_ann) = tokio::join!(hear(&at_admin, &all), hear(&at_ann, &anns));
    for heard in by_admin.values().chain(by_ann.values()) {
        assert!(heard.is_sorted_by(|one, next| one < next), "not in order, or twice: {heard:?}");
    }
    let count = |heard: &BTreeMap<String, Vec<u64>>| heard.values().map(Vec::len).sum::<usize>();
    assert_eq!((by_admin.len(), count(&by_admin)), (2, all.len()));
    assert_eq!((by_ann.len(), count(&by_ann)), (1, anns.len()));
}

async fn wait_until_all_is_taken_in(site: &Site) {
    let messages = site.raw().await.collection::<bson::Document>("messages");
    let left = async {
        while messages.count_documents(bson::doc! { "conversation": null }).await.unwrap() > 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("some messages of the old server were not imported");
}

/// The ids of all messages in Ann's and Bob's logs, in order.
async fn kept(site: &Site, ids: &Value) -> BTreeMap<&'static str, Vec<String>> {
    let store = site.store().await;
    let mut logs = BTreeMap::new();
    for customer in ["ann", "bob"] {
        let members = Members::Support { customer: text(ids, customer).parse::<UserId>().unwrap() };
        let conversation = store.find(members).await.unwrap().unwrap();
        let log = store.entries_after(conversation.id, Seq::ZERO, 1000).await.unwrap();
        let ids = log.iter().filter_map(Entry::message).map(|message| message.id.to_string());
        logs.insert(customer, ids.collect());
    }
    store.close().await;
    logs
}
