//! `deskline chat`: a chat client for the terminal, on the same events as the dashboard.

use std::io::{BufRead as _, IsTerminal as _};
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::{demo, say};
use crate::domain::Email;
use crate::lab::testkit::http;
use crate::lab::testkit::socketio::{Client, ClientError};

/// Pause before each attempt to reconnect.
const RETRY: Duration = Duration::from_secs(1);

/// How long to wait for an event at a time. Nothing happens in between.
const IDLE: Duration = Duration::from_hours(1);

/// Chat from the terminal.
///
/// Logs in, shows incoming messages, and sends each line that you type. A customer writes to the desk. An agent replies to whoever
/// wrote last; `/to ADDRESS` selects another customer. Ends with the input (Ctrl-D).
#[derive(Debug, Args)]
pub(super) struct Chat {
    /// E-mail address of the account.
    email: Email,
    /// Its password [default: that of the demo accounts for those, else it is asked for].
    #[arg(long)]
    password: Option<String>,
    /// URL of the server.
    #[arg(long, default_value = super::LOCAL_URL)]
    url: String,
}

/// A logged-in account.
struct Session {
    url: String,
    email: Email,
    token: String,
    is_agent: bool,
    /// Id of the person that the next line is sent to.
    recipient: Option<String>,
}

impl Chat {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut session = self.log_in().await?;
        let mut lines = read_lines();
        loop {
            match Client::connect(&session.url).await {
                Ok(client) => match session.talk(&client, &mut lines).await {
                    Err(error) if error.is::<ClientError>() => say("(connection lost, reconnecting)")?,
                    ended => return ended,
                },
                Err(_) => say("(server unreachable, retrying)")?,
            }
            sleep(RETRY).await;
        }
    }

    async fn log_in(self) -> anyhow::Result<Session> {
        let Self { email, password, url } = self;
        let is_demo = demo::ACCOUNTS.iter().any(|(_, demo, _)| *demo == email.as_str());
        let password = match password {
            Some(password) => password,
            None if is_demo => demo::PASSWORD.to_owned(),
            None if std::io::stdin().is_terminal() => rpassword::prompt_password("Password: ")?,
            None => bail!("no password\nhint: pass it with --password, or run this in a terminal"),
        };
        let credentials = json!({"email": email.as_str(), "password": password});
        let answer = http::post(&url, "/api/auth/login", None, &credentials).await;
        let answer = answer.with_context(|| format!("logging in at {url}"))?.body;
        let Some(token) = answer["token"].as_str() else { bail!("cannot log in: {}", text(&answer["message"])) };
        let mut session =
            Session { url, email, token: token.to_owned(), is_agent: answer["role"] != "user", recipient: None };
        if !session.is_agent {
            let desk = session.get("/api/chat/admin").await?;
            session.recipient = desk["_id"].as_str().map(str::to_owned);
        }
        Ok(session)
    }
}

impl Session {
    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        Ok(http::get(&self.url, path, &self.token).await?.body)
    }

    /// Sends and shows messages until the input ends. Fails with a [`ClientError`] if the connection is lost.
    async fn talk(&mut self, client: &Client, lines: &mut mpsc::Receiver<String>) -> anyhow::Result<()> {
        let answer = client.authenticate(&self.token).await?;
        if answer["success"] != true {
            bail!("cannot authenticate: {}", text(&answer["message"]));
        }
        say(format_args!("Connected as {}. Type a message and press Enter.", self.email.as_str()))?;
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
        if let Some(email) = line.strip_prefix("/to ") {
            let conversations = self.get("/api/chat/conversations").await?;
            let found = conversations.as_array().into_iter().flatten().find(|one| one["email"] == email.trim());
            let Some(id) = found.and_then(|one| one["userId"].as_str()) else {
                return say("(no customer with this address has a conversation)");
            };
            self.recipient = Some(id.to_owned());
            return say(format_args!("(writing to {email})"));
        }
        if line.is_empty() {
            return Ok(());
        }
        let Some(recipient) = &self.recipient else {
            return say("(no recipient yet: wait for a message, or select a customer with /to ADDRESS)");
        };
        let message =
            json!({"receiverId": recipient, "message": line, "clientMessageId": uuid::Uuid::new_v4().to_string()});
        let answer = client.emit_ack("send-message", message).await.inspect_err(|_| {
            // The connection is lost as well, which ends this command if the terminal is gone.
            let _shown = say("(not confirmed, it may not have been sent)");
        })?;
        if answer["ok"] != true {
            say(format_args!("(not sent: {})", text(&answer["error"])))?;
        }
        Ok(())
    }

    fn show(&mut self, client: &Client, event: &str, payload: &Value) -> anyhow::Result<()> {
        match event {
            "receive-message" => {
                let sender = &payload["sender"];
                if self.is_agent && sender["email"] != self.email.as_str() {
                    self.recipient = sender["_id"].as_str().map(str::to_owned);
                }
                client.emit("mark-read", json!({"senderId": sender["_id"]}))?;
                say(format_args!("{}: {}", text(&sender["name"]), text(&payload["message"])))
            }
            "messages-read" => say("(read)"),
            "user-typing" => say("(typing ...)"),
            "user-online" => say("(somebody is online)"),
            "user-offline" => say("(somebody went offline)"),
            _ => Ok(()),
        }
    }
}

/// The lines of standard input. They are read on a thread of their own, which does not keep the process from ending.
fn read_lines() -> mpsc::Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}
