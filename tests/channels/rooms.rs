//! Rooms that agents create, rooms of accounts, and small related routes.

use deskline::domain::Role;
use serde_json::{Value, json};

use crate::harness::{TestServer, Who};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_creates_a_room_for_a_customer_on_the_phone() {
    let server = TestServer::start().await;
    let ada = server.account("Ada Min", "ada@x.test", Role::Admin).await;
    let agent = Who::Bearer(server.token(&ada));
    let create = async |body: Value| server.post("/api/admin/chat-rooms/", &agent, body).await;
    for (body, refusal) in [
        (json!({"customer_email": "nonsense"}), json!({"customer_email": ["Enter a valid email address."]})),
        (json!({"customer_name": "x".repeat(201)}), json!({"customer_name": ["Not a valid value."]})),
        (json!({"customer_phone": "1\n2"}), json!({"customer_phone": ["Not a valid value."]})),
        (json!([]), json!({"detail": "Invalid data. Expected a dictionary."})),
    ] {
        let refused = create(body).await;
        assert_eq!((refused.status, refused.json), (400, refusal));
    }
    assert_eq!(
        server.get("/api/admin/chat-rooms/", &agent).await.json["count"],
        0,
        "a refused request creates no room"
    );
    let body = json!({"customer_name": "Ann", "customer_email": "ann@x.test", "customer_phone": "+49 1"});
    let made = create(body.clone()).await;
    assert_eq!((made.status, &made.cookie), (201, &None), "the agent does not become the visitor: {}", made.json);
    for (field, value) in body.as_object().unwrap() {
        assert_eq!(&made.json[field], value);
    }
    let rest = json!({"status": "active", "display_name": "Ann", "user": null, "customer_session": "",
        "messages": [], "unread_count": 0, "last_message": null});
    for (field, value) in rest.as_object().unwrap() {
        assert_eq!(&made.json[field], value, "{field}");
    }
    let room = made.json["id"].as_str().unwrap();
    let list = server.get("/api/admin/chat-rooms/", &agent).await.json;
    assert_eq!((&list["count"], &list["results"][0]["id"]), (&json!(1), &made.json["id"]));
    let send = format!("/api/public/chat-rooms/{room}/send_message/");
    let said = server.post(&send, &Who::Nobody, json!({"content": "it is me"})).await;
    assert_eq!((said.status, &said.json["sender_name"]), (201, &json!("Ann")), "the id gives access");
    assert_ne!(create(body).await.json["id"], *room, "each request creates another room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_with_one_invalid_field_changes_nothing() {
    let server = TestServer::start().await;
    let agent = Who::Bearer(server.token(&server.account("Ada Min", "ada@x.test", Role::Admin).await));
    let (room, _) = server.visit("Bob").await;
    let path = format!("/api/admin/chat-rooms/{room}/");
    let before = server.get(&path, &agent).await.json;
    for (body, field) in [
        (json!({"status": "closed", "customer_email": "nonsense"}), "customer_email"),
        (json!({"status": "closed", "customer_name": "x".repeat(201)}), "customer_name"),
        (json!({"status": "ajar", "customer_name": "Rob"}), "status"),
    ] {
        for method in ["PUT", "PATCH"] {
            let refused = server.ask(method, &path, &agent, Some(body.clone())).await;
            assert_eq!((refused.status, refused.json[field].is_array()), (400, true), "{method} {body}");
            assert_eq!(server.get(&path, &agent).await.json, before, "{method} {body}");
        }
    }
    let valid = json!({"status": "closed", "customer_email": "rob@x.test"});
    let changed = server.ask("PATCH", &path, &agent, Some(valid)).await;
    assert_eq!((changed.status, &changed.json["status"]), (200, &json!("closed")));
    assert_eq!(changed.json["customer_email"], "rob@x.test");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_can_write_in_its_own_room_and_in_rooms_whose_id_it_has() {
    let server = TestServer::start().await;
    let ann = server.account("Ann Lee", "ann@x.test", Role::Customer).await;
    let who = Who::Bearer(server.token(&ann));
    let first = server.post("/api/public/user-chat/", &who, json!({})).await;
    let again = server.post("/api/public/user-chat/", &who, json!({})).await;
    assert_eq!((first.status, again.status, &first.json["id"]), (201, 200, &again.json["id"]));
    let post = async |room: &str, body: Value| {
        let answer = server.post(&format!("/api/public/user-chat/{room}/send_message/"), &who, body).await;
        (answer.status, answer.json)
    };
    let room = first.json["id"].as_str().unwrap();
    let (status, said) = post(room, json!({"content": " hi "})).await;
    assert_eq!((status, &said["message"]), (201, &json!("Message sent successfully")), "{said}");
    let message = said["data"].as_object().unwrap();
    let expected = json!({"sender_type": "customer", "sender_name": "Ann Lee", "content": "hi", "is_read": false,
        "room": room, "sender_user": ann.number});
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&message[field], value, "{field}");
    }
    for (field, value) in message {
        assert_eq!(&said[field], value, "{field}, for the generation that reads it bare");
    }
    let mine = server.get("/api/public/user-chat/", &who).await.json;
    assert_eq!((&mine["count"], &mine["results"][0]["messages"]), (&json!(1), &json!([said["data"]])));
    for body in [json!({}), json!({"content": "  "}), json!({"content": 5})] {
        assert_eq!(post(room, body.clone()).await, (400, json!({"error": "Message content is required"})), "{body}");
    }
    let (other, _) = server.visit("Bob").await;
    assert_eq!(post(&other, json!({"content": "x"})).await.0, 201, "the id is enough, with or without a token");
    let none = json!({"detail": "No ChatRoom matches the given query."});
    for (room, body) in
        [("00000000-0000-4000-8000-000000000000", &none), ("nonsense", &json!({"detail": "Not found."}))]
    {
        assert_eq!(post(room, json!({"content": "x"})).await, (404, body.clone()), "{room}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portals_other_notifications_are_empty() {
    let server = TestServer::start().await;
    let uma = server.account("Uma One", "uma@x.test", Role::Customer).await;
    let who = Who::Bearer(server.token(&uma));
    let ask = async |method: &str, path: &str| {
        let answer = server.ask(method, &format!("/api/notifications/{path}"), &who, Some(json!({"read": true}))).await;
        (answer.status, answer.json)
    };
    assert_eq!(ask("GET", "").await, (200, json!([])));
    assert_eq!(ask("PATCH", "7/").await, (404, json!({"detail": "Not found."})));
    assert_eq!(ask("POST", "mark_all_as_read/").await, (204, Value::Null));
    assert_eq!(ask("GET", "7/").await, (405, json!({"detail": "Method \"GET\" not allowed."})));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_can_ask_whether_websockets_are_available() {
    let server = TestServer::start().await;
    for who in [Who::Nobody, Who::Bearer("bad".into())] {
        let health = server.get("/health/ws/", &who).await;
        assert_eq!((health.status, health.json), (200, json!({"status": "ok", "websocket": "available"})));
    }
    let refused = server.post("/health/ws/", &Who::Nobody, json!({})).await;
    assert_eq!((refused.status, refused.json), (405, json!({"detail": "Method \"POST\" not allowed."})));
}
