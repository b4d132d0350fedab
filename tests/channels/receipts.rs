//! What a message has come to, when the other side is in the portal: a live frame is no proof that it was taken, a fetch is.

use deskline::domain::{Role, User};
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

async fn statuses(server: &TestServer, as_: &Who, other: &User) -> Vec<Value> {
    let history = server.get(&format!("/api/chat/messages/{}", other.id), as_).await.json;
    history.as_array().unwrap().iter().map(|message| message["status"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_is_sent_and_a_fetch_is_delivered() {
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
    // Whether it joins what came before is looked up a moment after it was handed over.
    for _ in 0..100 {
        if seen[1] != "stored" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        seen = statuses(&server, &agent, &uma).await;
    }
    assert_eq!(seen, ["delivered", "sent"], "a frame that was sent may not have been taken");
    let read = server.post(&format!("/api/chat/rooms/{room}/mark_as_read/"), &user, json!({})).await;
    assert_eq!(read.status, 200);
    socket.next_of("read_receipt").await;
    assert_eq!(statuses(&server, &agent, &uma).await, ["read", "read"]);
}
