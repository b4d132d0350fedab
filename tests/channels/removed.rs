//! A room that an agent deletes: hidden from the desk, kept for its customer.

use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_room_leaves_the_lists_until_its_customers_next_message() {
    let server = TestServer::start().await;
    let ada = server.account("Ada Min", "ada@example.com", Role::Admin).await;
    let agent = Who::Bearer(server.token(&ada));
    let (room, owner) = server.visit("Ann").await;
    let (public, admin) = (format!("/api/public/chat-rooms/{room}/"), format!("/api/admin/chat-rooms/{room}/"));
    let send = format!("{public}send_message/");
    assert_eq!(server.post(&send, &owner, json!({"content": "before"})).await.status, 201);
    let mut overview = server.socket(&format!("/ws/admin/chat/?token={}", server.token(&ada))).await;
    assert_eq!(overview.next_of("room_list").await["rooms"][0]["last_message"]["content"], "before");

    let by_word = server.ask("PATCH", &admin, &agent, Some(json!({"status": "removed"}))).await;
    assert_eq!(by_word.status, 400);
    assert_eq!(server.ask("DELETE", &admin, &agent, None).await.status, 204);
    assert_eq!(overview.next_of("room_list").await["rooms"], json!([]));
    let listed = async || server.get("/api/admin/chat-rooms/", &agent).await.json["count"].take();
    assert_eq!(listed().await, 0);
    for (method, path) in [
        ("GET", admin.clone()),
        ("GET", format!("{admin}get_messages/")),
        ("POST", format!("{admin}send_message/")),
        ("PATCH", format!("{admin}mark_as_read/")),
        ("DELETE", admin.clone()),
    ] {
        let body = (method == "POST").then(|| json!({"content": "x"}));
        assert_eq!(server.ask(method, &path, &agent, body).await.status, 404, "{method} {path}");
    }

    let kept = server.get(&public, &owner).await.json;
    assert_eq!((&kept["status"], &kept["messages"][0]["content"]), (&json!("closed"), &json!("before")));
    assert_eq!(server.post(&send, &owner, json!({"content": "after"})).await.status, 201);
    let back = server.get(&admin, &agent).await.json;
    let texts: Vec<&Value> = back["messages"].as_array().unwrap().iter().map(|message| &message["content"]).collect();
    assert_eq!(
        (texts, &back["status"], listed().await),
        (vec![&json!("before"), &json!("after")], &json!("waiting"), json!(1))
    );
}
