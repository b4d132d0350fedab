//! Expired links to attachments in an open page, and the attachment quota.

use deskline::domain::{Clock as _, MessageId, Role, SystemClock, Timestamp, User};
use reqwest::header::{COOKIE, LOCATION};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

async fn upload(server: &TestServer, by: &User, room: u64, bytes: usize) -> (u16, Value) {
    let mut picture = vec![7; bytes];
    picture[..8].copy_from_slice(b"\x89PNG\r\n\x1a\n");
    let part = Part::bytes(picture).file_name("a.png");
    let form = Form::new().text("room_id", room.to_string()).part("attachment", part);
    let answer = server.upload(&Who::Bearer(server.token(by)), form).await;
    (answer.status, answer.json)
}

async fn room_of(server: &TestServer, user: &User) -> u64 {
    let who = Who::Bearer(server.token(user));
    server.get("/api/chat/rooms/my_room/", &who).await.json["room"]["id"].as_u64().unwrap()
}

async fn id_of(server: &TestServer, number: u64) -> MessageId {
    let found = server.stores.conversations.messages_by_number(&[number]).await.unwrap();
    found[0].message().unwrap().id
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_link_is_renewed_only_for_people_who_may_see_the_message() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let eve = server.account("Eve Two", "u2@example.com", Role::Customer).await;
    let ada = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let (status, said) = upload(&server, &uma, room_of(&server, &uma).await, 100).await;
    assert_eq!(status, 201, "{said}");
    let id = id_of(&server, said["id"].as_u64().unwrap()).await;
    let hour_ago = Timestamp::from_millis(SystemClock.now().millis() - 3_600_000);
    let (opens, signature) = server.tokens.sign_file_link(id, hour_ago);
    let expired = format!("http://{}/media/f-{opens}-{signature}-a.png", server.address());

    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let refresh = |user: &User| server.tokens.issue_pair(user, "u", SystemClock.now()).refresh;
    let bearer = |user: &User| http.get(&expired).bearer_auth(server.token(user));
    let cookie = |name: &str, token: String| http.get(&expired).header(COOKIE, format!("{name}={token}"));
    for (who, asked, opens_it) in [
        ("nobody", http.get(&expired), false),
        ("its author's page", cookie("media", refresh(&uma)), true),
        ("its author's dashboard", cookie("token", server.token(&uma)), true),
        ("an agent's console", bearer(&ada), true),
        ("somebody else", bearer(&eve), false),
        ("somebody else's page", cookie("media", refresh(&eve)), false),
        ("a wrong token", cookie("media", "x".into()), false),
    ] {
        let answer = asked.send().await.unwrap();
        if !opens_it {
            assert_eq!(answer.status(), 404, "{who}");
            continue;
        }
        assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (302, &"no-store".parse().unwrap()));
        let fresh = format!("http://{}{}", server.address(), answer.headers()[LOCATION].to_str().unwrap());
        let file = http.get(&fresh).send().await.unwrap();
        assert_eq!(file.status(), 200, "{who}");
        assert_eq!(file.bytes().await.unwrap().len(), 100, "{who}");
    }
    let forged = expired.replace(&signature, &"A".repeat(22));
    assert_eq!(http.get(&forged).bearer_auth(server.token(&ada)).send().await.unwrap().status(), 404, "not ours");

    let conversation = server.stores.conversations.message(id).await.unwrap().unwrap().conversation;
    let uuid = server.stores.conversations.summary(conversation).await.unwrap().unwrap().conversation.uuid;
    let room = format!("/api/admin/chat-rooms/{}/", uuid::Uuid::from_u128(uuid));
    assert_eq!(server.ask("DELETE", &room, &Who::Bearer(server.token(&ada)), None).await.status, 204);
    for (who, asked) in [("an agent", bearer(&ada)), ("its author", cookie("media", refresh(&uma)))] {
        assert_eq!(asked.send().await.unwrap().status(), 404, "{who}, once the room is removed");
    }

    server.stores.users.delete_user(uma.id).await.unwrap();
    assert_eq!(cookie("media", refresh(&uma)).send().await.unwrap().status(), 404, "the account was deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_of_the_portal_sets_a_cookie_for_attachments_only() {
    let server = TestServer::start().await;
    server.account("Uma One", "u1@example.com", Role::Customer).await;
    let body = json!({"email": "u1@example.com", "password": "secret-1"});
    let asked = server.http.post(format!("http://{}/api/accounts/login/", server.address())).json(&body);
    let answer = asked.send().await.unwrap();
    let set: Vec<_> = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    assert!(
        set.iter().any(|set| set.starts_with("media=") && set.contains("Path=/media/") && set.contains("HttpOnly")),
        "{} {set:?}",
        answer.status()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attachment_quota_applies_to_each_person_separately() {
    let server = TestServer::start_with(&["--attachment-quota", "1"]).await;
    let uma = server.account("Uma One", "u1@example.com", Role::Customer).await;
    let eve = server.account("Eve Two", "u2@example.com", Role::Customer).await;
    let (umas, eves) = (room_of(&server, &uma).await, room_of(&server, &eve).await);
    for _ in 0..2 {
        assert_eq!(upload(&server, &uma, umas, 500_000).await.0, 201);
    }
    let (status, refused) = upload(&server, &uma, umas, 100_000).await;
    assert_eq!((status, &refused["code"]), (413, &json!("quota_exceeded")), "{refused}");
    assert_eq!(server.files(), 2, "refused files are not stored");
    assert_eq!(upload(&server, &uma, umas, 40_000).await.0, 201, "a file that still fits is accepted");
    assert_eq!(upload(&server, &eve, eves, 500_000).await.0, 201);
}
