//! The status of messages to people in the portal: a live frame does not prove delivery, a fetch does.

use deskline::domain::{Role, User};
use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, TestServer, Who};

async fn statuses(server: &TestServer, as_: &Who, other: &User) -> Vec<Value> {
    let history = server.get(&format!("/api/chat/messages/{}", other.id), as_).await.json;
    history.as_array().unwrap().iter().map(|message| message["status"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_a_frame_is_sent_and_a_fetched_one_is_delivered() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let admin = server.account("Ad Min", "adm@example.com", Role::Admin).await;
    let [user, agent] = [&uma, &admin].map(|user| Who::Bearer(server.token(user)));
    let room = server.get("/api/chat/rooms/my_room/", &user).await.json["room"]["id"].as_u64().unwrap();
    let say = async |text: &str| {
        let body = json!({"receiverId": uma.id.to_string(), "message": text});
        let sent = server.post("/api/chat/send", &agent, body).await;
        assert_eq!((sent.status, &sent.json["status"]), (201, &json!("stored")));
    };
    say("one").await;
    assert_eq!(statuses(&server, &agent, &uma).await, ["stored"]);
    let fetched = server.get(&format!("/api/chat/messages/?room_id={room}"), &user).await;
    assert_eq!(fetched.json[0]["message"], "one");
    assert_eq!(statuses(&server, &agent, &uma).await, ["delivered"]);

    let mut socket = server.socket(&format!("/ws/chat/{room}/?token={}", server.token(&uma))).await;
    say("two").await;
    assert_eq!(socket.next_of("chat_message").await["message"], "two");
    let mut seen = statuses(&server, &agent, &uma).await;
    // Whether an earlier message was left out is looked up a moment after this one was sent.
    for _ in 0..100 {
        if seen[1] != "stored" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        seen = statuses(&server, &agent, &uma).await;
    }
    assert_eq!(seen, ["delivered", "sent"], "a frame that was sent may not have arrived");
    let read = server.post(&format!("/api/chat/rooms/{room}/mark_as_read/"), &user, json!({})).await;
    assert_eq!(read.status, 200);
    socket.next_of("read_receipt").await;
    assert_eq!(statuses(&server, &agent, &uma).await, ["read", "read"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_new_messages_does_not_count_as_receiving_them() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let admin = server.account("Ad Min", "adm@example.com", Role::Admin).await;
    let [user, agent] = [&uma, &admin].map(|user| Who::Bearer(server.token(user)));
    let room = server.get("/api/chat/rooms/my_room/", &user).await.json["room"]["id"].as_u64().unwrap();
    let uuid = server.post("/api/public/user-chat/", &user, json!({})).await.json["id"].as_str().unwrap().to_owned();
    let (path, mut ids) = ("/api/chat/messages/", Vec::new());
    for text in ["one", "two"] {
        let sent = server.post(path, &agent, json!({"room_id": room, "message": text})).await;
        ids.push(sent.json["id"].clone());
    }
    let notifications = server.get("/api/chat/notifications/", &user).await.json;
    let notified: Vec<_> = notifications.as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(notified, ids);
    assert_eq!(server.get(&format!("{path}{}/", ids[1]), &user).await.json["message"], "two");
    assert_eq!(statuses(&server, &agent, &uma).await, ["stored", "stored"], "neither message was fetched");
    let page = server.get(&format!("/api/public/chat-messages/?room_id={uuid}"), &user).await.json;
    assert_eq!(page["count"], 2);
    assert_eq!(statuses(&server, &agent, &uma).await, ["delivered", "delivered"], "a page of messages is a history");
    let read = server.post(&format!("/api/chat/notifications/{}/mark_read/", ids[0]), &user, json!({})).await;
    assert_eq!((read.status, &read.json["is_read"]), (200, &json!(true)));
    assert_eq!(server.get("/api/chat/notifications/", &user).await.json[0]["id"], ids[1]);
    let all = server.post("/api/chat/notifications/mark_all_read/", &user, json!({})).await;
    assert_eq!(all.json["count"], 1);
    assert_eq!(server.get("/api/chat/notifications/", &user).await.json, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_sent_just_before_the_connection_broke_are_sent_again_on_another_dialect() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let admin = server.account("Ad Min", "adm@example.com", Role::Admin).await;
    let [user, agent] = [&uma, &admin].map(|user| Who::Bearer(server.token(user)));
    let uuid = server.post("/api/public/user-chat/", &user, json!({})).await.json["id"].as_str().unwrap().to_owned();
    let mut socket = server.socket(&format!("/ws/chat/{uuid}/?token={}", server.token(&uma))).await;
    let body = json!({"receiverId": uma.id.to_string(), "message": "did you get this?"});
    assert_eq!(server.post("/api/chat/send", &agent, body).await.status, 201);
    // It writes but does not read, so nothing shows whether the message has arrived.
    socket.send(json!({"type": "ping"})).await;
    let watcher = Client::connect(&format!("http://{}", server.address())).await.unwrap();
    watcher.authenticate(&server.token(&admin)).await.unwrap();
    drop(socket);
    while watcher.wait_for("user-offline", PATIENCE).await.unwrap()["userId"] != uma.id.to_string() {}
    let client = Client::connect(&format!("http://{}", server.address())).await.unwrap();
    client.authenticate(&server.token(&uma)).await.unwrap();
    let again = client.wait_for("receive-message", PATIENCE).await.unwrap();
    assert_eq!(again["message"], "did you get this?");
}

/// A page of the portal can fetch a part of a room.
#[tokio::test(flavor = "multi_thread")]
async fn a_limited_fetch_counts_only_for_the_messages_that_it_returned() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let admin = server.account("Ad Min", "adm@example.com", Role::Admin).await;
    let [user, agent] = [&uma, &admin].map(|user| Who::Bearer(server.token(user)));
    let room = server.get("/api/chat/rooms/my_room/", &user).await.json["room"]["id"].clone();
    for text in ["one", "two", "three"] {
        let body = json!({"room_id": room, "message": text});
        assert_eq!(server.post("/api/chat/messages/", &agent, body).await.status, 201);
    }
    let newest = server.get(&format!("/api/chat/messages/?room_id={room}&limit=1"), &user).await.json;
    assert_eq!((newest.as_array().unwrap().len(), &newest[0]["message"]), (1, &json!("three")));
    assert_eq!(statuses(&server, &agent, &uma).await, ["stored"; 3], "the two before it were not returned");
    server.get(&format!("/api/chat/messages/?room_id={room}"), &user).await;
    assert_eq!(statuses(&server, &agent, &uma).await, ["delivered"; 3]);
}
