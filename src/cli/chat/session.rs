//! A logged-in account that receives and sends messages.

use std::fmt;
use std::time::Duration;

use anyhow::bail;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::text;
use crate::cli::plain::plain;
use crate::cli::say;
use crate::lab::testkit::http;
use crate::lab::testkit::socketio::{Client, ClientError};

/// Pause before each attempt to reconnect.
const RETRY: Duration = Duration::from_secs(1);

/// How long to wait for an event at a time. Nothing happens in between.
const IDLE: Duration = Duration::from_hours(1);

pub(super) struct Session {
    url: String,
    email: String,
    token: String,
    is_agent: bool,
    /// The account's own id, once it has authenticated.
    own_id: String,
    /// The recipient of the next line.
    recipient: Option<Recipient>,
    /// A message that the server has not confirmed yet.
    unconfirmed: Option<Value>,
}

/// A person to write to.
struct Recipient {
    id: String,
    email: String,
}

impl Recipient {
    fn new(id: &Value, email: &Value) -> Option<Self> {
        Some(Self { id: id.as_str()?.to_owned(), email: email.as_str().unwrap_or_default().to_owned() })
    }
}

/// What `/to` takes: the address, or the id of a visitor without one.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&plain(if self.email.is_empty() { &self.id } else { &self.email }))
    }
}

impl Session {
    pub(super) fn new(url: String, email: &str, token: &str, is_agent: bool) -> Self {
        let (email, token) = (email.to_owned(), token.to_owned());
        Self { url, email, token, is_agent, own_id: String::new(), recipient: None, unconfirmed: None }
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(http::get(&self.url, path, &self.token).await?.body)
    }

    /// Selects the desk as the recipient.
    pub(super) async fn write_to_desk(&mut self) -> anyhow::Result<()> {
        let desk = self.get("/api/chat/admin").await?;
        self.recipient = Recipient::new(&desk["_id"], &desk["email"]);
        Ok(())
    }

    /// Sends and shows messages until the input ends. Reconnects if the connection is lost.
    pub(super) async fn run(&mut self, lines: &mut mpsc::Receiver<String>) -> anyhow::Result<()> {
        loop {
            match Client::connect(&self.url).await {
                Ok(client) => match self.talk(&client, lines).await {
                    Err(error) if error.is::<ClientError>() => say("(connection lost, reconnecting)")?,
                    ended => return ended,
                },
                Err(_) => say("(server unreachable, retrying)")?,
            }
            sleep(RETRY).await;
        }
    }

    /// The same on one connection. Fails with a [`ClientError`] if it is lost.
    async fn talk(&mut self, client: &Client, lines: &mut mpsc::Receiver<String>) -> anyhow::Result<()> {
        let answer = client.authenticate(&self.token).await?;
        if answer["success"] != true {
            bail!("cannot authenticate: {}", text(&answer["message"]));
        }
        answer["userId"].as_str().unwrap_or_default().clone_into(&mut self.own_id);
        say(format_args!("Connected as {}. Type a message and press Enter.", plain(&self.email)))?;
        self.deliver(client).await?;
        self.show_recipient()?;
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    None => return Ok(()),
                    Some(line) => self.enter(client, line.trim()).await?,
                },
                event = client.next_event(IDLE) => match event {
                    Err(ClientError::TimedOut(_)) => {}
                    event => {
                        let (name, payload) = event?;
                        self.show(client, &name, &payload)?;
                    }
                },
            }
        }
    }

    /// Handles one line of input: a command or a message.
    async fn enter(&mut self, client: &Client, line: &str) -> anyhow::Result<()> {
        let command = line.strip_prefix("/to").filter(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if let Some(whom) = command {
            return self.select(whom.trim()).await;
        }
        if line.is_empty() {
            return Ok(());
        }
        let Some(recipient) = &self.recipient else {
            return say("(no recipient yet: wait for a message, or select a customer with /to ADDRESS)");
        };
        let id = uuid::Uuid::new_v4().to_string();
        self.unconfirmed = Some(json!({"receiverId": recipient.id, "message": line, "clientMessageId": id}));
        self.deliver(client).await
    }

    /// Selects the customer with this address or id.
    async fn select(&mut self, whom: &str) -> anyhow::Result<()> {
        let conversations = self.get("/api/chat/conversations").await?;
        let is_meant = |one: &&Value| !whom.is_empty() && (one["email"] == whom || one["userId"] == whom);
        let found = conversations.as_array().into_iter().flatten().find(is_meant);
        match found.and_then(|one| Recipient::new(&one["userId"], &one["email"])) {
            Some(recipient) => self.recipient = Some(recipient),
            None => say("(no customer with this address has a conversation)")?,
        }
        self.show_recipient()
    }

    /// Shows an agent the recipient of the next line.
    fn show_recipient(&self) -> anyhow::Result<()> {
        match &self.recipient {
            Some(recipient) if self.is_agent => say(format_args!("(writing to {recipient})")),
            _ => Ok(()),
        }
    }

    /// Sends the unconfirmed message, if there is one. If there is no response, it is sent again on the next connection; its id lets the
    /// server recognize it.
    async fn deliver(&mut self, client: &Client) -> anyhow::Result<()> {
        let Some(message) = self.unconfirmed.clone() else { return Ok(()) };
        let answer = client.emit_ack("send-message", message).await.inspect_err(|_| {
            // The connection is lost as well, which ends this command if the terminal is gone.
            let _shown = say("(not confirmed, it is sent again after reconnecting)");
        })?;
        self.unconfirmed = None;
        if answer["ok"] != true {
            let why = if answer["error"].is_null() { &answer["message"] } else { &answer["error"] };
            say(format_args!("(not sent: {})", text(why)))?;
        }
        Ok(())
    }

    fn show(&mut self, client: &Client, event: &str, payload: &Value) -> anyhow::Result<()> {
        match event {
            "receive-message" => self.receive(client, &payload["sender"], &payload["message"]),
            "messages-read" => say("(read)"),
            "user-typing" => say("(typing ...)"),
            "user-online" => say("(somebody is online)"),
            "user-offline" => say("(somebody went offline)"),
            _ => Ok(()),
        }
    }

    /// Shows a message. Its sender becomes the recipient only if there is none: a line that is being typed is meant for the current one.
    fn receive(&mut self, client: &Client, sender: &Value, message: &Value) -> anyhow::Result<()> {
        say(format_args!("{}: {}", text(&sender["name"]), text(message)))?;
        // Towards an agent, messages of colleagues have the agent's own id.
        if sender["_id"] == self.own_id {
            return Ok(());
        }
        client.emit("mark-read", json!({"senderId": sender["_id"]}))?;
        let Some(sender) = Recipient::new(&sender["_id"], &sender["email"]).filter(|_| self.is_agent) else {
            return Ok(());
        };
        match &self.recipient {
            Some(recipient) if recipient.id == sender.id => Ok(()),
            Some(_) => say(format_args!("(to answer: /to {sender})")),
            None => {
                self.recipient = Some(sender);
                self.show_recipient()
            }
        }
    }
}
