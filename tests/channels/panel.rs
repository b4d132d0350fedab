//! What a panel receives in rooms that it opens by their id alone, without the token that it signed in with.

use deskline::domain::{AccountStatus, Clock as _, Role, SystemClock};
use deskline::store::UserChange;
use serde_json::{Value, json};

use crate::harness::{Answer, Socket, TestServer, Who};

/// Signs in as the panels do. Returns the cookie.
async fn sign_in(server: &TestServer, path: &str) -> Option<String> {
    let body = json!({"username": "ada", "password": "secret-1"});
    let answer: Answer = server.post(path, &Who::Nobody, body).await;
    assert_eq!(answer.status, 200, "{path}");
    answer.cookie
}

async fn open(server: &TestServer, room: &str, cookie: &str) -> Socket {
    let cookie = cookie.split(';').next().unwrap().to_owned();
    server.try_socket_with(&format!("/ws/chat/{room}/"), &[("cookie", cookie)]).await.unwrap()
}

async fn say(server: &TestServer, room: &str, by: &Who, content: &str) {
    let send = format!("/api/public/chat-rooms/{room}/send_message/");
    assert_eq!(server.post(&send, by, json!({"content": content})).await.status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_agents_panel_receives_nothing_from_rooms_it_opened_by_id() {
    let server = TestServer::start().await;
    let ada = server.account("Ada Min", "ada@example.com", Role::Admin).await;
    let (room, owner) = server.visit("Ann").await;
    let mut cookie = String::new();
    for path in ["/api/auth/login/", "/api/api/auth/login/", "/api/login"] {
        cookie = sign_in(&server, path).await.unwrap_or_else(|| panic!("{path}: no cookie"));
        assert!(cookie.contains("; HttpOnly") && cookie.contains("; Path=/ws/"), "{cookie}");
    }
    let mut panel = open(&server, &room, &cookie).await;
    let mut customer = server.socket(&format!("/ws/chat/{room}/")).await;
    say(&server, &room, &owner, "before").await;
    assert_eq!(panel.next_of("chat_message").await["message"]["content"], "before");
    let blocked = UserChange { status: Some(AccountStatus::Blocked), ..UserChange::default() };
    server.stores.users.update_user(ada.id, blocked, SystemClock.now()).await.unwrap();
    assert_eq!(panel.end().await, 4401);
    say(&server, &room, &owner, "after").await;
    customer.next_of("room_info").await;
    let heard = [customer.next_of("chat_message").await, customer.next_of("chat_message").await];
    let texts: Vec<&Value> = heard.iter().map(|frame| &frame["message"]["content"]).collect();
    assert_eq!(texts, ["before", "after"], "others with the room's id are not affected");
    assert_eq!(open(&server, &room, &cookie).await.end().await, 4401, "another socket is refused, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_in_a_room_makes_its_agent_online_but_does_not_write_as_them() {
    let server = TestServer::start().await;
    server.account("Ada Min", "ada@example.com", Role::Admin).await;
    let (room, _) = server.visit("Ann").await;
    let cookie = sign_in(&server, "/api/auth/login/").await.unwrap();
    let mut panel = open(&server, &room, &cookie).await;
    panel.send(json!({"type": "chat_message", "content": "from the shop in the agent's browser"})).await;
    let message = panel.next_of("chat_message").await["message"].take();
    assert_eq!(message["sender_type"], "customer", "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sign_in_of_a_customer_sets_no_panel_cookie() {
    let server = TestServer::start().await;
    server.account("Ann Lee", "ada@example.com", Role::Customer).await;
    assert_eq!(sign_in(&server, "/api/login").await, None);
    let by_address = json!({"email": "ada@example.com", "password": "secret-1"});
    assert_eq!(server.post("/api/login", &Who::Nobody, by_address).await.json["success"], true);
}
