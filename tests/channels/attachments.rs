//! Attachments: uploads, downloads, refusals.

use std::time::{Duration, UNIX_EPOCH};

use deskline::domain::{Role, User};
use deskline::lab::testkit::socketio::Client;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::harness::{PATIENCE, TestServer, Who};

struct Room {
    server: TestServer,
    uma: User,
    admin: User,
    number: u64,
}

impl Room {
    async fn open() -> Self {
        Self::open_with(&[]).await
    }

    async fn open_with(flags: &[&str]) -> Self {
        let server = TestServer::start_with(flags).await;
        let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
        let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
        let who = Who::Bearer(server.token(&uma));
        let number = server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].as_u64().unwrap();
        Self { server, uma, admin, number }
    }

    async fn upload(&self, by: &User, name: &str, bytes: Vec<u8>, text: &str) -> (u16, Value) {
        self.upload_with(by, name, bytes, text, Form::new()).await
    }

    async fn upload_with(&self, by: &User, name: &str, bytes: Vec<u8>, text: &str, form: Form) -> (u16, Value) {
        let part = Part::bytes(bytes).file_name(name.to_owned());
        // The file comes before the room, so permission can be checked only afterwards.
        let form = form.part("attachment", part).text("room_id", self.number.to_string());
        let form = if text.is_empty() { form } else { form.text("message", text.to_owned()) };
        let request = self.server.http.post(format!("http://{}/api/chat/messages/", self.server.address()));
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
async fn twenty_mebibytes_are_returned_byte_for_byte() {
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
async fn an_attachment_is_delivered_on_every_dialect() {
    let room = Room::open().await;
    let client = Client::connect(&format!("http://{}", room.server.address())).await.unwrap();
    client.authenticate(&room.server.token(&room.admin)).await.unwrap();
    let path = format!("/ws/chat/{}/?token={}", room.number, room.server.token(&room.admin));
    let mut socket = room.server.socket(&path).await;
    let (status, json) = room.upload(&room.uma, "notes.txt", b"just text".to_vec(), "").await;
    assert_eq!((status, &json["message"]), (201, &json!("notes.txt")), "a file without a text has its name: {json}");
    let frame = socket.next_of("chat_message").await;
    assert_eq!(frame["attachment_name"], "notes.txt");
    let event = client.wait_for("receive-message", PATIENCE).await.unwrap();
    let (text, link) = event["message"].as_str().unwrap().split_once('\n').unwrap();
    assert_eq!(text, "notes.txt");
    for link in [link, frame["attachment"].as_str().unwrap()] {
        assert_eq!(room.server.http.get(link).send().await.unwrap().text().await.unwrap(), "just text");
    }
}

/// The first link in a response or frame.
fn link_in(answer: &Value) -> Option<String> {
    match answer {
        Value::String(text) => text.split(['\n', ' ']).find(|word| word.contains("/media/")).map(str::to_owned),
        Value::Array(parts) => parts.iter().find_map(link_in),
        Value::Object(fields) => fields.values().find_map(link_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// Every link to a file is absolute, since a page may come from another origin than the server.
#[tokio::test(flavor = "multi_thread")]
async fn links_are_absolute_in_every_response_and_frame() {
    let room = Room::open().await;
    let (customer, agent) = (Who::Bearer(room.server.token(&room.uma)), Who::Bearer(room.server.token(&room.admin)));
    let uuid = room.server.get("/api/public/chat-rooms/", &customer).await.json["results"][0]["id"].take();
    let uuid = uuid.as_str().unwrap();
    let mut sockets = Vec::new();
    for path in [
        format!("/ws/chat/{uuid}/"),
        format!("/ws/chat/{uuid}/?token={}", room.server.token(&room.uma)),
        format!("/ws/admin/chat/?token={}", room.server.token(&room.admin)),
        format!("/ws/chat/{}/?token={}", room.number, room.server.token(&room.admin)),
    ] {
        let socket = room.server.socket(&path).await;
        sockets.push((path, socket));
    }
    room.upload(&room.uma, "notes.txt", b"just text".to_vec(), "look").await;
    let mut links = Vec::new();
    for (path, mut socket) in sockets {
        let mut link = None;
        while link.is_none() {
            link = link_in(&socket.next().await);
        }
        links.push((path, link));
    }
    let (public, admin) = (format!("/api/public/chat-rooms/{uuid}/"), format!("/api/admin/chat-rooms/{uuid}/"));
    let (socketio_customer, socketio_agent) = (room.admin.id, room.uma.id);
    for (path, who) in [
        (public.clone(), &Who::Nobody),
        (format!("{public}get_messages/"), &customer),
        ("/api/public/chat-rooms/".to_owned(), &customer),
        (format!("/api/public/chat-messages/?room_id={uuid}"), &customer),
        (admin.clone(), &agent),
        (format!("{admin}get_messages/"), &agent),
        (format!("/api/admin/chat-messages/?room_id={uuid}"), &agent),
        (format!("/api/chat/messages/?room_id={}", room.number), &agent),
        (format!("/api/chat/messages/{socketio_customer}"), &customer),
        (format!("/api/chat/messages/{socketio_agent}"), &agent),
    ] {
        links.push((path.clone(), link_in(&room.server.get(&path, who).await.json)));
    }
    for (place, link) in links {
        let link = link.unwrap_or_else(|| panic!("{place}: no link"));
        let fetched =
            room.server.http.get(&link).send().await.unwrap_or_else(|error| panic!("{place}: {link} {error}"));
        assert_eq!(fetched.text().await.unwrap(), "just text", "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_trusted_proxy_links_begin_with_the_address_that_the_client_uses() {
    for (arguments, expected) in
        [(&["--trusted-proxy", "127.0.0.1/32"][..], "https://shop.test"), (&[], "http://a.test")]
    {
        let room = Room::open_with(arguments).await;
        room.upload(&room.uma, "a.png", picture(100), "look").await;
        let token = room.server.token(&room.uma);
        let proxied = [("host", "a.test"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "shop.test")];
        let request = room.server.http.get(format!("http://{}/api/public/chat-rooms/", room.server.address()));
        let request =
            proxied.iter().fold(request.bearer_auth(token), |request, (name, value)| request.header(*name, *value));
        let answer: Value = serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
        let link = link_in(&answer).unwrap();
        assert!(link.starts_with(&format!("{expected}/media/")), "{arguments:?}: {link}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_allowed_is_refused_and_leaves_nothing_behind() {
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
    for (text, form, status) in [
        ("look", Form::new().text("reply_to", "999999"), 404),
        ("no\0text", Form::new(), 400),
        ("x".repeat(1_000_001).as_str(), Form::new(), 413),
    ] {
        let (answer, json) = room.upload_with(&room.uma, "a.png", picture(100), text, form).await;
        assert_eq!((answer, room.server.files()), (status, 0), "{json}");
        assert!(json["error"].is_string(), "{json}");
    }
    let who = Who::Bearer(room.server.token(&room.uma));
    let log = room.server.get(&format!("/api/chat/messages/?room_id={}", room.number), &who).await;
    assert_eq!(log.json, json!([]));
    assert_eq!(room.server.files(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_beyond_the_send_rate_leaves_nothing_behind() {
    let room = Room::open_with(&["--send-rate", "1"]).await;
    let mut kept = 0;
    // Ten are allowed at once, and one more each second.
    for _ in 0..100 {
        let (status, json) = room.upload(&room.uma, "a.png", picture(100), "look").await;
        if status == 429 {
            assert_eq!(room.server.files(), kept, "{json}");
            return;
        }
        assert_eq!(status, 201, "{json}");
        kept += 1;
    }
    panic!("{kept} uploads at once were accepted");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_signed_link_returns_a_file() {
    let room = Room::open().await;
    let (_, json) = room.upload(&room.uma, "a.png", picture(100), "look").await;
    let link = json["attachment"].as_str().unwrap().to_owned();
    let path = link.strip_prefix(&format!("http://{}", room.server.address())).unwrap();
    assert!(path.len() < 70, "short enough to be shown as text: {path}");
    let parts = path.strip_prefix("/media/f-").unwrap();
    let (opens, signature) = (&parts[..22], &parts[23..45]);
    let (_, other) = room.upload(&room.uma, "b.png", picture(100), "look").await;
    let other = other["attachment"].as_str().unwrap().split_once("/media/f-").unwrap().1[..22].to_owned();
    for (part, wrong) in [(opens, "x"), (opens, &*other), (signature, "x"), (signature, &*room.server.token(&room.uma))]
    {
        assert_eq!(room.server.http.get(link.replace(part, wrong)).send().await.unwrap().status(), 404, "{wrong}");
    }
    let as_token = Who::Bearer(format!("{opens}.{signature}"));
    assert_eq!(room.server.get("/api/chat/rooms/", &as_token).await.status, 401, "a link is not accepted as a token");
    assert_eq!(room.server.http.get(&link).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_of_a_deleted_message_is_served_to_nobody() {
    let room = Room::open().await;
    let (_, json) = room.upload(&room.uma, "a.png", picture(100), "look").await;
    let link = json["attachment"].as_str().unwrap().to_owned();
    let who = Who::Bearer(room.server.token(&room.uma));
    let path = format!("/api/chat/messages/{}/", json["id"]);
    assert_eq!(room.server.ask("DELETE", &path, &who, None).await.status, 204);
    assert_eq!(room.server.http.get(&link).send().await.unwrap().status(), 404);
    let list = room.server.get(&format!("/api/chat/messages/?room_id={}", room.number), &who).await.json;
    assert_eq!(link_in(&list), None, "{list}");
}

/// A form made by hand, as no client library would send it.
fn form(room: u64, file: &[u8]) -> Vec<u8> {
    let mut form = format!(
        "--b\r\nContent-Disposition: form-data; name=\"room_id\"\r\n\r\n{room}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"attachment\"; filename=\"a.png\"\r\n\r\n"
    )
    .into_bytes();
    form.extend(file);
    form
}

/// Sends the head of an upload. Returns the connection.
async fn begin(room: &Room, by: &User, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(room.server.address()).await.unwrap();
    let head = format!(
        "POST /api/chat/messages/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {length}\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n",
        room.server.token(by)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The status of the response.
async fn status(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 12];
    timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an answer in time").unwrap();
    String::from_utf8(answer).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing_behind() {
    let room = Room::open().await;
    let mut stream = begin(&room, &room.uma, 10 << 20).await;
    stream.write_all(&form(room.number, &picture(1 << 20))).await.unwrap();
    let files = || room.server.files();
    let until = async |wanted: usize| {
        let wait = async {
            while files() != wanted {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{} files instead of {wanted}", files()));
    };
    until(1).await;
    drop(stream);
    until(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_without_permission_is_refused_before_it_is_stored() {
    let room = Room::open().await;
    let stranger = room.server.account("Mal Lory", "mal@example.com", Role::Customer).await;
    let file = form(room.number, &picture(5 << 20));
    let mut stream = begin(&room, &stranger, file.len()).await;
    let (head, rest) = file.split_at(1 << 10);
    stream.write_all(head).await.unwrap();
    for piece in rest.chunks(1 << 20) {
        stream.write_all(piece).await.unwrap();
        assert_eq!(room.server.files(), 0);
    }
    assert_eq!(status(&mut stream).await, "403");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_declared_length_is_too_large_is_not_written_to_disk() {
    let room = Room::open_with(&["--max-attachment", "1"]).await;
    let file = form(room.number, &picture(10 << 20));
    let mut stream = begin(&room, &room.uma, file.len()).await;
    for piece in file.chunks(1 << 20) {
        stream.write_all(piece).await.unwrap();
        assert_eq!(room.server.files(), 0);
    }
    assert_eq!(status(&mut stream).await, "413");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_an_end_to_a_head_is_refused() {
    let room = Room::open().await;
    for beginning in ["--b\r\nContent-Disposition: form-data; name=\"", "no boundary at all "] {
        let mut form = beginning.as_bytes().to_vec();
        form.resize(4 << 20, b'x');
        let mut stream = begin(&room, &room.uma, form.len()).await;
        stream.write_all(&form).await.unwrap();
        assert_eq!(status(&mut stream).await, "400", "{beginning}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_both_html_and_a_picture_is_only_downloaded() {
    let room = Room::open().await;
    let both = b"GIF89a/*<svg onload=alert(1)>*/=1;".to_vec();
    let (status, json) = room.upload(&room.uma, "page.html", both, "look").await;
    assert_eq!(status, 201, "{json}");
    let fetched = room.server.http.get(json["attachment"].as_str().unwrap()).send().await.unwrap();
    let header = |name: &str| fetched.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "image/gif");
    assert!(header("content-disposition").starts_with("attachment"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("content-security-policy"), "default-src 'none'; sandbox");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_an_old_upload_is_deleted_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let files = folder.path().join("deskline.db.files");
    std::fs::create_dir(&files).unwrap();
    let old = std::fs::FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_hours(400_000));
    for (name, is_old) in [("old.part", true), ("old", true), ("fresh.part", false)] {
        let file = std::fs::File::create(files.join(name)).unwrap();
        if is_old {
            file.set_times(old).unwrap();
        }
    }
    let server = TestServer::start_in(folder, &[]).await;
    let swept = async {
        while files.join("old.part").exists() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, swept).await.expect("swept in time");
    assert!(files.join("old").exists() && files.join("fresh.part").exists());
    drop(server);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_begin_with_the_configured_url_and_not_with_a_clients_header() {
    let forged = async |server: &TestServer, who: &Who, host: &str| {
        let Who::Bearer(token) = who else { panic!("a token") };
        let request = server.http.get(format!("http://{}/api/chat/messages/", server.address())).bearer_auth(token);
        let request = request.header("host", host).header("x-forwarded-proto", "https");
        let answer = request.header("x-forwarded-host", "evil.test").send().await.unwrap();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        body[0]["attachment"].as_str().unwrap().split("/media/").next().unwrap().to_owned()
    };
    let room = Room::open().await;
    room.upload(&room.uma, "a.png", picture(100), "look").await;
    let who = Who::Bearer(room.server.token(&room.uma));
    assert_eq!(forged(&room.server, &who, "chat.test").await, "http://chat.test");
    let room = Room::open_with(&["--public-url", "https://shop.test/", "--public-url", "https://chat.test"]).await;
    room.upload(&room.uma, "a.png", picture(100), "look").await;
    let who = Who::Bearer(room.server.token(&room.uma));
    assert_eq!(forged(&room.server, &who, "chat.test").await, "https://chat.test");
    assert_eq!(forged(&room.server, &who, "evil.test").await, "https://shop.test");
    let made = room.server.post("/api/public/chat-rooms/", &Who::Nobody, json!({})).await;
    assert!(made.cookie.unwrap().contains("; Secure"), "a cookie of a page under TLS is sent over TLS only");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_links_are_not_found() {
    let room = Room::open().await;
    let long = "x".repeat(8000);
    for link in [
        "x",
        "%00",
        "-",
        "f-",
        &"-".repeat(46),
        &format!("f-{}", "-".repeat(46)),
        &"é".repeat(30),
        "chat_attachments/a.png",
        &long,
    ] {
        let url = format!("http://{}/media/{link}", room.server.address());
        assert_eq!(room.server.http.get(url).send().await.unwrap().status(), 404, "{link}");
    }
}
