//! Files with messages: uploaded, fetched back, refused.

use deskline::domain::{Role, User};
use deskline::rig::client::Client;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, TestServer, Who};

struct Room {
    server: TestServer,
    uma: User,
    admin: User,
    number: u64,
}

impl Room {
    async fn open() -> Self {
        let server = TestServer::start().await;
        let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
        let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
        let who = Who::Bearer(server.token(&uma));
        let number = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].as_u64().unwrap();
        Self { server, uma, admin, number }
    }

    async fn upload(&self, by: &User, name: &str, bytes: Vec<u8>, text: &str) -> (u16, Value) {
        let part = Part::bytes(bytes).file_name(name.to_owned());
        // The file comes first: who may send is known only later.
        let form = Form::new().part("attachment", part).text("room_id", self.number.to_string());
        let form = if text.is_empty() { form } else { form.text("message", text.to_owned()) };
        let request = self.server.http.post(format!("http://{}/api/chat/messages/", self.server.address));
        let response = request.bearer_auth(self.server.token(by)).multipart(form).send().await.unwrap();
        (response.status().as_u16(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
    }
}

fn picture(bytes: usize) -> Vec<u8> {
    let mut picture: Vec<u8> = (0..bytes).map(|n| u8::try_from(n % 251).unwrap()).collect();
    picture[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
    picture
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_mebibytes_come_back_byte_for_byte() {
    let room = Room::open().await;
    let sent = picture(20 << 20);
    let (status, json) = room.upload(&room.uma, "../a b.png", sent.clone(), "with file").await;
    assert_eq!((status, &json["attachment_name"]), (201, &json!("a b.png")), "{json}");
    let fetched = room.server.http.get(json["attachment"].as_str().unwrap()).send().await.unwrap();
    let header = |name: &str| fetched.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/png");
    assert_eq!(header("content-disposition"), "attachment; filename*=UTF-8''a%20b.png");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
    assert!(fetched.bytes().await.unwrap() == sent, "byte for byte");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_told_on_every_dialect() {
    let room = Room::open().await;
    let client = Client::connect(&format!("http://{}", room.server.address)).await.unwrap();
    client.authenticate(&room.server.token(&room.admin)).await.unwrap();
    let path = format!("/ws/chat/{}/?token={}", room.number, room.server.token(&room.admin));
    let mut socket = room.server.socket(&path).await;
    let (status, json) = room.upload(&room.uma, "notes.txt", b"just text".to_vec(), "").await;
    assert_eq!((status, &json["message"]), (201, &json!("notes.txt")), "a file without a text has its name: {json}");
    let frame = socket.next_of("chat_message").await;
    assert_eq!(frame["attachment_name"], "notes.txt");
    let told = client.wait_for("receive-message", PATIENCE).await.unwrap();
    let (text, link) = told["message"].as_str().unwrap().split_once('\n').unwrap();
    assert_eq!(text, "notes.txt");
    for link in [link, frame["attachment"].as_str().unwrap()] {
        let fetched = room.server.http.get(format!("http://{}{link}", room.server.address)).send().await.unwrap();
        assert_eq!(fetched.text().await.unwrap(), "just text");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_not_be_sent_is_refused_and_leaves_nothing_behind() {
    let room = Room::open().await;
    let stranger = room.server.account("Mal Lory", "mal@example.com", Role::Customer).await;
    for (by, name, bytes, status) in [
        (&room.uma, "page.png", b"<html><script>alert(1)</script>".to_vec(), 415),
        (&room.uma, "program.txt", b"MZ\x90\x00\x03".to_vec(), 415),
        (&room.uma, "large.png", picture((25 << 20) + 1), 413),
        (&stranger, "a.png", picture(100), 403),
    ] {
        let (answer, json) = room.upload(by, name, bytes, "look").await;
        assert_eq!(answer, status, "{name}: {json}");
        assert!(json["error"].is_string(), "{json}");
    }
    let who = Who::Bearer(room.server.token(&room.uma));
    let log = room.server.get(&format!("/api/chat/messages/?room_id={}", room.number), &who).await;
    assert_eq!(log.json, json!([]));
    assert_eq!(room.server.files(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_signed_link_opens_a_file() {
    let room = Room::open().await;
    let (_, json) = room.upload(&room.uma, "a.png", picture(100), "look").await;
    let link = json["attachment"].as_str().unwrap().to_owned();
    let token = link.split('/').nth(5).unwrap();
    for wrong in [link.replace(token, "x"), link.replace(token, &room.server.token(&room.uma))] {
        assert_eq!(room.server.http.get(wrong).send().await.unwrap().status(), 404);
    }
    let as_token = Who::Bearer(token.to_owned());
    assert_eq!(room.server.get("/api/chat/rooms/", &as_token).await.status, 401, "a link is no token");
}
