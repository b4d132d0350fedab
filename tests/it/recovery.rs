//! For browsers, the answer to CONNECT has a `pid`. It is added to a packet of socketioxide: if an update changes the
//! form of that packet, these tests fail.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::time::timeout;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::{SOON, TestServer};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64)";

/// The content of the packet `40{...}`.
fn connected(packet: &str) -> Value {
    serde_json::from_str(packet.strip_prefix("40").unwrap_or_else(|| panic!("not connected: {packet}"))).unwrap()
}

async fn by_websocket(server: &TestServer, agent: &str) -> Value {
    let url = format!("{}/socket.io/?EIO=4&transport=websocket", server.url.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("user-agent", agent.parse().unwrap());
    let (mut socket, _) = timeout(SOON, connect_async(request)).await.unwrap().unwrap();
    socket.next().await.unwrap().unwrap();
    socket.send(Message::text("40")).await.unwrap();
    // The first ping may come before it.
    loop {
        let frame = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
        if frame.to_text().unwrap().starts_with("40") {
            return connected(frame.to_text().unwrap());
        }
    }
}

async fn by_polling(server: &TestServer, agent: &str) -> Value {
    let client = reqwest::Client::builder().user_agent(agent).build().unwrap();
    let url = format!("{}/socket.io/?EIO=4&transport=polling", server.url);
    let open = client.get(&url).send().await.unwrap().text().await.unwrap();
    let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    let url = format!("{url}&sid={}", open["sid"].as_str().unwrap());
    assert_eq!(client.post(&url).body("40").send().await.unwrap().status(), 200);
    loop {
        let answer = client.get(&url).send().await.unwrap().text().await.unwrap();
        if let Some(packet) = answer.split('\u{1e}').find(|packet| packet.starts_with("40")) {
            return connected(packet);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn browsers_receive_a_page_id_in_connect_and_other_clients_do_not() {
    let server = TestServer::start(&[]).await;
    for answer in [by_websocket(&server, BROWSER).await, by_polling(&server, BROWSER).await] {
        assert_eq!(answer["pid"].as_str().map(str::len), Some(32), "{answer}");
        assert!(answer["sid"].is_string(), "{answer}");
    }
    for answer in [by_websocket(&server, "okhttp/4.12").await, by_polling(&server, "okhttp/4.12").await] {
        assert!(answer["pid"].is_null() && answer["sid"].is_string(), "{answer}");
    }
    let off = TestServer::start(&["--recover-within", "0s"]).await;
    assert!(by_websocket(&off, BROWSER).await["pid"].is_null());
}
