//! A client that names its messages and resumes, by websocket or long-polling.

use std::collections::VecDeque;
use std::time::Instant;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout_at};

use super::actor::{Actor, Face, PATIENCE, Phase, QUIET};
use super::responses::{checked, number, refused, unexpected, word};
use super::transcript::{Acked, Revised, Told, Transcript};
use crate::lab::testkit::http;
use crate::lab::testkit::socketio::{Client, ClientError};

/// Messages that a client has under way at once.
const OUTSTANDING: usize = 3;

/// One message of so many is sent twice at once, as a client does that is not sure of its network.
const REPEATED: u32 = 10;

/// One of so many things that a client asks for is a change of a message; and as often it marks something as read.
const REVISED: u32 = 8;

/// The kinds of entries that every connection is told of: not to somebody who marks something as read is that told.
const TOLD: [&str; 3] = ["message", "edit", "delete"];

/// How a message is taken note of: as it was told, or as the log has it.
type Read = fn(&mut Transcript, &str, u64, Option<&str>);

/// Something that has to be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    /// To say something to somebody.
    Say { text: String, to: String },
    /// To have a message say something else, or nothing any more. Asking it again changes nothing.
    Revise { message: String, text: Option<String> },
}

impl Ask {
    fn event(&self) -> (&'static str, Value) {
        match self {
            Self::Say { text, to } => {
                ("send-message", json!({"receiverId": to, "message": text, "clientMessageId": text}))
            }
            Self::Revise { message, text: Some(text) } => {
                ("edit-message", json!({"messageId": message, "message": text}))
            }
            Self::Revise { message, text: None } => ("delete-message", json!({"messageId": message})),
        }
    }
}

impl Actor {
    /// Talks until the connection breaks, or everything is said and heard.
    pub(super) async fn converse_over_socketio(&mut self) -> Result<(), ClientError> {
        let client = if self.face == Face::Polling {
            Client::connect_by_polling(&self.url).await?
        } else {
            Client::connect(&self.url).await?
        };
        self.transcript.connected();
        let shown = json!({"token": self.me.token, "catchUp": false, "receipts": true});
        let answer = client.emit_ack("authenticate", shown).await?;
        if answer["success"] != true {
            return Err(refused("authenticate", &answer));
        }
        self.resume(&client).await?;
        self.transcript.settle();
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
        self.listen_until(&client, tokio::time::Instant::now() + QUIET).await?;
        self.transcript.expect_nothing_new();
        self.resume(&client).await
    }

    /// Takes note of what comes meanwhile.
    pub(super) async fn listen_until(
        &mut self,
        client: &Client,
        until: tokio::time::Instant,
    ) -> Result<(), ClientError> {
        loop {
            match timeout_at(until, client.next_event(PATIENCE)).await {
                Err(_) => return Ok(()),
                Ok(Err(ClientError::TimedOut(_))) => {}
                Ok(event) => self.heard(&event?)?,
            }
        }
    }

