//! Edits and deletions in the portal, and how others see them.

use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

fn texts(messages: &Value) -> Vec<&str> {
    messages.as_array().unwrap().iter().map(|message| message["message"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_authors_edit_messages_and_agents_delete_any() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let admin = server.account("Ad Min", "adm@example.com", Role::Admin).await;
    let other = server.account("Ot Her", "u2@example.com", Role::Customer).await;
    let [user, agent, stranger] = [&uma, &admin, &other].map(|user| Who::Bearer(server.token(user)));
    let room = server.get("/api/chat/rooms/my_room/", &user).await.json["room"]["id"].as_u64().unwrap();
    let mut said = Vec::new();
    for (who, text) in [(&user, "one"), (&agent, "two"), (&user, "three")] {
        let sent = server.post("/api/chat/messages/", who, json!({"room_id": room, "message": text})).await;
        said.push(format!("/api/chat/messages/{}/", sent.json["id"]));
    }
    let answering = json!({"room_id": room, "message": "four", "reply_to": 3});
    let number = server.post("/api/chat/messages/", &user, answering).await.json["reply_to"]["id"].clone();
    assert_eq!(number, 3);

    let text = |text: &str| Some(json!({ "message": text }));
    for (method, path, who, status) in [
        ("PUT", &said[0], &agent, 403),
        ("PATCH", &said[1], &user, 403),
        ("DELETE", &said[1], &user, 403),
        ("PUT", &said[0], &stranger, 404),
        ("DELETE", &said[0], &stranger, 404),
        ("DELETE", &said[0], &Who::Nobody, 401),
        ("DELETE", &"/api/chat/messages/99/".to_owned(), &agent, 404),
    ] {
        assert_eq!(server.ask(method, path, who, text("changed")).await.status, status, "{method} {path} {who:?}");
    }
    assert_eq!(server.ask("PUT", &said[0], &user, Some(json!({}))).await.json["message"][0], "This field is required.");
    assert_eq!(server.ask("PUT", &said[0], &user, text("  ")).await.status, 400);

    let edited = server.ask("PUT", &said[0], &user, text("uno")).await;
    assert_eq!((edited.status, &edited.json["message"]), (200, &json!("uno")));
    assert_ne!(edited.json["updated_at"], edited.json["created_at"]);
    assert_eq!(server.ask("PATCH", &said[0], &user, Some(json!({}))).await.json["message"], "uno");
    assert_eq!(server.ask("PATCH", &said[1], &agent, text("dos")).await.json["message"], "dos");
    assert_eq!(server.ask("DELETE", &said[2], &agent, None).await.status, 204);
    assert_eq!(server.get(&said[2], &user).await.status, 404);
    assert_eq!(server.ask("PUT", &said[2], &user, text("back")).await.status, 404);

    for who in [&user, &agent] {
        let messages = server.get(&format!("/api/chat/messages/?room_id={room}"), who).await.json;
        assert_eq!(texts(&messages), ["uno", "dos", "four"]);
        assert_eq!(messages[2]["reply_to"], Value::Null, "a deleted message is not quoted");
    }
    let summary = server.get(&format!("/api/chat/rooms/{room}/"), &agent).await.json;
    assert_eq!((&summary["last_message"]["message"], &summary["admin_unread_count"]), (&json!("four"), &json!(2)));
    let in_the_shop = server.get("/api/public/user-chat/", &user).await.json;
    assert!(!in_the_shop.to_string().contains("three"), "{in_the_shop}");
}
