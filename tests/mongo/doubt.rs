//! The database stores an entry, and says that it is not sure.

use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};

use crate::away::PEOPLE;
use crate::own_database::{Failure, OwnDatabase};
use crate::shared::{ServerProcess, text};
use crate::support::{PATIENCE, Site, becomes_ready, enter, insist, is_there_a_server, send_message, stop};

/// The server does not know whether a majority has the write.
const UNSURE: i32 = 189;

/// A conversation of two people on a database that can be made to doubt.
struct Doubt {
    database: OwnDatabase,
    site: Site,
    server: ServerProcess,
    ann: Client,
    ada: Client,
    ada_id: String,
    ada_token: String,
}

impl Doubt {
    async fn start() -> Self {
        // The driver retries no write there.
        let database = OwnDatabase::start(&["--standalone"]).await;
        let (site, accounts) = Site::on(&database.uri(), &PEOPLE[..2]).await;
        let [ada, ann] = &accounts[..] else { panic!("two people") };
        let server = site.start().await;
        let (ada_id, ada_token) = (ada.id.to_string(), ada.token.clone());
        let (ada, ann) = (enter(&server, &ada.token).await, enter(&server, &ann.token).await);
        Self { database, site, server, ann, ada, ada_id, ada_token }
    }

    /// Ann sends an event, which the database stores and doubts, so that it is refused.
    async fn sends_in_doubt(&self, event: &str, argument: &Value) {
        self.database.fail_always(&Failure::DoAndDoubt(UNSURE)).await;
        let answer = self.ann.emit_ack(event, argument.clone()).await.unwrap();
        assert_eq!(answer["code"], "storage_unavailable", "{answer}");
    }

    async fn heals(&self) {
        self.database.heal().await;
        becomes_ready(&self.server, PATIENCE).await;
    }

    /// Waits until Ada receives the event, and returns its text.
    async fn ada_receives(&self, event: &str) -> String {
        self.receives(&self.ada, event).await
    }

    async fn receives(&self, client: &Client, event: &str) -> String {
        match client.wait_for(event, PATIENCE).await {
            Ok(event) => text(&event, "message").to_owned(),
            Err(error) => panic!("no {event}: {error}; {}", self.server.log()),
        }
    }

    async fn end(self) {
        stop(self.server).await;
        self.site.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_doubt_arrives_before_its_repetition_is_acknowledged() {
    if !is_there_a_server() {
        return;
    }
    let doubt = Doubt::start().await;
    send_message(&doubt.ann, &doubt.ada_id, "first").await;
    assert_eq!(doubt.ada_receives("receive-message").await, "first");
    let message = json!({"receiverId": doubt.ada_id, "message": "second", "clientMessageId": "second"});
    doubt.sends_in_doubt("send-message", &message).await;
    doubt.heals().await;
    send_message(&doubt.ann, &doubt.ada_id, "second").await;
    assert_eq!(doubt.ada_receives("receive-message").await, "second");
    send_message(&doubt.ann, &doubt.ada_id, "third").await;
    assert_eq!(doubt.ada_receives("receive-message").await, "third", "each message once");
    doubt.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_doubt_arrives_although_it_is_not_sent_again() {
    if !is_there_a_server() {
        return;
    }
    let doubt = Doubt::start().await;
    send_message(&doubt.ann, &doubt.ada_id, "first").await;
    assert_eq!(doubt.ada_receives("receive-message").await, "first");
    for round in ["second", "third"] {
        let message = json!({"receiverId": doubt.ada_id, "message": round, "clientMessageId": round});
        doubt.sends_in_doubt("send-message", &message).await;
        doubt.heals().await;
        assert_eq!(doubt.ada_receives("receive-message").await, round);
    }
    doubt.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_in_doubt_arrives() {
    if !is_there_a_server() {
        return;
    }
    let doubt = Doubt::start().await;
    let said = send_message(&doubt.ann, &doubt.ada_id, "first").await;
    let edit = json!({"messageId": said["messageId"], "message": "better"});
    doubt.sends_in_doubt("edit-message", &edit).await;
    doubt.heals().await;
    let answer = insist(async || doubt.ann.emit_ack("edit-message", edit.clone()).await.unwrap()).await;
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(doubt.ada_receives("message-edited").await, "better");
    doubt.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_doubt_that_one_tab_has_read_arrives_in_the_other_one() {
    if !is_there_a_server() {
        return;
    }
    let doubt = Doubt::start().await;
    let said = send_message(&doubt.ann, &doubt.ada_id, "first").await;
    assert_eq!(doubt.ada_receives("receive-message").await, "first");
    let message = json!({"receiverId": doubt.ada_id, "message": "second", "clientMessageId": "second"});
    doubt.sends_in_doubt("send-message", &message).await;
    let later = Client::connect(&doubt.server.url).await.unwrap();
    let shown = json!({"token": doubt.ada_token, "catchUp": false});
    let answer = insist(async || later.emit_ack("authenticate", shown.clone()).await.unwrap()).await;
    assert_eq!(answer["success"], true, "{answer}");
    doubt.database.heal().await;
    // Most likely before the server itself looks for what it has not sent yet.
    let conversation = text(&said, "conversationId");
    let ask = json!({"conversations": {conversation: 1}});
    let resumed = insist(async || later.emit_ack("resume", ask.clone()).await.unwrap()).await;
    assert_eq!(resumed["conversations"][conversation]["entries"][0]["entry"]["message"], "second", "{resumed}");
    assert_eq!(doubt.ada_receives("receive-message").await, "second");
    send_message(&doubt.ann, &doubt.ada_id, "third").await;
    assert_eq!(doubt.ada_receives("receive-message").await, "third", "each message once");
    doubt.end().await;
}
