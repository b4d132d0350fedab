//! A page with the stock client's connection state recovery. It neither drops duplicates nor fetches anything once it is open: its
//! screen shows exactly what it received.

use std::collections::BTreeMap;

use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::actor::{Actor, PATIENCE, Phase, QUIET};
use super::responses::{number, refused, unexpected, word};
use super::transcript::Acked;
use crate::lab::testkit::socketio::{Client, ClientError};

/// Suffix of an offset without a place in the log: the page is catching up, or the store has no total order of entries.
const NO_PLACE: &str = ".-";

/// One in this many connections polls.
const POLLS: u32 = 3;

/// State of the page, which survives reconnects.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// `pid` and last offset of the stock client; empty at first.
    pid: String,
    offset: String,
    /// Whether the history has been fetched.
    is_open: bool,
    /// Newest fetched message per conversation.
    pub(super) fetched: BTreeMap<String, u64>,
    /// Newest shown message per conversation.
    newest: BTreeMap<String, u64>,
    /// Whether the store can name the page's place. Then every message has to be shown once, its own included.
    pub(super) is_exact: bool,
    /// Messages shown twice or out of order, if it cannot.
    pub(super) doubled: u64,
}

impl Screen {
    pub(super) fn new(is_exact: bool) -> Self {
        Self { is_exact, ..Self::default() }
    }

    /// Shows a message. Returns false if it or a newer one is shown already.
    pub(super) fn show(&mut self, conversation: &str, seq: u64) -> bool {
        if self.fetched.get(conversation).is_some_and(|fetched| seq <= *fetched) {
            return true;
        }
        let newest = self.newest.entry(conversation.to_owned()).or_default();
        let is_next = seq > *newest;
        *newest = seq.max(*newest);
        is_next
    }
}

impl Actor {
    /// Sends and receives until the connection is lost or the phase ends.
    pub(super) async fn run_page(&mut self) -> Result<(), ClientError> {
        let shown = json!({"pid": self.screen.pid, "offset": self.screen.offset});
        let polls = self.random.random_ratio(1, POLLS);
        let client = Client::connect_page(&self.url, &shown, polls).await?;
        self.transcript.connected();
        let pid = client.connected()["pid"].as_str().unwrap_or_default().to_owned();
        if pid != self.screen.pid {
            if !self.screen.offset.is_empty() {
                self.transcript.violations.push("the page could not recover".into());
            }
            (self.screen.pid, self.screen.is_open) = (pid, false);
            client.emit("authenticate", json!(self.me.token))?;
            self.open(&client).await?;
        } else if !self.screen.is_open {
            self.open(&client).await?;
        }
        let breaks = self.link_breaks();
        while self.phase() == Phase::Talk {
            if self.is_broken(breaks) {
                return Err(ClientError::Closed);
            }
            let (text, to) = self.new_message();
            client.emit("send-message", json!({"receiverId": to.id, "message": text}))?;
            let sent_by = Instant::now() + PATIENCE;
            while !self.shows_until(&client, sent_by, Some(&text)).await? {
                if Instant::now() >= sent_by {
                    return Err(unexpected("send-message", &json!("nothing")));
                }
            }
            let pause = Instant::now() + self.pause();
            self.shows_until(&client, pause, None).await?;
        }
        self.finish();
        while self.phase() != Phase::Leave {
            self.shows_until(&client, Instant::now() + std::time::Duration::from_millis(50), None).await?;
        }
        self.shows_until(&client, Instant::now() + QUIET, None).await?;
        Ok(())
    }

    /// Opens the page: fetches the history once it is authenticated and, if it can have a place in the log, has one.
    async fn open(&mut self, client: &Client) -> Result<(), ClientError> {
        let has_place = !self.screen.offset.is_empty() && !self.screen.offset.ends_with(NO_PLACE);
        let last = if self.screen.is_exact && !has_place { "caught-up" } else { "authenticated" };
        loop {
            let (name, event) = self.next_shown(client, Instant::now() + PATIENCE).await?;
            if name == "authenticated" && event["success"] != true {
                return Err(refused("authenticate", &event));
            }
            if name == last {
                break;
            }
        }
        self.resume(client).await?;
        self.screen.fetched = self.transcript.newest();
        self.screen.is_open = true;
        Ok(())
    }

    /// Shows messages until the deadline or until its own text arrives. Returns whether that arrived.
    async fn shows_until(&mut self, client: &Client, until: Instant, own: Option<&str>) -> Result<bool, ClientError> {
        loop {
            let (name, event) = match self.next_shown(client, until).await {
                Err(ClientError::TimedOut(_)) => return Ok(false),
                event => event?,
            };
            if name == "error" {
                return Err(refused("something", &event));
            }
            if name != "receive-message" && name != "message-sent" {
                continue;
            }
            let (conversation, seq, text) =
                (word(&event, "conversationId"), number(&event, "seq"), word(&event, "message"));
            if !self.screen.show(&conversation, seq) {
                if self.screen.is_exact {
                    let found = format!("{conversation}/{seq} is shown twice, or after a later one");
                    self.transcript.violations.push(found);
                }
                self.screen.doubled += 1;
            }
            self.transcript.learn(&conversation, seq);
            self.transcript.read(&conversation, seq, Some(&text));
            if self.transcript.sent.contains(&text) {
                self.acknowledged(Acked { conversation, number: seq, text: text.clone() });
            }
            if own == Some(text.as_str()) {
                return Ok(true);
            }
        }
    }

    /// The next event and its first argument. If the last argument is a text, it is the page's new offset.
    async fn next_shown(&mut self, client: &Client, until: Instant) -> Result<(String, Value), ClientError> {
        let event = timeout_at(until, client.next_event(PATIENCE)).await;
        let (name, arguments) = event.unwrap_or(Err(ClientError::TimedOut(PATIENCE)))?;
        let Value::Array(mut arguments) = arguments else { return Ok((name, arguments)) };
        if let Some(offset) = arguments.last().and_then(Value::as_str) {
            offset.clone_into(&mut self.screen.offset);
        }
        Ok((name, arguments.swap_remove(0)))
    }
}
