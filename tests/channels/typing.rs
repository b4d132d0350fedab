//! Typing notices of the portal go to everybody in the room except the typist, on any tab.

use deskline::domain::{Role, User};
use serde_json::json;

use crate::harness::{TestServer, Who};

#[tokio::test(flavor = "multi_thread")]
async fn typing_is_sent_to_every_tab_of_the_other_person_and_no_tab_of_the_typist() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let ada = server.account("Ada Min", "ada@x.test", Role::Admin).await;
    let who = Who::Bearer(server.token(&uma));
    let room = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].clone();
    for (typist, other) in [(&uma, &ada), (&ada, &uma)] {
        let open = async |user: &User| {
            let mut socket = server.socket(&format!("/ws/chat/{room}/?token={}", server.token(user))).await;
            socket.next_of("user_status").await;
            socket
        };
        let mut typing = [open(typist).await, open(typist).await];
        let mut hearing = [open(other).await, open(other).await];
        for tab in &mut typing {
            for is_typing in [true, false] {
                tab.send(json!({"type": "typing", "is_typing": is_typing})).await;
                let frame = json!({"type": "typing", "user_id": typist.number, "user_name": typist.name,
                    "is_typing": is_typing});
                for socket in &mut hearing {
                    assert_eq!(socket.next_of("typing").await, frame);
                }
            }
        }
        for socket in &mut typing {
            socket.hears_none_of(&["typing"]).await;
        }
    }
}
