//! A client with `clientMessageId` and `resume`, over a websocket or long-polling.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout_at};

use super::actor::{Actor, Face, PATIENCE, Phase, QUIET};
use super::responses::{checked, number, refused, unexpected, word};
use super::transcript::{Acked, Revised, StatusEvent, Transcript};
use crate::lab::testkit::http;
use crate::lab::testkit::socketio::{Client, ClientError};

/// Pause before a refused request is sent again.
const AGAIN: Duration = Duration::from_millis(100);

/// Unanswered requests at a time.
const OUTSTANDING: usize = 3;

/// One in this many messages is sent twice at once, as by a client on an unreliable network.
const REPEATED: u32 = 10;

/// One in this many requests edits or deletes a message; read marks are as frequent.
const REVISED: u32 = 8;

/// Kinds of entries that are sent to every connection. Read marks are not sent to the reader.
const LIVE: [&str; 3] = ["message", "edit", "delete"];

/// How a message is recorded: as it was received, or as the log has it.
type Read = fn(&mut Transcript, &str, u64, Option<&str>);

/// A request that has to be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Request {
    /// Send a message.
    Send { text: String, to: String },
    /// Edit a message, or delete it. Idempotent.
    Revise { message: String, text: Option<String> },
}

impl Request {
    fn event(&self) -> (&'static str, Value) {
        match self {
            Self::Send { text, to } => {
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
    /// Sends and receives until the connection is lost or the phase ends.
    pub(super) async fn run_socketio(&mut self) -> Result<(), ClientError> {
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
        self.send_and_receive(&client).await?;
        self.finish();
        while self.phase() != Phase::Leave {
            tokio::select! {
                event = client.next_event(PATIENCE) => match event {
                    Err(ClientError::TimedOut(_)) => {}
                    event => self.record(&event?)?,
                },
                changed = self.phase.changed() => changed.map_err(|_| ClientError::Closed)?,
            }
        }
        self.receive_until(&client, tokio::time::Instant::now() + QUIET).await?;
        if self.expects_live {
            self.transcript.expect_nothing_new();
        }
        self.resume(&client).await
    }

    /// Records events until the deadline.
    pub(super) async fn receive_until(
        &mut self,
        client: &Client,
        until: tokio::time::Instant,
    ) -> Result<(), ClientError> {
        loop {
            match timeout_at(until, client.next_event(PATIENCE)).await {
                Err(_) => return Ok(()),
                Ok(Err(ClientError::TimedOut(_))) => {}
                Ok(event) => self.record(&event?)?,
            }
        }
    }

    async fn send_and_receive(&mut self, client: &Client) -> Result<(), ClientError> {
        let breaks = self.link_breaks();
        let mut under_way = FuturesUnordered::new();
        // Unanswered requests come first, with their old ids.
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
                Some(answered) = under_way.next() => if let Some(refused) = self.answered(answered)? {
                    if !again.contains(&refused) {
                        again.push_back(refused);
                    }
                    thinking = Box::pin(sleep(AGAIN));
                },
                event = client.next_event(PATIENCE) => match event {
                    Err(ClientError::TimedOut(_)) => {}
                    event => self.record(&event?)?,
                },
                () = &mut thinking, if under_way.len() < OUTSTANDING && (is_talking || !again.is_empty()) => {
                    let request = again.pop_front().unwrap_or_else(|| self.new_request());
                    let times = 1 + usize::from(self.random.random_ratio(1, REPEATED));
                    self.transcript.repeats += times as u64 - 1;
                    for _ in 0..times {
                        let (event, argument) = request.event();
                        let (request, sent) = (request.clone(), client.emit_ack(event, argument));
                        under_way.push(async move { (request, sent.await) });
                    }
                    self.acknowledge(client)?;
                    thinking = Box::pin(sleep(self.pause()));
                }
                changed = self.phase.changed() => changed.map_err(|_| ClientError::Closed)?,
            }
        }
    }

    /// A new request: usually a message, sometimes a change of an earlier one.
    fn new_request(&mut self) -> Request {
        // A retried change must not undo a later one.
        let may_revise = !self.unanswered.iter().any(|request| matches!(request, Request::Revise { .. }));
        let request = if may_revise && !self.messages.is_empty() && self.random.random_ratio(1, REVISED) {
            let message = self.messages[self.random.random_range(0..self.messages.len())].clone();
            let text = self.random.random_ratio(2, 3).then(|| self.new_message().0);
            Request::Revise { message, text }
        } else {
            let (text, to) = self.new_message();
            Request::Send { text, to: to.id }
        };
        self.unanswered.push_back(request.clone());
        request
    }

    /// Sometimes confirms a conversation or marks it as read, without an acknowledgement.
    fn acknowledge(&mut self, client: &Client) -> Result<(), ClientError> {
        if !self.random.random_ratio(1, REVISED) {
            return Ok(());
        }
        let known = self.transcript.cursors();
        match known.iter().nth(self.random.random_range(0..known.len().max(1))) {
            Some((id, seq)) => {
                let is_read = self.random.random_ratio(1, 2);
                let event = if is_read { "mark-read" } else { "received" };
                self.transcript.confirm(id, *seq, is_read);
                client.emit(event, json!({"conversationId": id, "seq": seq}))
            }
            None => Ok(()),
        }
    }

    /// Handles an answer. Returns the request if it has to be sent again after a transient refusal.
    fn answered(
        &mut self,
        (request, answer): (Request, Result<Value, ClientError>),
    ) -> Result<Option<Request>, ClientError> {
        let answer = answer?;
        let is_gone = matches!(request, Request::Revise { .. }) && answer["code"] == "not_found";
        if answer["ok"] != true && !is_gone {
            self.refused_for_now(request.event().0, &answer)?;
            // A duplicate may have been answered already; sent once more, it might undo a later change.
            return Ok(Some(request).filter(|request| self.unanswered.contains(request)));
        }
        self.unanswered.retain(|unanswered| *unanswered != request);
        let (conversation, seq) = (word(&answer, "conversationId"), number(&answer, "seq"));
        match request {
            Request::Send { text, .. } => {
                self.messages.push(word(&answer, "messageId"));
                self.acknowledged(Acked { conversation, number: seq, text });
            }
            Request::Revise { .. } if is_gone => {}
            Request::Revise { message, text } => {
                self.transcript.revised.push(Revised { conversation, seq, message, text });
            }
        }
        Ok(None)
    }

    /// Counts a transient refusal; any other one is an error.
    fn refused_for_now(&mut self, what: &str, answer: &Value) -> Result<(), ClientError> {
        match refused(what, answer) {
            ClientError::Closed => {
                self.transcript.refused += 1;
                Ok(())
            }
            wrong => Err(wrong),
        }
    }

    /// Records an event.
    pub(super) fn record(&mut self, (name, event): &(String, Value)) -> Result<(), ClientError> {
        let kind = match name.as_str() {
            "receive-message" | "message-sent" => "message",
            "message-edited" => "edit",
            "message-deleted" => "delete",
            "messages-read" => "read",
            "message-status" => {
                let (conversation, status) = (word(event, "conversationId"), word(event, "status"));
                let (up_to, at) = (number(event, "upTo"), Instant::now());
                self.transcript.statuses.push(StatusEvent { conversation, status, up_to, at });
                return Ok(());
            }
            // A deleted message cannot be changed again.
            "error" if event["code"] != "not_found" => return self.refused_for_now("something", event),
            _ => return Ok(()),
        };
        let (conversation, seq) = (word(event, "conversationId"), number(event, "seq"));
        // A confirmation is sent once per request, also for duplicates.
        let is_own =
            name == "message-sent" && event["message"].as_str().is_some_and(|text| self.transcript.sent.contains(text));
        if is_own {
            self.transcript.learn(&conversation, seq);
        } else {
            self.transcript.receive(&conversation, seq);
        }
        self.record_entry(Transcript::read, kind, &conversation, seq, event);
        Ok(())
    }

    /// Records an entry; `read` records a message.
    fn record_entry(&mut self, read: Read, kind: &str, conversation: &str, seq: u64, entry: &Value) {
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
            // Agents name the conversations, including those opened meanwhile.
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
            let Some(parts) = answer["conversations"].as_object() else {
                self.refused_for_now("resume", &answer)?;
                sleep(AGAIN).await;
                continue;
            };
            let mut has_more = false;
            for (id, part) in parts {
                let entries = part["entries"].as_array().ok_or_else(|| unexpected("resume", &answer))?;
                for entry in entries {
                    let (kind, seq) = (word(entry, "kind"), number(entry, "seq"));
                    if LIVE.contains(&kind.as_str()) {
                        self.transcript.fetch(id, seq);
                    } else {
                        self.transcript.learn(id, seq);
                    }
                    self.record_entry(Transcript::read_anew, &kind, id, seq, &entry["entry"]);
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
