//! Event names with JSON escapes, which stock clients do not send, are understood on each transport.

use serde_json::{Value, json};

use crate::support::{Polls, SOON, TestServer, Wire};

/// `resume` with an escape, which is answered without an account.
const RESUME: &str = r"\u0072esu\u006de";

async fn next(wire: &mut Wire, prefix: &str) -> Value {
    loop {
        let frame = wire.next(SOON).await.expect("the session has ended");
        if let Some(rest) = frame.strip_prefix(prefix) {
            return serde_json::from_str(rest).unwrap();
        }
    }
}

#[tokio::test]
async fn an_escaped_name_is_understood_over_a_websocket() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let mut wire = Wire::connect(&server.url).await;
    assert!(wire.send(format!(r#"421["authenti\u0063ate","{}"]"#, ann.token)).await);
    assert_eq!(next(&mut wire, "431").await[0]["success"], true);
    assert!(wire.send(format!(r#"422["{RESUME}",{{}}]"#)).await);
    assert_eq!(next(&mut wire, "432").await[0]["ok"], true);
    let message = json!({"receiverId": ada.id.to_string(), "message": "a \\u0061 stays what it is"});
    assert!(wire.send(format!(r#"423["\u0073end-message",{message}]"#)).await);
    assert_eq!(next(&mut wire, "433").await[0]["ok"], true);
    // An event with a binary attachment, which is refused for its content, not for its name.
    assert!(wire.send(r#"451-4["s\u0065nd-message",{"_placeholder":true,"num":0}]"#).await);
    assert!(wire.send_binary(vec![1, 2, 3]).await);
    assert_eq!(next(&mut wire, "434").await[0]["code"], "invalid");
    // An unknown event name, and a lone surrogate.
    for (id, name) in [(5, r#"\"\\\n"#), (6, r"\ud83d"), (7, r"r\u00e9sume")] {
        assert!(wire.send(format!(r#"42{id}["{name}",{{}}]"#)).await);
        assert_eq!(next(&mut wire, &format!("43{id}")).await[0]["ok"], false, "{name}");
    }
}

#[tokio::test]
async fn an_escaped_name_is_understood_in_a_namespace() {
    let server = TestServer::start(&[]).await;
    let ann = server.customer("ann").await;
    let mut wire = Wire::connect(&server.url).await;
    let namespace = "/chat";
    assert!(wire.send(format!("40{namespace},")).await);
    next(&mut wire, &format!("40{namespace},")).await;
    assert!(wire.send(format!(r#"42{namespace},1["authenti\u0063ate","{}"]"#, ann.token)).await);
    assert_eq!(next(&mut wire, &format!("43{namespace},1")).await[0]["success"], true);
}

#[tokio::test]
async fn an_escaped_name_is_understood_by_polling() {
    let server = TestServer::start(&[]).await;
    let ann = server.customer("ann").await;
    let polls = Polls::open(&server.url).await;
    polls.send(&format!(r#"421["\u0061uthenticate","{}"]"#, ann.token)).await;
    polls.poll_for("431[{").await;
    polls.send(&format!("42[\"typing\",{{}}]\u{1e}422[\"{RESUME}\",{{}}]\u{1e}423[\"{RESUME}\",{{}}]")).await;
    polls.poll_for(r#"433[{"ok":true"#).await;
}
