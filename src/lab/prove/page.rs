//! A page in a browser, with the stock client's connection state recovery, that neither drops what it has nor fetches anything
//! once it is open: what it is told stands on its screen.

use std::collections::BTreeMap;

use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::actor::{Actor, PATIENCE, Phase, QUIET};
use super::responses::{number, refused, unexpected, word};
use super::transcript::Acked;
use crate::lab::testkit::socketio::{Client, ClientError};

/// The end of an offset that names no place in the log: the page is still caught up, or the store has no order of all entries.
const NO_PLACE: &str = ".-";

/// One of so many connections polls.
const POLLS: u32 = 3;

/// What the page keeps from one connection to the next.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// The page's id and the last offset, as the stock client shows them; empty at first.
    pid: String,
    offset: String,
    /// Everything that there was has been fetched.
    is_open: bool,
    /// By conversation: the newest message when the page was opened, which it fetched.
    pub(super) fetched: BTreeMap<String, u64>,
    /// By conversation: the newest message that stands there.
    newest: BTreeMap<String, u64>,
    /// The store can name the page's place: then each message has to stand there, the page's own included, and once.
    pub(super) is_exact: bool,
    /// Messages that stand there twice or out of order, if it can't.
    pub(super) doubled: u64,
}

impl Screen {
    pub(super) fn new(is_exact: bool) -> Self {
        Self { is_exact, ..Self::default() }
    }

    /// A message is told. False if it stands there already, or a newer one does.
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
    /// Talks until the connection breaks, or everything is said.
    pub(super) async fn converse_as_page(&mut self) -> Result<(), ClientError> {
        let shown = json!({"pid": self.screen.pid, "offset": self.screen.offset});
        let polls = self.random.random_ratio(1, POLLS);
        let client = Client::connect_page(&self.url, &shown, polls).await?;
        self.transcript.connected();
        let pid = client.connected()["pid"].as_str().unwrap_or_default().to_owned();
        if pid != self.screen.pid {
            if !self.screen.offset.is_empty() {
                self.transcript.wrong.push("the page was not known any more".into());
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
            let (text, to) = self.something_new();
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

    /// Opens the page: fetches what there is, once it is told who it is and, if it can have a place, where.
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

    /// Shows what comes until then, or until its own text does. Tells whether that came.
    async fn shows_until(&mut self, client: &Client, until: Instant, own: Option<&str>) -> Result<bool, ClientError> {
        loop {
            let (name, event) = match self.next_shown(client, until).await {
                Err(ClientError::TimedOut(_)) => return Ok(false),
                told => told?,
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
                    self.transcript
                        .wrong
                        .push(format!("{conversation}/{seq} stands on the page twice, or after a later one"));
                }
                self.screen.doubled += 1;
            }
            self.transcript.know(&conversation, seq);
            self.transcript.read(&conversation, seq, Some(&text));
            if self.transcript.sent.contains(&text) {
                self.transcript.acked.push(Acked { conversation, number: seq, text: text.clone() });
            }
            if own == Some(text.as_str()) {
                return Ok(true);
            }
        }
    }

    /// The next event and its first argument. The last one, if it is a text, is the page's offset from now on.
    async fn next_shown(&mut self, client: &Client, until: Instant) -> Result<(String, Value), ClientError> {
        let told = timeout_at(until, client.next_event(PATIENCE)).await;
        let (name, arguments) = told.unwrap_or(Err(ClientError::TimedOut(PATIENCE)))?;
        let Value::Array(mut arguments) = arguments else { return Ok((name, arguments)) };
        if let Some(offset) = arguments.last().and_then(Value::as_str) {
            offset.clone_into(&mut self.screen.offset);
        }
        Ok((name, arguments.swap_remove(0)))
    }
}
