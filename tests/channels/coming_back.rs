//! A socket is lost, and the same person opens another one to the same room: messages sent meanwhile arrive once.

use std::time::Duration;

use deskline::domain::{Role, User};
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Answer, PATIENCE, Socket, TestServer, Who};

/// How long the server may take to detect that an older socket is dead after its person has reconnected, with a margin
/// for a busy machine.
const FOUND_OUT: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Storefront,
    Drivecash,
}

struct Scene {
    server: TestServer,
    uma: User,
    user: Who,
    agent: Who,
    dialect: Dialect,
    room: String,
}

impl Scene {
    async fn new(dialect: Dialect) -> Self {
        let server = TestServer::start().await;
        let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
        let admin = server.account("Ad Min", "adm@example.com", Role::Admin).await;
        let [user, agent] = [&uma, &admin].map(|user| Who::Bearer(server.token(user)));
        let room = match dialect {
            Dialect::Storefront => server.post("/api/public/user-chat/", &user, json!({})).await.json["id"].clone(),
            Dialect::Drivecash => server.get("/api/chat/rooms/my_room/", &user).await.json["room"]["id"].clone(),
        };
        let room = room.as_str().map_or_else(|| room.to_string(), str::to_owned);
        Self { server, uma, user, agent, dialect, room }
    }

    async fn open(&self) -> Socket {
        let mut socket =
            self.server.socket(&format!("/ws/chat/{}/?token={}", self.room, self.server.token(&self.uma))).await;
        if self.dialect == Dialect::Storefront {
            socket.next_of("room_info").await;
        }
        socket
    }

    /// The agent answers the customer.
    async fn answer(&self, text: &str) {
        let body = json!({"receiverId": self.uma.id.to_string(), "message": text});
        assert_eq!(self.server.post("/api/chat/send", &self.agent, body).await.status, 201);
    }

    /// The customer writes from somewhere else.
    async fn write_elsewhere(&self, text: &str) {
        let rooms = self.server.get("/api/chat/admin", &self.user).await.json;
        let body = json!({"receiverId": rooms["_id"], "message": text});
        assert_eq!(self.server.post("/api/chat/send", &self.user, body).await.status, 201);
    }

    async fn fetch_history(&self) -> Answer {
        match self.dialect {
            Dialect::Storefront => {
                self.server.get(&format!("/api/public/chat-rooms/{}/get_messages/", self.room), &self.user).await
            }
            Dialect::Drivecash => {
                self.server.get(&format!("/api/chat/messages/?room_id={}", self.room), &self.user).await
            }
        }
    }

    fn text(frame: &Value) -> String {
        let message = if frame["message"].is_object() { &frame["message"]["content"] } else { &frame["message"] };
        message.as_str().unwrap_or_else(|| panic!("not a message: {frame}")).to_owned()
    }

    async fn hears(&self, socket: &mut Socket, expected: &[&str]) {
        for text in expected {
            assert_eq!(Self::text(&socket.next_of("chat_message").await), *text, "{:?}", self.dialect);
        }
    }

    /// Reads until the next ping. tungstenite answers it when the socket is used again.
    async fn is_pinged(socket: &mut Socket) {
        let ping = async { while !matches!(socket.0.next().await, Some(Ok(Message::Ping(_)))) {} };
        timeout(PATIENCE, ping).await.expect("the server did not ping");
    }

    /// Reads this message, then answers pings until the server knows that it has arrived.
    async fn receives_and_confirms(&self, socket: &mut Socket, text: &str) {
        self.hears(socket, &[text]).await;
        Self::is_pinged(socket).await;
        // tungstenite sends its pong before this text, whose answer shows that the server has read both.
        let (asked, answer) = match self.dialect {
            Dialect::Storefront => (r#"{"type": "ping"}"#, json!({"type": "pong"})),
            Dialect::Drivecash => ("no JSON", json!({"error": "Invalid JSON"})),
        };
        socket.send_text(asked).await;
        while socket.next().await != answer {}
    }

    async fn receives_nothing_more(&self, socket: &mut Socket) {
        self.answer("the last").await;
        self.hears(socket, &["the last"]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_a_lost_socket_missed_are_sent_on_the_next_one() {
    for dialect in [Dialect::Storefront, Dialect::Drivecash] {
        let scene = Scene::new(dialect).await;
        let mut socket = scene.open().await;
        scene.answer("first").await;
        scene.receives_and_confirms(&mut socket, "first").await;
        drop(socket);
        scene.answer("meanwhile").await;
        scene.write_elsewhere("mine").await;
        let mut back = scene.open().await;
        scene.hears(&mut back, &["meanwhile", "mine"]).await;
        scene.answer("nothing more").await;
        scene.receives_and_confirms(&mut back, "nothing more").await;
        // What this tab has received is not sent to another tab again.
        let mut tab = scene.open().await;
        scene.receives_nothing_more(&mut tab).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_crossed_a_pong_is_confirmed_by_the_next_one() {
    for dialect in [Dialect::Storefront, Dialect::Drivecash] {
        let scene = Scene::new(dialect).await;
        let mut socket = scene.open().await;
        scene.answer("first").await;
        scene.hears(&mut socket, &["first"]).await;
        Scene::is_pinged(&mut socket).await;
        scene.answer("second").await;
        scene.receives_and_confirms(&mut socket, "second").await;
        drop(socket);
        let mut back = scene.open().await;
        scene.receives_nothing_more(&mut back).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fetched_history_is_not_sent_again() {
    for dialect in [Dialect::Storefront, Dialect::Drivecash] {
        let scene = Scene::new(dialect).await;
        let socket = scene.open().await;
        drop(socket);
        scene.answer("meanwhile").await;
        assert_eq!(scene.fetch_history().await.status, 200, "{dialect:?}");
        let mut back = scene.open().await;
        scene.receives_nothing_more(&mut back).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_clean_close_nothing_is_sent_again() {
    for dialect in [Dialect::Storefront, Dialect::Drivecash] {
        let scene = Scene::new(dialect).await;
        let mut socket = scene.open().await;
        socket.0.close(None).await.unwrap();
        while socket.next_or_end().await.is_ok() {}
        scene.answer("meanwhile").await;
        let mut back = scene.open().await;
        scene.receives_nothing_more(&mut back).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_open_socket_is_closed_soon_after_its_person_reconnects() {
    for dialect in [Dialect::Storefront, Dialect::Drivecash] {
        let scene = Scene::new(dialect).await;
        // Nobody reads it, so it does not answer pings.
        let mut silent = scene.open().await;
        scene.answer("into the void").await;
        let mut back = scene.open().await;
        scene.answer("live").await;
        let late =
            timeout(FOUND_OUT, back.next_of("chat_message")).await.expect("the message was lost, or delayed by 45 s");
        assert_eq!(Scene::text(&late), "into the void", "later messages come after it");
        scene.hears(&mut back, &["live"]).await;
        scene.receives_nothing_more(&mut back).await;
        let end = async { while silent.next_or_end().await.is_ok() {} };
        timeout(PATIENCE, end).await.expect("the old socket was not closed");
    }
}
