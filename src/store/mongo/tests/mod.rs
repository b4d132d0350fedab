//! The contract over a MongoDB server, and tests that are specific to it.
//!
//! `DESKLINE_TEST_MONGO_URI` names the server; `scripts/test-mongo-server` starts one. Each test has a database of its own
//! there, and drops it if it passes.

use std::io::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use bson::Document;
use bson::oid::ObjectId;
use mongodb::event::EventHandler;
use mongodb::event::command::CommandEvent;
use mongodb::{Client, Database};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::{MongoStore, connection};
use crate::domain::{Conversation, Draft, DraftKind, Members, MessageBody, MessageId, Seq, Side, Timestamp, UserId};
use crate::store::contract::store_contract;
use crate::store::{ConversationStore as _, Stores};

mod explain;
mod faults;
mod golden;
mod indexes;
mod isolation;
mod maintenance;
mod malformed_accounts;
mod malformed_messages;
mod outages;
mod revisions;
mod round_trips;
mod superseded;

const START: Timestamp = Timestamp::from_millis(1_795_249_336_000);

/// A store over an empty database.
struct Fresh {
    store: Arc<MongoStore>,
    /// The same database, through the driver.
    raw: Database,
}

impl Fresh {
    async fn open() -> Self {
        let name = format!("deskline_test_{}", uuid::Uuid::new_v4().simple());
        let raw = connection::connect(&server().unwrap(), &name).await.unwrap();
        // The URI may name a database, but not one that a test may drop.
        let raw = raw.client().database(&name);
        Self { store: open_on(&raw).await, raw }
    }

    /// Opens the database again, as a second process would.
    async fn another(&self) -> Arc<MongoStore> {
        open_on(&self.raw).await
    }

    fn documents(&self, collection: &str) -> mongodb::Collection<Document> {
        self.raw.collection(collection)
    }

    async fn support(&self, customer: u8) -> Conversation {
        self.store.open(Members::Support { customer: someone(customer) }, START).await.unwrap()
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let drop_it = async {
                self.store.close().await;
                self.raw.drop().await.unwrap();
            };
            tokio::task::block_in_place(|| Handle::current().block_on(drop_it));
        }
    }
}

async fn open_on(raw: &Database) -> Arc<MongoStore> {
    MongoStore::on(raw.clone()).await.unwrap()
}

/// A client on `database` that calls `on_command` with each command before it is sent.
async fn observed(database: &str, on_command: impl Fn(&str) + Send + Sync + 'static) -> Database {
    observed_at(&server().unwrap(), database, on_command).await
}

async fn observed_at(uri: &str, database: &str, on_command: impl Fn(&str) + Send + Sync + 'static) -> Database {
    let mut options = connection::options(uri).await.unwrap();
    options.command_event_handler = Some(EventHandler::callback(move |event| {
        if let CommandEvent::Started(command) = event {
            // A desk reads the bans twice a second, independently of the calls that are observed.
            let filter = command.command.get_document("filter");
            if !filter.is_ok_and(|filter| filter.get_str("_id").is_ok_and(|id| id == "bans")) {
                on_command(&command.command_name);
            }
        }
    }));
    Client::with_options(options).unwrap().database(database)
}

/// Simulates a process on `database` that is killed when it sends its `fatal`-th command, if it gets that far.
///
/// A runtime that is shut down drops its tasks wherever they wait. The server still executes what it was sent. This
/// waits for that, so that later steps find the final state.
async fn killed_at<F>(database: &str, fatal: u32, work: impl FnOnce(Arc<MongoStore>) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let process = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let over = Arc::new(Notify::new());
    let (killed, name, sent) = (over.clone(), database.to_owned(), AtomicU32::new(0));
    let (uri, carried) = way_to_the_server().await;
    process.spawn(async move {
        let (killed_too, ended) = (killed.clone(), killed);
        let on_command = move |_: &str| {
            if sent.fetch_add(1, Ordering::SeqCst) + 1 == fatal {
                killed_too.notify_one();
            }
        };
        work(open_on(&observed_at(&uri, &name, on_command).await).await).await;
        ended.notify_one();
    });
    tokio::time::timeout(Duration::from_mins(1), over.notified()).await.expect("it neither ended nor was killed");
    process.shutdown_background();
    carried.close();
    let ended = tokio::time::timeout(Duration::from_mins(1), carried.wait());
    ended.await.expect("the server does not finish the commands that it was sent");
}

