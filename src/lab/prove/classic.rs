//! A client like the unchanged Socket.IO frontend without recovery: it sends no ids and requests nothing; the server catches it up.

use rand::RngExt as _;
use serde_json::json;
use tokio::time::Instant;

use super::actor::{Actor, PATIENCE, Phase, QUIET};
use super::responses::{number, refused, unexpected, word};
use super::transcript::Acked;
use crate::lab::testkit::socketio::{Client, ClientError};

impl Actor {
    /// Sends and receives until the connection is lost or the phase ends.
    pub(super) async fn run_classic(&mut self) -> Result<(), ClientError> {
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
            let (text, to) = self.new_message();
            // If the connection is closed by now, what it had received has to be recorded first: the server may count it as delivered.
            if self.random.random_ratio(1, 4) {
                let _may_be_closed = client.emit("typing", json!({"receiverId": to.id}));
            }
            let _may_be_closed = client.emit("send-message", json!({"receiverId": to.id, "message": text}));
            self.wait_for_own(&client, &text).await?;
            let pause = self.pause();
            self.receive_until(&client, Instant::now() + pause).await?;
        }
        self.finish();
        while self.phase() != Phase::Leave {
            self.receive_until(&client, Instant::now() + std::time::Duration::from_millis(50)).await?;
        }
        self.receive_until(&client, Instant::now() + QUIET).await
    }

    /// Drops the connection, and records what had arrived by then: the server may count it as delivered.
    async fn lose(&mut self, client: &Client) -> Result<(), ClientError> {
        client.cut();
        loop {
            let event = client.next_event(PATIENCE).await?;
            self.record(&event)?;
        }
    }

    /// Waits for the copy of its own message. If the connection is lost first, the outcome is unknown, and it does not retry.
    async fn wait_for_own(&mut self, client: &Client, text: &str) -> Result<(), ClientError> {
        loop {
            let event = match client.next_event(PATIENCE).await {
                Err(ClientError::TimedOut(_)) => return Err(unexpected("send-message", &json!("nothing"))),
                event => event?,
            };
            self.record(&event)?;
            let (name, sent) = &event;
            if name == "message-sent" && sent["message"] == text {
                let (conversation, number) = (word(sent, "conversationId"), number(sent, "seq"));
                self.acknowledged(Acked { conversation, number, text: text.to_owned() });
                return Ok(());
            }
        }
    }
}
