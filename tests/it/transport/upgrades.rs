//! Upgrades to a websocket that fail: the client settles on polling and misses nothing.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::connect;
use super::polls::Session;
use crate::support::{SOON, TestServer, send_message};

/// Requests a websocket for a session; an error is the status of a refusal.
async fn upgrade(url: &str, session: &Session) -> Result<WebSocketStream<TcpStream>, u16> {
    let host = url.strip_prefix("http://").unwrap();
    let address = format!("ws://{host}/socket.io/?EIO=4&transport=websocket&sid={}", session.sid);
    let mut request = address.into_client_request().unwrap();
    request.headers_mut().insert("user-agent", "a browser of the tests".parse().unwrap());
    match timeout(SOON, client_async(request, connect(url).await)).await.unwrap() {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(answer.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

/// Polls until the session is closed.
async fn gone(session: &Session) {
    let began = Instant::now();
    while session.poll().await.0 == 200 {
        assert!(began.elapsed() < SOON * 2, "the session is still open");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_websockets_are_cut_stays_on_polling_after_two_tries() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    for _ in 0..2 {
        let session = Session::open(&server.url).await;
        let mut socket = upgrade(&server.url, &session).await.expect("refused too early");
        socket.send(Message::text("2probe")).await.unwrap();
        assert_eq!(timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap().to_text().unwrap(), "3probe");
        // Like a proxy that does not support websockets.
        drop(socket);
        gone(&session).await;
    }
    let session = Session::open(&server.url).await;
    session.authenticate(&ann).await;
    assert_eq!(upgrade(&server.url, &session).await.map(drop), Err(400));
    let desk = server.enter(&ada).await;
    send_message(&desk, &ann, "by polling").await;
    session.until(|packet| packet.contains("by polling")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_that_is_cut_after_the_upgrade_counts_as_failed_and_a_closed_one_does_not() {
    let server = TestServer::start(&[]).await;
    for says_goodbye in [true, true, false, false] {
        let session = Session::open(&server.url).await;
        let mut socket = upgrade(&server.url, &session).await.expect("refused too early");
        socket.send(Message::text("2probe")).await.unwrap();
        assert_eq!(timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap().to_text().unwrap(), "3probe");
        socket.send(Message::text("5")).await.unwrap();
        // The upgrade is complete when it is answered.
        socket.send(Message::text(r#"421["authenticate","none"]"#)).await.unwrap();
        while !timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap().to_text().unwrap().starts_with("431") {}
        if says_goodbye {
            socket.close(None).await.unwrap();
            while let Some(Ok(_)) = timeout(SOON, socket.next()).await.unwrap() {}
        }
        drop(socket);
        gone(&session).await;
    }
    let session = Session::open(&server.url).await;
    assert_eq!(upgrade(&server.url, &session).await.map(drop), Err(400));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_during_a_stalled_upgrade_are_delayed() {
    let server = TestServer::start(&[]).await;
    let session = Session::open(&server.url).await;
    let mut socket = upgrade(&server.url, &session).await.unwrap();
    socket.send(Message::text("2probe")).await.unwrap();
    let began = Instant::now();
    let mut polls = 0;
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(session.poll().await.0, 200);
        polls += 1;
    }
    assert!((2..=40).contains(&polls), "{polls} polls in three seconds");
}
