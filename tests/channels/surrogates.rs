//! Texts with half of a surrogate pair, as browsers send them when an emoji is cut.

use deskline::domain::Role;

use crate::harness::{TestServer, Who};

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_surrogate_is_shown_as_a_replacement_character() {
    let server = TestServer::start().await;
    let ada = server.account("Ada", "ada@x.test", Role::Admin).await;
    let (room, owner) = server.visit("Vera").await;
    let Who::Session(secret) = owner else { panic!("a visitor has a session") };
    let mut socket = server.try_socket(&format!("/ws/chat/{room}/"), Some(&secret)).await.unwrap();
    socket.send_text(r#"{"type":"chat_message","content":"by socket \ud83d"}"#).await;
    assert_eq!(socket.next_of("chat_message").await["message"]["content"], "by socket \u{fffd}");
    let url = format!("{}/api/public/chat-rooms/{room}/send_message/", server.url);
    let request = server.http.post(url).header("cookie", format!("sessionid={secret}"));
    let request = request.header("content-type", "application/json").body(r#"{"content":"\ude00 by request"}"#);
    assert_eq!(request.send().await.unwrap().status(), 201);
    let agent = Who::Bearer(server.token(&ada));
    let listed = server.get(&format!("/api/admin/chat-rooms/{room}/get_messages/"), &agent).await.json;
    let contents: Vec<_> = (0..2).map(|n| listed[n]["content"].as_str().unwrap()).collect();
    assert_eq!(contents, ["by socket \u{fffd}", "\u{fffd} by request"]);
}
