//! The generator and the client, against a relay that can misbehave.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use super::target::Target;
use super::{BenchOptions, Mode, ReconnectReport, Report, TrafficReport, load};
use crate::domain::{Role, UserId};
use crate::lab::testkit::Account;
use crate::lab::testkit::socketio::{Client, ClientError};

/// Number of copies that reach the receiver, by the message's number.
type Copies = fn(u64) -> usize;

#[derive(Clone)]
struct Relay {
    online: Arc<Mutex<HashMap<String, mpsc::UnboundedSender<String>>>>,
    /// All messages to each person, for when they reconnect.
    sent: Arc<Mutex<HashMap<String, Vec<String>>>>,
    copies: Copies,
}

impl Relay {
    async fn start(copies: Copies) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let relay = Self { online: Arc::default(), sent: Arc::default(), copies };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(relay.clone().serve(stream));
            }
        });
        url
    }

    async fn serve(self, stream: TcpStream) {
        let (mut write, mut read) = accept_async(stream).await.unwrap().split();
        let (outbox, mut queued) = mpsc::unbounded_channel::<String>();
        tokio::spawn(async move {
            while let Some(packet) = queued.recv().await {
                if write.send(Message::text(packet)).await.is_err() {
                    return;
                }
            }
        });
        outbox
            .send(r#"0{"sid":"s","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}"#.into())
            .unwrap();
        outbox.send("2".into()).unwrap();
        while let Some(Ok(Message::Text(packet))) = read.next().await {
            self.handle(packet.as_str(), &outbox);
        }
    }

    fn handle(&self, packet: &str, outbox: &mpsc::UnboundedSender<String>) {
        let Some(array) = packet.find('[') else {
            let answer = if packet == "3" { r#"42["ponged"]"# } else { r#"40{"sid":"t"}"# };
            outbox.send(answer.into()).unwrap();
            return;
        };
        let event: Value = serde_json::from_str(&packet[array..]).unwrap();
        match event[0].as_str().unwrap() {
            // The relay does not verify tokens; it reads the account's id from them.
            "authenticate" => {
                let claims =
                    jsonwebtoken::dangerous::insecure_decode::<Value>(event[1].as_str().unwrap()).unwrap().claims;
                let id = claims["id"].as_str().unwrap().to_owned();
                outbox.send(r#"42["authenticated",{"success":true}]"#.into()).unwrap();
                for missed in self.sent.lock().get(&id).into_iter().flatten() {
                    outbox.send(missed.clone()).unwrap();
                }
                self.online.lock().insert(id, outbox.clone());
            }
            "send-message" => {
                let text = &event[1]["message"];
                let number = text.as_str().unwrap().split('.').nth(2).unwrap().parse().unwrap();
                let id = event[1]["receiverId"].as_str().unwrap().to_owned();
                let receiver = self.online.lock()[&id].clone();
                for _ in 0..(self.copies)(number) {
                    let packet = format!("42{}", json!(["receive-message", { "message": text }]));
                    self.sent.lock().entry(id.clone()).or_default().push(packet.clone());
                    // A person without a connection receives it later.
                    let _gone = receiver.send(packet);
                }
                outbox.send(format!("42{}", json!(["message-sent", { "message": text }]))).unwrap();
            }
            _ => {
                let id = &packet[2..array];
                outbox.send(r#"42["before",1,2]"#.into()).unwrap();
                outbox.send(format!("43{id}[{}]", event[1])).unwrap();
            }
        }
    }
}

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    options: BenchOptions,
}

async fn run(mode: Mode, copies: Copies, flags: &[&str]) -> Report {
    let fixed = ["bench", "--pairs", "3", "--duration", "200ms", "--warmup", "50ms", "--drain", "200ms"];
    let options = Arguments::parse_from(fixed.iter().chain(flags)).options;
    let account = |index: u8| Account {
        id: UserId::from_bytes([index; 12]),
        role: if index == 0 { Role::Admin } else { Role::Customer },
    };
    let accounts = (0..7).map(account).collect();
    let target = Target { url: Relay::start(copies).await, secret: "any".into(), pid: None, accounts };
    let local = tokio::task::LocalSet::new();
    local.run_until(load(&options, mode, &target)).await.unwrap()
}

async fn traffic(mode: Mode, copies: Copies, flags: &[&str]) -> (bool, TrafficReport) {
    let report = run(mode, copies, flags).await;
    let clean = report.is_clean();
    let Report::Traffic(found) = report else { panic!("not a traffic report") };
    (clean, *found)
}

#[tokio::test]
async fn a_faithful_server_passes_in_a_closed_loop() {
    let (clean, found) = traffic(Mode::Pairs, |_| 1, &[]).await;
    assert!(clean, "{found:?}");
    assert!(found.delivered_per_second > 0.0 && found.delivered_ms.p50 > 0.0, "{found:?}");
}

#[tokio::test]
async fn a_fixed_rate_sends_the_requested_load_to_one_agent() {
    let (clean, found) = traffic(Mode::Rate, |_| 1, &["--rate", "1000", "--to-agent"]).await;
    assert!(clean, "{found:?}");
    assert_eq!((found.sent, found.connections), (250, 4));
}

#[tokio::test]
async fn a_server_that_drops_or_repeats_messages_is_found() {
    let (clean, found) = traffic(Mode::Rate, |number| usize::from(number != 5), &["--rate", "200"]).await;
    assert_eq!((clean, found.lost, found.doubled), (false, 3, 0));
    let (clean, found) = traffic(Mode::Rate, |number| 1 + usize::from(number == 5), &["--rate", "200"]).await;
    assert_eq!((clean, found.lost, found.doubled), (false, 0, 3));
}

async fn reconnect(copies: Copies) -> (bool, ReconnectReport) {
    let report = run(Mode::Reconnect, copies, &["--connections", "3", "--rate", "200", "--at-once"]).await;
    let clean = report.is_clean();
    let Report::Reconnect(found) = report else { panic!("not a reconnect report") };
    (clean, *found)
}

#[tokio::test]
async fn clients_reconnect_and_a_server_that_drops_or_repeats_missed_messages_is_found() {
    let (clean, found) = reconnect(|_| 1).await;
    assert!(clean && found.back_ms.p50 > 0.0, "{found:?}");
    assert_eq!((found.sent, found.connections, found.left_out), (40, 3, 0));
    let (clean, found) = reconnect(|number| usize::from(number != 0)).await;
    assert_eq!((clean, found.lost, found.doubled), (false, 3, 0));
    let (clean, found) = reconnect(|number| 1 + usize::from(number == 0)).await;
    assert_eq!((clean, found.lost, found.doubled), (false, 0, 3));
}

#[tokio::test]
async fn the_client_answers_pings_and_keeps_events_while_it_waits_for_an_acknowledgement() {
    let client = Client::connect(&Relay::start(|_| 1).await).await.unwrap();
    let second = Duration::from_secs(1);
    assert_eq!(client.wait_for("ponged", second).await.unwrap(), Value::Null);
    assert_eq!(client.emit_ack("echo", json!({ "a": 1 })).await.unwrap(), json!({ "a": 1 }));
    assert_eq!(client.next_event(second).await.unwrap(), ("before".into(), json!([1, 2])));
    let nothing = client.next_event(Duration::from_millis(10)).await;
    assert!(matches!(nothing, Err(ClientError::TimedOut(_))), "{nothing:?}");
}
