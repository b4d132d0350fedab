//! HEAD requests.

use deskline::domain::Role;
use serde_json::json;

use crate::harness::{TestServer, Who};

/// Django runs the handler of GET for a HEAD, which would mark messages as read although the response contains none.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_is_refused_by_both_dialects_and_marks_nothing() {
    let server = TestServer::start().await;
    let ada = server.account("Ada", "ada@x.test", Role::Admin).await;
    let ann = server.account("Ann", "ann@x.test", Role::Customer).await;
    let (agent, ann) = (Who::Bearer(server.token(&ada)), Who::Bearer(server.token(&ann)));
    let (room, visitor) = server.visit("Vera").await;
    let send = format!("/api/public/chat-rooms/{room}/send_message/");
    assert_eq!(server.post(&send, &visitor, json!({"content": "unread"})).await.status, 201);
    let rooms = "/api/admin/chat-rooms/";
    let unread = async || server.get(rooms, &agent).await.json["results"][0]["unread_count"].clone();
    assert_eq!(unread().await, 1);
    let paths = [
        (format!("{rooms}{room}/get_messages/"), &agent),
        (format!("{rooms}{room}/"), &agent),
        (format!("/api/public/chat-rooms/{room}/get_messages/"), &visitor),
        ("/api/public/chat-rooms/".into(), &visitor),
        ("/api/chat/rooms/".into(), &ann),
        ("/api/chat/messages/".into(), &ann),
        ("/api/notifications/".into(), &ann),
    ];
    for (path, who) in &paths {
        assert_eq!(server.ask("HEAD", path, who, None).await.status, 405, "{path}");
    }
    assert_eq!(unread().await, 1);
    for (path, who) in &paths {
        assert_eq!(server.get(path, who).await.status, 200, "{path}");
    }
    assert_eq!(unread().await, 0, "a GET marks them");
}
