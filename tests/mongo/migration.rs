//! The server is killed while it imports an old database, and restarted.

use std::process::Stdio;
use std::time::Duration;

use bson::oid::ObjectId;
use bson::{DateTime, Document, doc};
use deskline::domain::{Entry, Members, Seq, Side, UserId};
use deskline::store::ConversationStore as _;
use deskline::verify::{Repair, verify};
use tokio::time::Instant;

use crate::support::{Site, stop};

const CUSTOMERS: u8 = 5;

/// Messages of each customer; the desk has read all but the last [`UNREAD`] of them.
const EACH: i64 = 800;
const UNREAD: i64 = 7;

/// Sizes of the log at which the server is killed: in the middle of a batch, of a second one, and so on. After the last
/// kill, as many batches are left, so that a server that is killed late has not finished.
const KILLED_AT: [u64; 5] = [1, 300, 700, 1100, 1600];

const START: i64 = 1_740_819_600_000;

fn customer(n: u8) -> ObjectId {
    ObjectId::from_bytes([n + 1; 12])
}

const DESK: ObjectId = ObjectId::from_bytes([99; 12]);

async fn old_database(site: &Site) {
    let raw = site.raw().await;
    let at = |second: i64| DateTime::from_millis(START + second * 1000);
    let account = |id: ObjectId, name: String, role: &str| {
        doc! {
            "_id": id, "name": &name, "email": format!("{name}@old.test"), "googleId": null, "role": role,
            "status": "active", "otp": null, "createdAt": at(0), "updatedAt": at(0), "__v": 0,
        }
    };
    let customers = (0..CUSTOMERS).map(|n| account(customer(n), format!("customer-{n}"), "user"));
    let accounts: Vec<Document> = customers.chain([account(DESK, "admin".into(), "admin")]).collect();
    raw.collection("users").insert_many(accounts).await.unwrap();
    // All customers write in turn, so each batch has messages of all conversations.
    let messages = (0..EACH).flat_map(|n| (0..CUSTOMERS).map(move |who| (n, who))).map(|(n, who)| {
        let second = at(n * i64::from(CUSTOMERS) + i64::from(who));
        doc! {
            "sender": customer(who), "receiver": DESK, "message": format!("{n}"), "read": n < EACH - UNREAD,
            "createdAt": second, "updatedAt": second, "__v": 0,
        }
    });
    raw.collection::<Document>("messages").insert_many(messages).await.unwrap();
}

/// Starts the server, and kills it as soon as the log has this many entries.
async fn killed_at(site: &Site, entries: u64) -> u64 {
    let mut program = site.command(&site.uri());
    program.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut program = program.spawn().unwrap();
    let log = site.raw().await.collection::<Document>("entries");
    let until = Instant::now() + Duration::from_mins(2);
    while log.count_documents(doc! {}).await.unwrap() < entries {
        assert!(Instant::now() < until, "the log does not reach {entries} entries");
        assert!(program.try_wait().unwrap().is_none(), "the server has exited by itself");
    }
    program.kill().await.unwrap();
    log.count_documents(doc! {}).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_killed_halfway_continues_where_it_was() {
    let Some(site) = Site::new() else { return };
    old_database(&site).await;
    let messages = u64::from(CUSTOMERS) * EACH.unsigned_abs();
    for entries in KILLED_AT {
        let reached = killed_at(&site, entries).await;
        assert!(reached < messages, "the import was finished before the kill");
    }
    stop(site.start().await).await;
    let store = site.store().await;
    for n in 0..CUSTOMERS {
        let members = Members::Support { customer: UserId::from_bytes(customer(n).bytes()) };
        let conversation = store.find(members).await.unwrap().expect("the conversation was opened");
        let mut texts = Vec::new();
        let mut last = Seq::ZERO;
        loop {
            let page = store.entries_after(conversation.id, last, 1000).await.unwrap();
            let Some(newest) = page.last() else { break };
            last = newest.seq;
            texts.extend(page.iter().filter_map(Entry::message).map(|message| message.original.as_str().to_owned()));
        }
        assert_eq!(texts, (0..EACH).map(|n| n.to_string()).collect::<Vec<_>>());
        let summary = store.summary(conversation.id).await.unwrap().unwrap();
        assert_eq!(summary.side(Side::Desk).unread, UNREAD.unsigned_abs());
    }
    let tell = |finding: &deskline::verify::Finding| panic!("{finding}");
    let report = verify(&*store.stores().conversations, &*store, Repair::No, tell, |_| ()).await.unwrap();
    assert_eq!(report.conversations, u64::from(CUSTOMERS));
    let copies = site.raw().await.collection::<Document>("messages");
    let unread = copies.count_documents(doc! { "read": false }).await.unwrap();
    assert_eq!(unread, u64::from(CUSTOMERS) * UNREAD.unsigned_abs(), "the old flags are unchanged");
    store.close().await;
    site.remove().await;
}
