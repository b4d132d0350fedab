//! A client that names its messages and resumes, by websocket or long-polling.

use std::collections::VecDeque;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::ledger::Acked;
use super::talker::{Face, PATIENCE, Person, Phase, Talker};
use crate::rig::client::{Client, ClientError};
use crate::rig::http;

/// Messages that a client has under way at once.
const OUTSTANDING: usize = 3;

/// One message of so many is sent twice at once, as a client does that is not sure of its network.
const REPEATED: u32 = 10;

impl Talker {
    /// Talks until the connection breaks, or everything is said and heard.
    pub(super) async fn converse_over_socketio(&mut self) -> Result<(), ClientError> {
        let client = if self.face == Face::Polling {
            Client::connect_by_polling(&self.url).await?
        } else {
            Client::connect(&self.url).await?
        };
        self.ledger.connected();
        let shown = json!({"token": self.me.token, "catchUp": false});
        let answer = client.emit_ack("authenticate", shown).await?;
        if answer["success"] != true {
            return Err(unexpected("authenticate", &answer));
        }
        self.resume(&client).await?;
        self.say_and_hear(&client).await?;
        self.finish();
        while self.phase() != Phase::Leave {
            tokio::select! {
                event = client.next_event(PATIENCE) => match event {
                    Err(ClientError::TimedOut(_)) => {}
                    event => self.heard(&event?)?,
                },
                changed = self.phase.changed() => changed.map_err(|_| ClientError::Closed)?,
            }
        }
        self.resume(&client).await
    }

    async fn say_and_hear(&mut self, client: &Client) -> Result<(), ClientError> {
        let breaks = self.link_breaks();
        let mut under_way = FuturesUnordered::new();
        // What was not acknowledged comes first, under its old name.
        let mut again: VecDeque<_> = self.unacked.clone();
        self.ledger.repeats += again.len() as u64;
        let mut thinking = Box::pin(sleep(self.pause()));
        loop {
            let is_talking = self.phase() == Phase::Talk;
            if under_way.is_empty() && again.is_empty() && !is_talking {
                return Ok(());
            }
            if self.is_broken(breaks) {
                return Err(ClientError::Closed);
            }
            tokio::select! {
                Some(answered) = under_way.next() => self.answered(answered)?,
                event = client.next_event(PATIENCE) => match event {
                    Err(ClientError::TimedOut(_)) => {}
                    event => self.heard(&event?)?,
                },
                () = &mut thinking, if under_way.len() < OUTSTANDING && (is_talking || !again.is_empty()) => {
                    let next = again.pop_front();
                    let (text, to) = next.unwrap_or_else(|| self.something_new_to_answer_for());
                    let times = 1 + usize::from(self.random.random_ratio(1, REPEATED));
                    self.ledger.repeats += times as u64 - 1;
                    for _ in 0..times {
                        let ask = json!({"receiverId": to.id, "message": text, "clientMessageId": text});
                        let (text, sent) = (text.clone(), client.emit_ack("send-message", ask));
                        under_way.push(async move { (text, sent.await) });
                    }
                    thinking = Box::pin(sleep(self.pause()));
                }
                changed = self.phase.changed() => changed.map_err(|_| ClientError::Closed)?,
            }
        }
    }

    fn something_new_to_answer_for(&mut self) -> (String, Person) {
        let new = self.something_new();
        self.unacked.push_back(new.clone());
        new
    }

    fn answered(&mut self, (text, answer): (String, Result<Value, ClientError>)) -> Result<(), ClientError> {
        let answer = answer?;
        if answer["ok"] != true {
            // It is to be sent again, which happens after the next connect.
            let is_passing = answer["retryable"] == true;
            return Err(if is_passing { ClientError::Closed } else { unexpected("send-message", &answer) });
        }
        self.unacked.retain(|(unacked, _)| *unacked != text);
        let (conversation, number) = (word(&answer, "conversationId"), number(&answer, "seq"));
        self.ledger.acked.push(Acked { conversation, number, text });
        Ok(())
    }

    /// Takes note of an event.
    pub(super) fn heard(&mut self, (name, event): &(String, Value)) -> Result<(), ClientError> {
        match name.as_str() {
            "receive-message" | "message-sent" => {
                let (conversation, text) = (word(event, "conversationId"), word(event, "message"));
                let called = number(event, "seq");
                if name == "message-sent" && self.ledger.sent.contains(&text) {
                    // A confirmation, which comes as often as it is asked for.
                    self.ledger.read(&conversation, called, &text);
                } else {
                    self.ledger.hear(&conversation, called, &text);
                }
                Ok(())
            }
            "error" if event["code"] != "shutting_down" => Err(unexpected("error", event)),
            _ => Ok(()),
        }
    }

    async fn resume(&mut self, client: &Client) -> Result<(), ClientError> {
        let mut cursors = self.ledger.cursors();
        if self.me.role.is_agent() {
            // An agent names the conversations, also those that began while it was away.
            let list = http::get(&self.url, "/api/chat/conversations", &self.me.token).await?;
            for listed in list.body.as_array().ok_or(ClientError::Closed)? {
                cursors.entry(word(listed, "conversationId")).or_default();
            }
        }
        loop {
            let answer = client.emit_ack("resume", json!({"conversations": cursors})).await?;
            let parts = answer["conversations"].as_object().ok_or_else(|| unexpected("resume", &answer))?;
            let mut has_more = false;
            for (id, part) in parts {
                let entries = part["entries"].as_array().ok_or_else(|| unexpected("resume", &answer))?;
                for entry in entries {
                    if entry["kind"] == "message" {
                        self.ledger.read(id, number(entry, "seq"), &word(&entry["entry"], "message"));
                    }
                    cursors.insert(id.clone(), number(entry, "seq"));
                }
                has_more |= part["hasMore"] == true;
            }
            if !has_more {
                return Ok(());
            }
        }
    }
}

/// The server said what it must not.
pub(super) fn unexpected(to: &str, answer: &Value) -> ClientError {
    ClientError::Unexpected(format!("{to} was answered with {answer}"))
}

/// A text; empty if there is none, which no promise allows.
pub(super) fn word(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().to_owned()
}

/// A number; 0 if there is none, which no promise allows.
pub(super) fn number(value: &Value, field: &str) -> u64 {
    value[field].as_u64().unwrap_or_default()
}
