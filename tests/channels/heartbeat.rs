//! Sockets that stay open and answer nothing, as after a power cut: each is closed within the heartbeat, and messages
//! sent to it meanwhile are not lost.

use std::collections::HashSet;
use std::time::Duration;

use deskline::domain::{Role, User};
use deskline::lab::testkit::socketio::Client;
use serde_json::json;
use tokio::time::{Instant, timeout};

use crate::harness::{PATIENCE, Socket, TestServer, Who};

const HEARTBEAT: [&str; 4] = ["--ping-interval", "2s", "--ping-timeout", "1s"];

/// When a socket that never sends anything is closed: after an interval and a timeout.
const DUE: Duration = Duration::from_secs(3);

/// How much later that may be noticed on a busy machine.
const SLACK: Duration = Duration::from_secs(15);

/// A socket that nobody reads, and that therefore answers no pings.
struct HalfOpen {
    since: Instant,
    socket: Socket,
}

impl HalfOpen {
    async fn open(server: &TestServer, path: &str) -> Self {
        Self { since: Instant::now(), socket: server.socket(path).await }
    }

    /// Asserts that `heard`, which waits for the news of its end, resolves in time and not before.
    async fn is_found_out(&self, heard: impl Future<Output = ()>) {
        timeout(DUE + SLACK, heard).await.expect("the dead socket was not noticed");
        let after = self.since.elapsed();
        assert!(after >= DUE, "closed after {after:?}, before its time to answer was over");
    }

    /// Asserts that the socket is closed, once everything that was in flight is read.
    async fn has_ended(mut self) {
        let end = async { while self.socket.next_or_end().await.is_ok() {} };
        timeout(PATIENCE, end).await.expect("the socket was not closed");
    }
}

struct Scene {
    server: TestServer,
    uma: User,
    admin: User,
    user: Who,
    agent: Who,
}

impl Scene {
    async fn new() -> Self {
        let server = TestServer::start_with(&HEARTBEAT).await;
        let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
        let admin = server.account("Ad Min", "adm@example.com", Role::Admin).await;
        let [user, agent] = [&uma, &admin].map(|user| Who::Bearer(server.token(user)));
        Self { server, uma, admin, user, agent }
    }

    /// The number of the customer's room.
    async fn number(&self) -> u64 {
        self.server.get("/api/chat/rooms/my_room/", &self.user).await.json["room"]["id"].as_u64().unwrap()
    }

    /// The UUID of the same room, as the storefront names it.
    async fn uuid(&self) -> String {
        let room = self.server.post("/api/public/user-chat/", &self.user, json!({})).await.json;
        room["id"].as_str().unwrap().to_owned()
    }

    /// The agent answers the customer.
    async fn answer(&self, text: &str) {
        let body = json!({"receiverId": self.uma.id.to_string(), "message": text});
        assert_eq!(self.server.post("/api/chat/send", &self.agent, body).await.status, 201);
    }

    async fn enter(&self, person: &User) -> Client {
        let client = Client::connect(&format!("http://{}", self.server.address())).await.unwrap();
        assert_eq!(client.authenticate(&self.server.token(person)).await.unwrap()["success"], true);
        client
    }

    /// Asserts that a Socket.IO client of the customer catches up with this message. The pages of these dialects would
    /// fetch it.
    async fn is_owed(&self, text: &str) {
        let back = self.enter(&self.uma).await;
        let got =
            back.wait_for("receive-message", PATIENCE).await.expect("the message sent to the dead socket was lost");
        assert_eq!(got["message"], text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_of_the_portal_is_detected_in_time_and_no_message_is_lost() {
    let scene = Scene::new().await;
    let number = scene.number().await;
    let path = |who| format!("/ws/chat/{number}/?token={}", scene.server.token(who));
    let mut desk = scene.server.socket(&path(&scene.admin)).await;
    let silent = HalfOpen::open(&scene.server, &path(&scene.uma)).await;
    scene.answer("into the void").await;
    let gone = json!({"type": "user_status", "user_id": scene.uma.number, "status": "offline"});
    silent
        .is_found_out(async {
            while desk.next_or_end().await.expect("a socket that answers pings stays open") != gone {}
        })
        .await;
    silent.has_ended().await;
    scene.is_owed("into the void").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_sockets_of_the_storefront_are_detected_in_time_and_no_message_is_lost() {
    let scene = Scene::new().await;
    let watcher = scene.enter(&scene.admin).await;
    let bea = scene.server.account("Bea Two", "bea@example.com", Role::Admin).await;
    let room = format!("/ws/chat/{}/?token={}", scene.uuid().await, scene.server.token(&scene.uma));
    let desk = format!("/ws/admin/chat/?token={}", scene.server.token(&bea));
    let (room, desk) = (HalfOpen::open(&scene.server, &room).await, HalfOpen::open(&scene.server, &desk).await);
    scene.answer("into the void").await;
    let mut here = HashSet::from([scene.uma.id, bea.id].map(|id| json!(id.to_string())));
    let both_gone = async {
        while !here.is_empty() {
            here.remove(&watcher.wait_for("user-offline", DUE + SLACK).await.unwrap()["userId"]);
        }
    };
    room.is_found_out(both_gone).await;
    room.has_ended().await;
    desk.has_ended().await;
    scene.is_owed("into the void").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_only_listens_stays_connected() {
    let scene = Scene::new().await;
    let room = format!("/ws/chat/{}/?token={}", scene.uuid().await, scene.server.token(&scene.uma));
    let mut socket = scene.server.socket(&room).await;
    socket.next_of("room_info").await;
    let end = timeout(2 * DUE, socket.next_or_end()).await;
    assert!(end.is_err(), "a socket that only answers pings was closed: {end:?}");
    scene.answer("still there?").await;
    assert_eq!(socket.next_of("chat_message").await["message"]["content"], "still there?");
}
