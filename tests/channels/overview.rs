//! The overview of all rooms, on the sockets of several agents, while many messages are sent.

use deskline::domain::Role;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::harness::{TestServer, Who};

const MESSAGES: usize = 60;

#[tokio::test(flavor = "multi_thread")]
async fn agents_get_the_newest_overview_and_not_one_per_message() {
    let server = TestServer::start_with(&["--send-rate", "0"]).await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let path = format!("/ws/admin/chat/?token={}", server.token(&admin));
    let mut sockets = Vec::new();
    for _ in 0..3 {
        let mut socket = server.socket(&path).await;
        assert_eq!(socket.next().await["type"], "room_list", "first of all");
        sockets.push(socket);
    }
    let room = server.post("/api/public/chat-rooms/", &Who::Nobody, json!({})).await;
    let (visitor, room) = (room.session().unwrap(), room.json["id"].as_str().unwrap().to_owned());
    let begun = Instant::now();
    for n in 0..MESSAGES {
        let said = json!({"content": format!("message {n}")});
        let sent = server.post(&format!("/api/public/chat-rooms/{room}/send_message/"), &visitor, said).await;
        assert_eq!(sent.status, 201);
    }
    let most = begun.elapsed().as_millis() / 100 + 2;
    for socket in &mut sockets {
        let (mut heard, mut lists) = (0, 0);
        loop {
            let frame = socket.next().await;
            match frame["type"].as_str().unwrap() {
                "new_customer_message" => heard += 1,
                "room_list" => {
                    lists += 1;
                    let rooms = frame["rooms"].as_array().unwrap();
                    if unread(rooms, &room) == MESSAGES {
                        break;
                    }
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(heard, MESSAGES, "the newest overview follows the messages in it");
        assert!(lists <= most, "{lists} overviews, where {most} are the most");
    }
}

fn unread(rooms: &[Value], id: &str) -> usize {
    let room = rooms.iter().find(|room| room["id"] == id);
    room.map_or(0, |room| usize::try_from(room["unread_count"].as_u64().unwrap()).unwrap())
}
