//! One server on three addresses: each serves every face, to the pages and with the tokens of every product.

use deskline::domain::User;
use deskline::lab::testkit::socketio::Client;
use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Socket};
use crate::program::Program;
use crate::shared::SECRET;

const SHOP: &str = "http://shop.test";
const PORTAL: &str = "http://localhost:3001";

async fn start() -> Program {
    Program::start(3, &["--client-url", SHOP, "--client-url", PORTAL]).await
}

async fn ask(program: &Program, method: Method, address: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = program.http.request(method, format!("http://{address}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

/// The tokens that the three products issue to this account.
fn tokens(user: &User) -> Vec<String> {
    let exp = 4_000_000_000_i64;
    let claims = [
        json!({"id": user.id.to_string(), "role": user.role.word(), "iat": 0, "exp": exp}),
        json!({"token_type": "access", "exp": exp, "iat": 0, "jti": "a", "user_id": user.number.to_string(),
            "is_staff": user.role.is_agent(), "username": "x"}),
        json!({"token_type": "access", "exp": exp, "iat": 0, "jti": "b", "user_id": user.number}),
    ];
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    claims.iter().map(|claims| encode(&Header::default(), claims, &key).unwrap()).collect()
}

async fn json_of(response: Response) -> Value {
    assert_eq!(response.status(), 200);
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listener_serves_every_face_with_every_token() {
    let program = start().await;
    let mut ports: Vec<_> = program.addresses.clone();
    ports.dedup();
    assert_eq!(ports.len(), 3);
    let mut number = Value::Null;
    for address in &program.addresses {
        assert_eq!(ask(&program, Method::GET, address, "/livez", &[]).await.status(), 200);
        for token in tokens(&program.ann) {
            let bearer = format!("Bearer {token}");
            let get = async |path: &str| {
                json_of(ask(&program, Method::GET, address, path, &[("authorization", &bearer)]).await).await
            };
            assert!(get("/api/chat/unread-count").await["count"].is_number());
            assert_eq!(get("/api/auth/me/").await["id"], program.ann.number);
            number = get("/api/chat/rooms/my_room/").await["room"]["id"].clone();
            let client = Client::connect(&format!("http://{address}")).await.unwrap();
            assert_eq!(client.authenticate(&token).await.unwrap()["role"], "user");
        }
        for token in tokens(&program.ada) {
            let mut agents = Socket::connect(address, &format!("/ws/admin/chat/?token={token}")).await;
            assert_eq!(agents.next().await["type"], "room_list");
            let mut room = Socket::connect(address, &format!("/ws/chat/{number}/?token={token}")).await;
            assert_eq!(room.next().await["type"], "user_status");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_on_different_listeners_receive_each_others_messages() {
    let program = start().await;
    let [one, two, three] = program.addresses.as_slice() else { panic!("three addresses") };
    let (ann, ada) = (&tokens(&program.ann)[0], &tokens(&program.ada)[1]);
    let bearer = format!("Bearer {ann}");
    let mine = ask(&program, Method::GET, one, "/api/chat/rooms/my_room/", &[("authorization", &bearer)]).await;
    let number = json_of(mine).await["room"]["id"].clone();
    let customer = Client::connect(&format!("http://{one}")).await.unwrap();
    customer.authenticate(ann).await.unwrap();
    let mut shop = Socket::connect(two, &format!("/ws/admin/chat/?token={ada}")).await;
    let mut portal = Socket::connect(three, &format!("/ws/chat/{number}/?token={ada}")).await;
    customer.emit("send-message", json!({"receiverId": program.ada.id.to_string(), "message": "hello"})).unwrap();
    assert_eq!(shop.next_of("new_customer_message").await["message"]["content"], "hello");
    assert_eq!(portal.next_of("chat_message").await["message"], "hello");
    portal.send(json!({"type": "chat_message", "message": "hi Ann"})).await;
    let heard = customer.wait_for("receive-message", PATIENCE).await.unwrap();
    assert_eq!(heard["message"], "hi Ann");
}

/// A request of a page of each product, with the method and headers that need a preflight.
const PREFLIGHTS: [(&str, &str, &str); 4] = [
    ("/api/chat/conversations", "GET", "authorization"),
    ("/api/admin/chat-rooms/5/mark_as_read/", "PATCH", "authorization,content-type,x-csrftoken,x-requested-with"),
    ("/api/public/store-settings/", "GET", "cache-control,pragma,expires"),
    ("/api/chat/messages/5/", "DELETE", "authorization,content-type"),
];

#[tokio::test(flavor = "multi_thread")]
async fn only_pages_of_the_products_may_send_credentials() {
    let program = start().await;
    for address in &program.addresses {
        for (path, method, wanted) in PREFLIGHTS {
            let preflight = async |origin: &str| {
                let headers = [
                    ("origin", origin),
                    ("access-control-request-method", method),
                    ("access-control-request-headers", wanted),
                ];
                ask(&program, Method::OPTIONS, address, path, &headers).await
            };
            for origin in [SHOP, PORTAL] {
                let answer = preflight(origin).await;
                let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
                assert_eq!(answer.status(), 204, "{path}");
                assert_eq!(header("access-control-allow-origin"), origin, "{path}");
                assert_eq!(header("access-control-allow-credentials"), "true", "{path}");
                assert!(header("access-control-allow-methods").split(',').any(|one| one.trim() == method), "{path}");
                let allowed = header("access-control-allow-headers");
                assert!(wanted.split(',').all(|one| allowed.split(',').any(|known| known.trim() == one)), "{allowed}");
                // A refusal has CORS headers, too, or the page could not read the reason.
                let refused = ask(&program, Method::GET, address, path, &[("origin", origin)]).await;
                assert_eq!(refused.headers()["access-control-allow-origin"], origin, "{path}: {}", refused.status());
            }
            let stranger = preflight("http://evil.test").await;
            assert!(!stranger.headers().contains_key("access-control-allow-origin"), "{path}");
        }
    }
}
