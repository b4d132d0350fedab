//! A client as the unchanged Socket.IO frontend is one: it names nothing, asks for nothing, and is caught up.

use rand::RngExt as _;
use serde_json::json;
use tokio::time::Instant;

use super::actor::{Actor, PATIENCE, Phase, QUIET};
use super::responses::{number, refused, unexpected, word};
use super::transcript::Acked;
use crate::lab::testkit::socketio::{Client, ClientError};

impl Actor {
    /// Talks until the connection breaks, or everything is said.
    pub(super) async fn converse_as_classic(&mut self) -> Result<(), ClientError> {
        let client = Client::connect(&self.url).await?;
        self.transcript.connected();
        let answer = client.authenticate(&self.me.token).await?;
        if answer["success"] != true {
            return Err(refused("authenticate", &answer));
        }
        let breaks = self.link_breaks();
        while self.phase() == Phase::Talk {
            if self.is_broken(breaks) {
                return self.lose(&client).await;
            }
            let (text, to) = self.something_new();
            if self.random.random_ratio(1, 4) {
                client.emit("typing", json!({"receiverId": to.id}))?;
            }
            client.emit("send-message", json!({"receiverId": to.id, "message": text}))?;
            self.wait_for_own(&client, &text).await?;
            let pause = self.pause();
            self.listen_until(&client, Instant::now() + pause).await?;
        }
        self.finish();
        while self.phase() != Phase::Leave {
            self.listen_until(&client, Instant::now() + std::time::Duration::from_millis(50)).await?;
        }
        self.listen_until(&client, Instant::now() + QUIET).await
    }

    /// Loses the connection, and takes in what had come by then: the server may know that it has.
    async fn lose(&mut self, client: &Client) -> Result<(), ClientError> {
        client.cut();
        loop {
            let event = client.next_event(PATIENCE).await?;
            self.heard(&event)?;
        }
    }

    /// Listens until what it said comes back. If the connection breaks first, nobody knows, and it does not say it again.
    async fn wait_for_own(&mut self, client: &Client, text: &str) -> Result<(), ClientError> {
        loop {
            let event = match client.next_event(PATIENCE).await {
                Err(ClientError::TimedOut(_)) => return Err(unexpected("send-message", &json!("nothing"))),
                event => event?,
            };
            self.heard(&event)?;
            let (name, sent) = &event;
            if name == "message-sent" && sent["message"] == text {
                let (conversation, number) = (word(sent, "conversationId"), number(sent, "seq"));
                self.transcript.acked.push(Acked { conversation, number, text: text.to_owned() });
                return Ok(());
            }
        }
    }
}
