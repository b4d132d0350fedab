//! A person's tab: the events that it received, and its view of the conversations.

use std::collections::{BTreeMap, BTreeSet};

use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};

use super::TABS;
use super::reference::Log;
use crate::support::{Account, SOON, number, text};

/// The content of an entry.
#[derive(Debug, Clone)]
enum Content {
    Message { id: String, text: Option<String> },
    Edit { id: String, text: Option<String> },
    Delete { id: String },
    Other,
}

/// A client's knowledge of one conversation, by seq.
#[derive(Debug, Default)]
struct View {
    entries: BTreeMap<u64, Content>,
    /// Entries that it caused itself and does not receive.
    own: BTreeSet<u64>,
    /// How far it has resumed: entries that arrive live on the same connection may be part of that already.
    resumed: u64,
}

/// A Socket.IO client that keeps its state when it loses its connection.
pub(super) struct Tab {
    /// Its person.
    pub(super) owner: usize,
    is_polling: bool,
    account: Account,
    /// `None` while it is disconnected.
    client: Option<Client>,
    views: BTreeMap<String, View>,
}

impl Tab {
    /// Creates the tab with this index among all tabs, of which every fourth one polls.
    pub(super) fn new(tab: usize, account: &Account) -> Self {
        let (owner, is_polling) = (tab / TABS, tab % 4 == 1);
        Self { owner, is_polling, account: account.clone(), client: None, views: BTreeMap::new() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.client.is_some()
    }

    /// Drops the connection without a close.
    pub(super) fn drop_connection(&mut self) {
        self.client = None;
    }

    /// Reconnects, and resumes these conversations.
    pub(super) async fn come_back(&mut self, url: &str, conversations: &[String]) {
        let client = if self.is_polling { Client::connect_by_polling(url).await } else { Client::connect(url).await };
        let client = client.unwrap();
        let shown = json!({"token": self.account.token, "catchUp": false});
        let answer = client.emit_ack("authenticate", shown).await.unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        let from = |id: &String| (id.clone(), Value::from(self.views.get(id).map_or(0, View::known)));
        let mut cursors: serde_json::Map<String, Value> = conversations.iter().map(from).collect();
        loop {
            let answer = client.emit_ack("resume", json!({"conversations": cursors})).await.unwrap();
            let mut has_more = false;
            for (id, part) in answer["conversations"].as_object().unwrap() {
                for entry in part["entries"].as_array().unwrap_or_else(|| panic!("{answer}")) {
                    let seq = number(entry, "seq");
                    let content = read(text(entry, "kind"), &entry["entry"]);
                    let view = self.views.entry(id.clone()).or_default();
                    view.entries.insert(seq, content);
                    view.resumed = seq;
                    cursors.insert(id.clone(), seq.into());
                }
                has_more |= part["hasMore"] == true;
            }
            if !has_more {
                break;
            }
        }
        self.client = Some(client);
    }

    /// Sends an event, and returns its acknowledgement.
    pub(super) async fn ask(&self, event: &str, argument: Value) -> Value {
        self.client.as_ref().expect("the tab is disconnected").emit_ack(event, argument).await.unwrap()
    }

    /// Sends an event without an acknowledgement.
    pub(super) fn emit(&self, event: &str, argument: Value) {
        self.client.as_ref().expect("the tab is disconnected").emit(event, argument).unwrap();
    }

    /// Forgets a conversation that is no longer used.
    pub(super) fn forget(&mut self, conversation: Option<&str>) {
        conversation.and_then(|id| self.views.remove(id));
    }

    /// Records an entry that it does not receive.
    pub(super) fn knows(&mut self, conversation: &str, seq: u64) {
        self.views.entry(conversation.to_owned()).or_default().own.insert(seq);
    }

    /// Receives until it has all entries. Its view must then equal the model's.
    pub(super) async fn agrees(&mut self, conversation: &str, log: &Log) {
        while self.views.get(conversation).map_or(0, View::known) < log.last {
            let client = self.client.as_ref().expect("the tab is disconnected");
            let (name, event) = client.next_event(SOON).await.unwrap_or_else(|error| {
                let known = self.views.get(conversation).map_or(0, View::known);
                panic!("{} waits for {conversation}/{} beyond {known}: {error}", self.account.name, log.last)
            });
            self.receive(&name, &event);
        }
        let view = self.views.entry(conversation.to_owned()).or_default();
        assert_eq!(view.known(), log.last, "{} knows of entries that are not there", self.account.name);
        let expected: Vec<_> = log.messages.iter().map(|(seq, said)| (*seq, said.text.clone())).collect();
        assert_eq!(view.messages(), expected, "{} sees another {conversation}", self.account.name);
    }

    fn receive(&mut self, name: &str, event: &Value) {
        let kind = match name {
            "receive-message" | "message-sent" => "message",
            "messages-read" => "read",
            "conversation-status" => "status",
            "message-edited" => "edit",
            "message-deleted" => "delete",
            // Refusals are acknowledged, too.
            _ => return,
        };
        let (conversation, seq) = (text(event, "conversationId").to_owned(), number(event, "seq"));
        let view = self.views.entry(conversation.clone()).or_default();
        let is_confirmation = name == "message-sent" && view.entries.contains_key(&seq);
        if is_confirmation || seq <= view.resumed {
            return;
        }
        let newest = view.entries.last_key_value().map_or(0, |(seq, _)| *seq);
        assert!(seq > newest, "{} received {conversation}/{seq} after {newest}", self.account.name);
        view.entries.insert(seq, read(kind, event));
    }

    /// The id of a message that it knows.
    pub(super) fn id_of(&self, conversation: &str, seq: u64) -> Option<String> {
        match self.views.get(conversation)?.entries.get(&seq)? {
            Content::Message { id, .. } => Some(id.clone()),
            Content::Edit { .. } | Content::Delete { .. } | Content::Other => None,
        }
    }
}

impl View {
    /// The seq up to which it has all entries.
    fn known(&self) -> u64 {
        let mut known = 0;
        while self.entries.contains_key(&(known + 1)) || self.own.contains(&(known + 1)) {
            known += 1;
        }
        known
    }

    /// The current texts of all messages.
    fn messages(&self) -> Vec<(u64, Option<String>)> {
        let mut now: BTreeMap<&str, (u64, Option<&str>)> = BTreeMap::new();
        for (seq, content) in &self.entries {
            match content {
                Content::Message { id, text } => drop(now.insert(id, (*seq, text.as_deref()))),
                Content::Edit { id, text } => now.get_mut(id.as_str()).unwrap().1 = text.as_deref(),
                Content::Delete { id } => now.get_mut(id.as_str()).unwrap().1 = None,
                Content::Other => {}
            }
        }
        let mut messages: Vec<_> = now.into_values().map(|(seq, text)| (seq, text.map(str::to_owned))).collect();
        messages.sort_unstable();
        messages
    }
}

fn read(kind: &str, entry: &Value) -> Content {
    let new_text = || entry["message"].as_str().map(str::to_owned);
    match kind {
        "message" => Content::Message { id: text(entry, "_id").into(), text: new_text() },
        "edit" => Content::Edit { id: text(entry, "messageId").into(), text: new_text() },
        "delete" => Content::Delete { id: text(entry, "messageId").into() },
        "read" | "status" => Content::Other,
        other => panic!("an entry of the kind {other}"),
    }
}