/// The address of a proxy to the server, and a tracker that is done when every command that was sent has been executed. Once the
/// tracker is closed, the proxy accepts no more connections.
async fn way_to_the_server() -> (String, TaskTracker) {
    let to = connection::options(&server().unwrap()).await.unwrap().hosts.remove(0).to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("mongodb://{}/?directConnection=true", listener.local_addr().unwrap());
    let carried = TaskTracker::new();
    let tracker = carried.clone();
    tokio::spawn(async move {
        while let Ok((from, _)) = listener.accept().await {
            if tracker.is_closed() {
                return;
            }
            tracker.spawn(carry_to_the_end(from, to.clone()));
        }
    });
    (uri, carried)
}

/// Forwards until the server has answered everything, even if the client is gone.
async fn carry_to_the_end(from: TcpStream, to: String) {
    let (mut asked, mut answered) = from.into_split();
    let (mut answers, mut asks) = TcpStream::connect(to).await.unwrap().into_split();
    let ask = async {
        // However the client ends, it sends nothing more.
        drop(tokio::io::copy(&mut asked, &mut asks).await);
        drop(asks.shutdown().await);
    };
    let answer = async {
        if tokio::io::copy(&mut answers, &mut answered).await.is_err() {
            drop(tokio::io::copy(&mut answers, &mut tokio::io::sink()).await);
        }
    };
    tokio::join!(ask, answer);
}

async fn fresh() -> (Stores, Fresh) {
    let fresh = Fresh::open().await;
    (fresh.store.stores(), fresh)
}

#[expect(clippy::disallowed_methods, reason = "names the server that the suite runs on")]
fn server() -> Option<String> {
    std::env::var("DESKLINE_TEST_MONGO_URI").ok().filter(|uri| !uri.is_empty())
}

/// Whether there is a server. If there is none, prints a warning; in CI, fails.
#[expect(clippy::disallowed_methods, reason = "the environment says whether the suite may be skipped")]
fn available() -> bool {
    static SAID: Once = Once::new();
    if server().is_some() {
        return true;
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "DESKLINE_TEST_MONGO_URI is not set: no MongoDB to test on");
    SAID.call_once(|| {
        // Not by a macro, whose output the test harness would capture.
        let text = "\n*** The MongoDB suite was SKIPPED: DESKLINE_TEST_MONGO_URI is not set. ***\n\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    });
    false
}

store_contract!(fresh, when available);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_available_store_passes_its_check() {
    if available() {
        Fresh::open().await.store.check().await.unwrap();
    }
}

fn someone(n: u8) -> UserId {
    UserId::from_bytes([n; 12])
}

fn person(n: u8) -> ObjectId {
    ObjectId::from_bytes([n; 12])
}

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START.millis() + seconds * 1000)
}

fn say(conversation: &Conversation, author: u8, side: Side, text: &str) -> Draft {
    let kind = DraftKind::Message {
        id: MessageId::generate(START),
        body: MessageBody::stored(text.to_owned()),
        client_id: None,
        extras: None,
    };
    Draft { conversation: conversation.id, author: someone(author), side, at: START, kind }
}

fn read(conversation: &Conversation, author: u8, side: Side, up_to: u64) -> Draft {
    let kind = DraftKind::Read { up_to: Seq::new(up_to) };
    Draft { conversation: conversation.id, author: someone(author), side, at: START, kind }
}
