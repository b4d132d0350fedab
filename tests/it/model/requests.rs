//! Operations and comparisons by requests, and over the other dialects.

use deskline::domain::Timestamp;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::reference::{Log, Said};
use super::{AGENTS, CUSTOMERS, Done, World};
use crate::support::{SOON, number, text};

impl World {
    async fn get(&self, person: usize, path: &str) -> Value {
        let url = format!("{}{path}", self.server.url);
        let answer = reqwest::Client::new().get(url).bearer_auth(&self.people[person].token).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    async fn patch(&self, person: usize, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.server.url);
        let request = reqwest::Client::new().patch(url).bearer_auth(&self.people[person].token).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer.json().await.unwrap()
    }

    /// The UUID of a customer's room, as the storefront names it.
    async fn room(&self, customer: usize) -> String {
        let url = format!("{}/api/public/chat-rooms/", self.server.url);
        let token = &self.people[AGENTS + customer].token;
        let answer = reqwest::Client::new().post(url).bearer_auth(token).json(&json!({})).send().await.unwrap();
        text(&answer.json::<Value>().await.unwrap(), "id").to_owned()
    }

    /// An agent sets the status over the storefront's routes.
    pub(super) async fn change_status(&mut self, customer: usize) -> Done {
        let status = ["waiting", "active", "closed"][self.pick(3)];
        let (agent, room) = (self.pick(AGENTS), self.room(customer).await);
        self.patch(agent, &format!("/api/admin/chat-rooms/{room}/"), json!({"status": status})).await;
        self.logs[customer].1.set_status(status);
        Some("change the status")
    }

    /// Reads the history as the unchanged frontend does, which marks it as read.
    pub(super) async fn read_history(&mut self, tab: usize, customer: usize) -> Done {
        // The request does not wait for the read mark; it is stored when a client has received it.
        if !self.compare_conversation(customer).await {
            return None;
        }
        let (owner, side) = (self.tabs[tab].owner, self.side(tab));
        let other = if side == 1 { AGENTS + customer } else { 0 };
        let history = self.get(owner, &format!("/api/chat/messages/{}", self.people[other].id)).await;
        let log = &mut self.logs[customer].1;
        assert_eq!(shown(&history, "message"), expected(log));
        let read = |(seq, said): (u64, &Said)| seq <= log.read[1 - said.side];
        let flags: Vec<bool> = log.shown().map(read).collect();
        let read_flags: Vec<bool> = history.as_array().unwrap().iter().map(|said| said["read"] == true).collect();
        assert_eq!(read_flags, flags, "the `read` flags");
        let newest = log.shown().next_back().map(|(seq, _)| seq);
        if let Some(newest) = newest {
            log.mark_read(side, newest);
        }
        Some("read the history")
    }

    /// Sends a message over a websocket of another dialect.
    pub(super) async fn send_in_a_room(&mut self, tab: usize, customer: usize) -> Done {
        if self.logs[customer].1.messages.len() >= super::ROOM {
            return self.take_the_place(customer).await;
        }
        let (owner, side, words) = (self.tabs[tab].owner, self.side(tab), self.something_new());
        let token = self.people[owner].token.clone();
        let is_portal = self.random_bool();
        let (room, frame, what) = if is_portal {
            let me = self.get(AGENTS + customer, "/api/chat/rooms/my_room/").await;
            let room = number(&me["room"], "id").to_string();
            (room, json!({"type": "chat_message", "message": words}), "send in the portal")
        } else {
            (self.room(customer).await, json!({"type": "chat_message", "content": words}), "send in the storefront")
        };
        let url = format!("{}/ws/chat/{room}/?token={token}", self.server.url.replace("http", "ws"));
        let (mut socket, _) = connect_async(url).await.unwrap();
        socket.send(Message::text(frame.to_string())).await.unwrap();
        let echo = async {
            while let Some(Ok(message)) = socket.next().await {
                let Message::Text(frame) = message else { continue };
                let frame: Value = serde_json::from_str(frame.as_str()).unwrap();
                let said = if is_portal { &frame["message"] } else { &frame["message"]["content"] };
                if frame["type"] == "chat_message" && *said == words {
                    return;
                }
            }
            panic!("the socket was closed");
        };
        timeout(SOON, echo).await.expect("no echo");
        self.logs[customer].1.send(owner, side, &words);
        Some(what)
    }

    fn random_bool(&mut self) -> bool {
        self.pick(2) == 0
    }

    /// Compares the responses of all dialects with the model.
    pub(super) async fn compare_requests(&mut self) {
        for customer in 0..CUSTOMERS {
            let (Some(id), log) = self.logs[customer].clone() else { continue };
            let room = self.room(customer).await;
            let shop = self.get(0, &format!("/api/admin/chat-rooms/{room}/get_messages/")).await;
            assert_eq!(shown(&shop, "content"), expected(&log), "in the storefront");
            let my_room = self.get(AGENTS + customer, "/api/chat/rooms/my_room/").await;
            let path = format!("/api/chat/messages/?room_id={}", number(&my_room["room"], "id"));
            let portal = self.get(AGENTS + customer, &path).await;
            assert_eq!(shown(&portal, "message"), expected(&log), "in the portal");
            let of_room = self.get(0, &format!("/api/admin/chat-rooms/{room}/")).await;
            assert_eq!((&of_room["status"], number(&of_room, "unread_count")), (&log.status.into(), log.unread(1)));
            let unread = self.get(AGENTS + customer, "/api/chat/unread-count").await;
            assert_eq!(number(&unread, "count"), log.unread(0), "unread messages of a customer");
            let list = self.get(0, "/api/chat/conversations").await;
            let listed = list.as_array().unwrap().iter().find(|listed| listed["conversationId"] == *id);
            let last = log.shown().next_back();
            assert_eq!(listed.is_some(), last.is_some(), "listed without a message, or not listed with one");
            if let (Some(listed), Some((_, last))) = (listed, last) {
                assert_eq!(listed["lastMessage"].as_str(), last.text.as_deref());
                assert_eq!((number(listed, "unreadCount"), number(listed, "lastSeq")), (log.unread(1), log.last));
                assert_eq!(listed["status"], log.status);
            }
        }
        let all = self.left_unread + self.logs.iter().map(|(_, log)| log.unread(1)).sum::<u64>();
        assert_eq!(number(&self.get(0, "/api/chat/unread-count").await, "count"), all, "unread messages of the desk");
        let list = self.get(1, "/api/chat/conversations").await;
        let times = list
            .as_array()
            .unwrap()
            .iter()
            .map(|listed| Timestamp::parse(text(listed, "lastMessageTime")).unwrap().millis());
        assert!(times.clone().zip(times.skip(1)).all(|(one, next)| one >= next), "the newest come first: {list}");
        self.count("compare requests");
    }
}

/// The texts of a history.
fn shown(history: &Value, field: &str) -> Vec<String> {
    history.as_array().unwrap().iter().map(|said| text(said, field).to_owned()).collect()
}

fn expected(log: &Log) -> Vec<String> {
    log.shown().filter_map(|(_, said)| said.text.clone()).collect()
}
