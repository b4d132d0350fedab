//! Socket.IO 5, by websocket.

use futures_util::SinkExt as _;
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::{Echo, PATIENT, Wire};

/// A session that is connected to no namespace yet.
async fn open(echo: &Echo) -> Wire {
    let mut wire = echo.websocket("/socket.io/?EIO=4&transport=websocket").await.unwrap();
    assert!(wire.text().await.starts_with("0{"));
    wire
}

/// The same, connected to `/`.
async fn connect(echo: &Echo) -> Wire {
    let mut wire = open(echo).await;
    wire.send("40").await;
    assert!(wire.text().await.starts_with("40{"));
    assert_eq!(wire.text().await, r#"42["auth",{}]"#);
    wire
}

#[tokio::test]
async fn a_client_connects_to_namespaces_with_and_without_a_payload() {
    let echo = Echo::start(PATIENT).await;
    for (asked, answered, shown) in [
        ("40", "40", r#"42["auth",{}]"#),
        (r#"40{"token":"123"}"#, "40", r#"42["auth",{"token":"123"}]"#),
        ("40/custom,", "40/custom,", r#"42/custom,["auth",{}]"#),
        (r#"40/custom,{"token":"abc"}"#, "40/custom,", r#"42/custom,["auth",{"token":"abc"}]"#),
    ] {
        let mut wire = open(&echo).await;
        wire.send(asked).await;
        let answer = wire.text().await;
        let sid: Value = serde_json::from_str(answer.strip_prefix(answered).unwrap()).unwrap();
        assert!(sid["sid"].is_string(), "{answer}");
        assert_eq!(wire.text().await, shown);
    }
}

#[tokio::test]
async fn an_unknown_namespace_is_refused() {
    let echo = Echo::start(PATIENT).await;
    let mut wire = open(&echo).await;
    wire.send("40/random").await;
    assert_eq!(wire.text().await, r#"44/random,{"message":"Invalid namespace"}"#);
}

#[tokio::test]
async fn a_client_that_sends_before_connecting_is_disconnected() {
    let echo = Echo::start(PATIENT).await;
    for first in ["4abc", r#"42["message","hello"]"#, r#"42/custom,["message","hello"]"#] {
        let mut wire = open(&echo).await;
        wire.send(first).await;
        assert!(wire.is_closed().await, "{first}");
    }
}

#[tokio::test]
async fn events_and_acknowledgements_carry_their_arguments() {
    let echo = Echo::start(PATIENT).await;
    let mut wire = connect(&echo).await;
    wire.send(r#"42["message",1,"2",{"3":[true]}]"#).await;
    assert_eq!(wire.text().await, r#"42["message-back",1,"2",{"3":[true]}]"#);
    wire.send(r#"42456["message-with-ack",1,"2",{"3":[false]}]"#).await;
    assert_eq!(wire.text().await, r#"43456[1,"2",{"3":[false]}]"#);
}

#[tokio::test]
async fn binary_attachments_follow_their_event() {
    let echo = Echo::start(PATIENT).await;
    let mut wire = connect(&echo).await;
    let arguments = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}"#;
    for (asked, answered) in
        [("452-[\"message\",", "452-[\"message-back\","), ("452-789[\"message-with-ack\",", "462-789[")]
    {
        wire.send(&format!("{asked}{arguments}]")).await;
        for bytes in [vec![1, 2, 3], vec![4, 5, 6]] {
            wire.0.send(Message::binary(bytes)).await.unwrap();
        }
        assert_eq!(wire.text().await, format!("{answered}{arguments}]"));
        assert_eq!(wire.next().await.unwrap().into_data(), [1, 2, 3].as_slice());
        assert_eq!(wire.next().await.unwrap().into_data(), [4, 5, 6].as_slice());
    }
}

#[tokio::test]
async fn leaving_one_namespace_leaves_the_others() {
    let echo = Echo::start(PATIENT).await;
    let mut wire = connect(&echo).await;
    wire.send("40/custom,").await;
    assert!(wire.text().await.starts_with("40/custom,{"));
    assert_eq!(wire.text().await, r#"42/custom,["auth",{}]"#);
    wire.send("41/custom,").await;
    wire.send(r#"42["message","still here"]"#).await;
    assert_eq!(wire.text().await, r#"42["message-back","still here"]"#);
    wire.send(r#"42/custom,["message","gone"]"#).await;
    assert!(wire.is_closed().await, "no namespace is connected any more");
}
