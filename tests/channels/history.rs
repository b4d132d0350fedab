//! Long logs and long lists can be read to their ends.

use deskline::domain::{
    AccountStatus, Clock as _, Draft, DraftKind, Members, MessageBody, MessageId, PendingCodes, Profile, Role, Side,
    SystemClock, User, UserId,
};
use deskline::store::NewUser;
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

const MESSAGES: usize = 2500;
const ROOMS: usize = 1100;

/// Fills a customer's conversation with numbered messages.
async fn fill(server: &TestServer, customer: &User) {
    let (conversations, now) = (&server.stores.conversations, SystemClock.now());
    let conversation = conversations.open(Members::Support { customer: customer.id }, now).await.unwrap();
    let say = |n: usize| {
        let body = MessageBody::parse(&n.to_string(), 100).unwrap();
        let kind = DraftKind::Message { id: MessageId::generate(now), body, client_id: None, extras: None };
        Draft { conversation: conversation.id, author: customer.id, side: Side::Customer, at: now, kind }
    };
    for kept in conversations.append((0..MESSAGES).map(say).collect()).await {
        kept.unwrap();
    }
}

fn numbers(messages: &Value, key: &str) -> Vec<usize> {
    let texts = messages.as_array().unwrap().iter().map(|message| message[key].as_str().unwrap());
    texts.map(|text| text.parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_is_read_to_its_beginning_in_both_dialects() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    fill(&server, &uma).await;
    let (customer, agent) = (Who::Bearer(server.token(&uma)), Who::Bearer(server.token(&admin)));
    let room = server.get("/api/public/chat-rooms/", &customer).await.json["results"][0]["id"].clone();
    for (who, side) in [(&customer, "public"), (&agent, "admin")] {
        let first = format!("/api/{side}/chat-messages/?room_id={}", room.as_str().unwrap());
        let (mut all, mut path, mut pages) = (Vec::new(), first.clone(), 0);
        loop {
            let page = server.get(&path, who).await.json;
            assert_eq!(page["count"], MESSAGES);
            assert_eq!(page["previous"].is_null(), pages == 0);
            all.extend(numbers(&page["results"], "content"));
            pages += 1;
            let Some(next) = page["next"].as_str() else { break };
            path = next.strip_prefix(&format!("http://{}", server.address())).unwrap().to_owned();
        }
        assert_eq!((pages, all), (10, (0..MESSAGES).collect::<Vec<_>>()));
        assert_eq!(server.get(&format!("{first}&page=11"), who).await.status, 404);
    }
    let newest =
        server.get(&format!("/api/public/chat-rooms/{}/get_messages/", room.as_str().unwrap()), &customer).await;
    assert_eq!(numbers(&newest.json, "content"), (MESSAGES - 1000..MESSAGES).collect::<Vec<_>>());

    let number = server.get("/api/chat/rooms/my_room/", &customer).await.json["room"]["id"].clone();
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/chat/messages/room_messages/?room_id={number}{before}");
        let page = server.get(&path, &customer).await.json;
        let Some(first) = page["messages"].get(0) else { break };
        before = format!("&before={}&limit=800", first["id"]);
        all.splice(0..0, numbers(&page["messages"], "message"));
    }
    assert_eq!(all, (0..MESSAGES).collect::<Vec<_>>());
    let elsewhere = format!("/api/chat/messages/room_messages/?room_id={number}&before=999999");
    assert_eq!(server.get(&elsewhere, &customer).await.json["messages"], json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_log_shows_when_each_message_was_read_and_what_it_replies_to() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    fill(&server, &uma).await;
    let (customer, agent) = (Who::Bearer(server.token(&uma)), Who::Bearer(server.token(&admin)));
    let room = server.get("/api/chat/rooms/my_room/", &customer).await.json["room"]["id"].as_u64().unwrap();
    let read = server.post(&format!("/api/chat/rooms/{room}/mark_as_read/"), &agent, json!({})).await;
    assert_eq!(read.json["count"], MESSAGES);
    let page = async |rest: &str| {
        let path = format!("/api/chat/messages/room_messages/?room_id={room}{rest}");
        let page = server.get(&path, &customer).await.json["messages"].take();
        let Value::Array(page) = page else { panic!("{page}") };
        page
    };
    let newest = page("").await;
    assert_eq!(newest.len(), 1000);
    let oldest = page(&format!("&before={}&limit=1000", newest[0]["id"])).await;
    for message in newest.iter().chain(&oldest) {
        assert!(message["is_read"] == true && message["read_at"].is_string(), "{message}");
    }
    let (far, near) = (&oldest[0], &newest[999]);
    for answered in [far, near] {
        let body = json!({"room_id": room, "message": "about that", "reply_to": answered["id"]});
        assert_eq!(server.post("/api/chat/messages/", &agent, body).await.status, 201);
    }
    let newest = page("&limit=3").await;
    let about: Vec<_> = newest.iter().map(|message| message["reply_to"]["message"].clone()).collect();
    assert_eq!(about, [Value::Null, far["message"].clone(), near["message"].clone()]);
    assert_eq!(newest[1]["read_at"], Value::Null, "nobody has read the replies");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_of_rooms_can_be_read_to_its_end() {
    let server = TestServer::start().await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let agent = Who::Bearer(server.token(&admin));
    let now = SystemClock.now();
    let visitors = (0..ROOMS).map(async |n| {
        let new = NewUser {
            id: UserId::generate(now),
            name: format!("Visitor {n}"),
            email: None,
            password_hash: None,
            role: Role::Customer,
            status: AccountStatus::Active,
            pending_codes: PendingCodes::new(),
            profile: Profile::default(),
            at: now,
        };
        let visitor = server.stores.users.create_user(new).await.unwrap();
        server.stores.conversations.open(Members::Support { customer: visitor.id }, now).await.unwrap();
    });
    futures_util::future::join_all(visitors).await;
    let rooms = server.get("/api/chat/rooms/", &agent).await.json;
    let mut ids: Vec<_> = rooms.as_array().unwrap().iter().map(|room| room["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), ROOMS);
    let mut listed = 0;
    for page in 1..=5 {
        let answer = server.get(&format!("/api/admin/chat-rooms/?page={page}"), &agent).await.json;
        assert_eq!((&answer["count"], answer["next"].is_null()), (&json!(ROOMS), page == 5));
        listed += answer["results"].as_array().unwrap().len();
    }
    assert_eq!(listed, ROOMS);
}
