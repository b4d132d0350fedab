//! Tests against a server that loses a message.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, accept_async};

use super::session::Session;

type Socket = WebSocketStream<TcpStream>;

async fn next(socket: &mut Socket) -> String {
    socket.next().await.unwrap().unwrap().into_text().unwrap().as_str().to_owned()
}

/// Accepts a connection and its authentication.
async fn accept(listener: &TcpListener) -> Socket {
    let mut socket = accept_async(listener.accept().await.unwrap().0).await.unwrap();
    socket.send(Message::text(r#"0{"sid":"x"}"#)).await.unwrap();
    assert_eq!(next(&mut socket).await, "40");
    socket.send(Message::text(r#"40{"sid":"y"}"#)).await.unwrap();
    assert_eq!(next(&mut socket).await, r#"42["authenticate","token"]"#);
    socket.send(Message::text(r#"42["authenticated",{"success":true,"userId":"ada"}]"#)).await.unwrap();
    socket
}

/// The next event and the id of its acknowledgement, if it asks for one.
async fn event(socket: &mut Socket) -> (String, Value) {
    let packet = next(socket).await;
    let (id, event) = packet.strip_prefix("42").unwrap().split_at(packet.find('[').unwrap() - 2);
    (id.to_owned(), serde_json::from_str(event).unwrap())
}

#[tokio::test]
async fn an_unconfirmed_message_is_sent_again_to_the_same_person_under_the_same_id() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut session = Session::new(url, "ada@x.test", "token", true);
    let (input, mut lines) = mpsc::channel(1);
    let server = async {
        let input = input;
        let mut socket = accept(&listener).await;
        let from_ann =
            json!(["receive-message", {"sender": {"_id": "ann", "name": "Ann", "email": ""}, "message": "hi"}]);
        socket.send(Message::text(format!("42{from_ann}"))).await.unwrap();
        assert_eq!(event(&mut socket).await.1, json!(["mark-read", {"senderId": "ann"}]));
        input.send("hello".into()).await.unwrap();
        let (_, lost) = event(&mut socket).await;
        assert_eq!((&lost[1]["receiverId"], &lost[1]["message"]), (&json!("ann"), &json!("hello")));
        drop(socket);
        let mut socket = accept(&listener).await;
        let (id, again) = event(&mut socket).await;
        assert_eq!(lost, again);
        socket.send(Message::text(format!(r#"43{id}[{{"ok":true}}]"#))).await.unwrap();
        input.send("bye".into()).await.unwrap();
        let (id, other) = event(&mut socket).await;
        assert_eq!(other[1]["message"], "bye");
        assert_ne!(other[1]["clientMessageId"], lost[1]["clientMessageId"]);
        socket.send(Message::text(format!(r#"43{id}[{{"ok":true}}]"#))).await.unwrap();
        socket
    };
    let both = async { tokio::join!(session.run(&mut lines), server) };
    timeout(Duration::from_secs(20), both).await.unwrap().0.unwrap();
}
