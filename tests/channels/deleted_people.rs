//! Messages of deleted accounts are in no list and no search.

use deskline::domain::{Members, Role};
use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, TestServer, Who};

#[tokio::test]
async fn messages_of_deleted_people_are_in_no_list_and_no_search() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let bob = server.account("Bob Two", "bob@x.test", Role::Customer).await;
    let ada = server.account("Ada Min", "ada@x.test", Role::Admin).await;
    for user in [&uma, &bob] {
        let who = Who::Bearer(server.token(user));
        let room = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].clone();
        let text = format!("words of {}", user.name);
        let said = server.post("/api/chat/messages/", &who, json!({"room_id": room, "message": text})).await;
        assert_eq!(said.status, 201, "{}", said.json);
    }
    let agent = Who::Bearer(server.token(&ada));
    let lists =
        ["/api/chat/rooms/", "/api/admin/chat-rooms/", "/api/admin/chat-rooms/?search=Uma", "/api/chat/conversations"];
    let seen = async || {
        let mut seen = Vec::new();
        for path in lists {
            let answer = server.get(path, &agent).await;
            assert_eq!(answer.status, 200, "{path}");
            seen.push(answer.json.to_string());
        }
        let mut socket = server.socket(&format!("/ws/admin/chat/?token={}", server.token(&ada))).await;
        seen.push(socket.next_of("room_list").await.to_string());
        seen
    };
    for list in seen().await {
        assert!(list.contains("Uma One") || list.contains("words of Uma"), "{list}");
    }
    let deleted = server.ask("DELETE", &format!("/api/admin/deleteuser/{}", uma.id), &agent, None::<Value>).await;
    assert_eq!(deleted.status, 200, "{}", deleted.json);
    let after = seen().await;
    for list in &after {
        assert!(!list.contains("Uma") && !list.contains("Deleted"), "{list}");
    }
    assert!(after[0].contains("Bob Two"), "others are still listed: {}", after[0]);

    let members = Members::Support { customer: uma.id };
    let room = server.stores.conversations.find(members).await.unwrap().unwrap();
    let uuid = uuid::Uuid::from_u128(room.uuid);
    for path in [
        format!("/api/chat/messages/{}", uma.id),
        format!("/api/chat/messages/?room_id={}", room.number),
        "/api/chat/messages/".to_owned(),
        format!("/api/admin/chat-rooms/{uuid}/"),
        format!("/api/admin/chat-rooms/{uuid}/get_messages/"),
        format!("/api/public/chat-rooms/{uuid}/"),
    ] {
        let answer = server.get(&path, &agent).await;
        assert!(!answer.json.to_string().contains("words of Uma"), "{path}: {}", answer.json);
    }
    let client = Client::connect(&format!("http://{}", server.address())).await.unwrap();
    let token = json!({"token": server.token(&ada), "catchUp": false});
    assert_eq!(client.emit_ack("authenticate", token).await.unwrap()["ok"], true);
    let resumed = client.emit_ack("resume", json!({"conversations": {room.id.to_string(): 0}})).await.unwrap();
    assert!(resumed["conversations"].is_object() && !resumed.to_string().contains("words of Uma"), "{resumed}");
}

#[tokio::test]
async fn messages_of_deleted_people_are_not_sent_when_catching_up() {
    let server = TestServer::start().await;
    let (url, nothing) = (format!("http://{}", server.address()), json!({"pid": "", "offset": ""}));
    let [uma, bob] = [("Uma One", "uma@x.test"), ("Bob Two", "bob@x.test")];
    let uma = server.account(uma.0, uma.1, Role::Customer).await;
    let bob = server.account(bob.0, bob.1, Role::Customer).await;
    let ada = server.account("Ada Min", "ada@x.test", Role::Admin).await;
    let page = Client::connect_page(&url, &nothing, false).await.unwrap();
    let pid = page.connected()["pid"].clone();
    page.emit("authenticate", server.token(&ada)).unwrap();
    let caught_up = page.wait_for("caught-up", PATIENCE).await.unwrap();
    drop(page);
    for user in [&uma, &bob] {
        let who = Who::Bearer(server.token(user));
        let room = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].clone();
        let body = json!({"room_id": room, "message": format!("words of {}", user.name)});
        assert_eq!(server.post("/api/chat/messages/", &who, body).await.status, 201);
    }
    let agent = Who::Bearer(server.token(&ada));
    let deleted = server.ask("DELETE", &format!("/api/admin/deleteuser/{}", uma.id), &agent, None::<Value>).await;
    assert_eq!(deleted.status, 200, "{}", deleted.json);
    for shown in [json!({"pid": pid, "offset": caught_up[1]}), nothing] {
        let back = Client::connect_page(&url, &shown, false).await.unwrap();
        if back.connected()["pid"] != pid {
            back.emit("authenticate", server.token(&ada)).unwrap();
        }
        let first = back.wait_for("receive-message", PATIENCE).await.unwrap();
        assert!(first.to_string().contains("words of Bob Two"), "{first}");
    }
}