    async fn say_and_hear(&mut self, client: &Client) -> Result<(), ClientError> {
        let breaks = self.link_breaks();
        let mut under_way = FuturesUnordered::new();
        // What was not acknowledged comes first, under its old name.
        let mut again: VecDeque<_> = self.unanswered.clone();
        self.transcript.repeats += again.len() as u64;
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
                    let ask = again.pop_front().unwrap_or_else(|| self.something_to_ask());
                    let times = 1 + usize::from(self.random.random_ratio(1, REPEATED));
                    self.transcript.repeats += times as u64 - 1;
                    for _ in 0..times {
                        let (event, argument) = ask.event();
                        let (ask, sent) = (ask.clone(), client.emit_ack(event, argument));
                        under_way.push(async move { (ask, sent.await) });
                    }
                    self.acknowledge(client)?;
                    thinking = Box::pin(sleep(self.pause()));
                }
                changed = self.phase.changed() => changed.map_err(|_| ClientError::Closed)?,
            }
        }
    }

    /// Something new: most often a message, now and then a change of one that it said before.
    fn something_to_ask(&mut self) -> Ask {
        // A change that is asked for again must not undo a later one.
        let may_revise = !self.unanswered.iter().any(|ask| matches!(ask, Ask::Revise { .. }));
        let ask = if may_revise && !self.messages.is_empty() && self.random.random_ratio(1, REVISED) {
            let message = self.messages[self.random.random_range(0..self.messages.len())].clone();
            let text = self.random.random_ratio(2, 3).then(|| self.something_new().0);
            Ask::Revise { message, text }
        } else {
            let (text, to) = self.something_new();
            Ask::Say { text, to: to.id }
        };
        self.unanswered.push_back(ask.clone());
        ask
    }

    /// Now and then, says of a conversation that what it knows of it has arrived, or marks that as read. Nobody is answered.
    fn acknowledge(&mut self, client: &Client) -> Result<(), ClientError> {
        if !self.random.random_ratio(1, REVISED) {
            return Ok(());
        }
        let known = self.transcript.cursors();
        match known.iter().nth(self.random.random_range(0..known.len().max(1))) {
            Some((id, seq)) => {
                let is_read = self.random.random_ratio(1, 2);
                let event = if is_read { "mark-read" } else { "received" };
                self.transcript.take(id, *seq, is_read);
                client.emit(event, json!({"conversationId": id, "seq": seq}))
            }
            None => Ok(()),
        }
    }

    fn answered(&mut self, (ask, answer): (Ask, Result<Value, ClientError>)) -> Result<(), ClientError> {
        let answer = answer?;
        let is_gone = matches!(ask, Ask::Revise { .. }) && answer["code"] == "not_found";
        if answer["ok"] != true && !is_gone {
            // It is to be sent again, which happens after the next connect.
            return Err(refused(ask.event().0, &answer));
        }
        self.unanswered.retain(|unanswered| *unanswered != ask);
        let (conversation, seq) = (word(&answer, "conversationId"), number(&answer, "seq"));
        match ask {
            Ask::Say { text, .. } => {
                self.messages.push(word(&answer, "messageId"));
                self.transcript.acked.push(Acked { conversation, number: seq, text });
            }
            Ask::Revise { .. } if is_gone => {}
            Ask::Revise { message, text } => self.transcript.revised.push(Revised { conversation, seq, message, text }),
        }
        Ok(())
    }

    /// Takes note of an event.
    pub(super) fn heard(&mut self, (name, event): &(String, Value)) -> Result<(), ClientError> {
        let kind = match name.as_str() {
            "receive-message" | "message-sent" => "message",
            "message-edited" => "edit",
            "message-deleted" => "delete",
            "messages-read" => "read",
            "message-status" => {
                let (conversation, status) = (word(event, "conversationId"), word(event, "status"));
                let (up_to, at) = (number(event, "upTo"), Instant::now());
                self.transcript.statuses.push(Told { conversation, status, up_to, at });
                return Ok(());
            }
            // What has been changed cannot be changed again once it is deleted.
            "error" if event["code"] != "not_found" => return Err(refused("something", event)),
            _ => return Ok(()),
        };
        let (conversation, seq) = (word(event, "conversationId"), number(event, "seq"));
        // A confirmation comes as often as it is asked for.
        let is_own =
            name == "message-sent" && event["message"].as_str().is_some_and(|text| self.transcript.sent.contains(text));
        if is_own {
            self.transcript.know(&conversation, seq);
        } else {
            self.transcript.hear(&conversation, seq);
        }
        self.take_in(Transcript::read, kind, &conversation, seq, event);
        Ok(())
    }

    /// Takes note of what an entry says; `read` of a message.
    fn take_in(&mut self, read: Read, kind: &str, conversation: &str, seq: u64, entry: &Value) {
        let text = entry["message"].as_str();
        match kind {
            "message" => {
                self.transcript.identify(&word(entry, "_id"), conversation, seq);
                read(&mut self.transcript, conversation, seq, text);
            }
            "edit" => self.transcript.revise(&word(entry, "messageId"), seq, text),
            "delete" => self.transcript.revise(&word(entry, "messageId"), seq, None),
            _ => {}
        }
    }

    pub(super) async fn resume(&mut self, client: &Client) -> Result<(), ClientError> {
        let mut cursors = self.transcript.cursors();
        if self.me.role.is_agent() {
            // An agent names the conversations, also those that began while it was away.
            let list = checked(http::get(&self.url, "/api/chat/conversations", &self.me.token).await?)?;
            for listed in list.as_array().ok_or_else(|| unexpected("conversations", &list))? {
                cursors.entry(word(listed, "conversationId")).or_default();
            }
        }
        loop {
            let asked = self.transcript.ask(false);
            let answer = client.emit_ack("resume", json!({"conversations": cursors})).await;
            self.transcript.answered(asked, None);
            let answer = answer?;
            let parts = answer["conversations"].as_object().ok_or_else(|| refused("resume", &answer))?;
            let mut has_more = false;
            for (id, part) in parts {
                let entries = part["entries"].as_array().ok_or_else(|| unexpected("resume", &answer))?;
                for entry in entries {
                    let (kind, seq) = (word(entry, "kind"), number(entry, "seq"));
                    if TOLD.contains(&kind.as_str()) {
                        self.transcript.fetch(id, seq);
                    } else {
                        self.transcript.know(id, seq);
                    }
                    self.take_in(Transcript::read_anew, &kind, id, seq, &entry["entry"]);
                }
                let after = cursors.entry(id.clone()).or_default();
                *after = entries.last().map_or(*after, |last| number(last, "seq"));
                has_more |= part["hasMore"] == true;
            }
            self.transcript.answered(asked, Some(cursors.clone().into_iter().collect()));
            if !has_more {
                return Ok(());
            }
        }
    }
}
