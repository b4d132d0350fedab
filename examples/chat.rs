//! A terminal that talks: logs in, shows what comes, and sends each line that you type.
//!
//! ```sh
//! cargo run --release -- --demo                                   # in one terminal
//! cargo run --release --example chat -- admin@demo.test           # in a second: the agent
//! cargo run --release --example chat -- ann@demo.test             # in a third: a customer
//! ```
//!
//! A customer writes to the desk. An agent answers whoever wrote last, or `/to ADDRESS` first.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Parser;
use deskline::lab::testkit::socketio::{Client, ClientError};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines, Stdin};

/// Talks with a Deskline from the terminal.
#[derive(Parser)]
struct Options {
    /// Whose account.
    email: String,
    /// Its password.
    #[arg(long, default_value = "deskline-demo")]
    password: String,
    /// Where the server is.
    #[arg(long, default_value = "http://127.0.0.1:3000")]
    url: String,
}

struct Chat {
    options: Options,
    http: reqwest::Client,
    token: String,
    is_agent: bool,
    /// Who the next line goes to.
    to: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut chat = Chat::log_in(Options::parse()).await?;
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    loop {
        match Client::connect(&chat.options.url).await {
            Ok(client) => match chat.talk(&client, &mut lines).await {
                Err(error) if error.downcast_ref::<ClientError>().is_some() => say("(connection lost, coming back)")?,
                ended => return ended,
            },
            Err(_) => say("(the server is away, trying again)")?,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

impl Chat {
    async fn log_in(options: Options) -> anyhow::Result<Self> {
        let http = reqwest::Client::new();
        let asked = json!({"email": options.email, "password": options.password});
        let request = http.post(format!("{}/api/auth/login", options.url)).json(&asked);
        let answer: Value = request.send().await.context("is the server running?")?.json().await?;
        let Some(token) = answer["token"].as_str() else { bail!("{}", answer["message"]) };
        let (token, is_agent) = (token.to_owned(), answer["role"] != "user");
        let mut chat = Self { options, http, token, is_agent, to: None };
        if !is_agent {
            let support = chat.get("/api/chat/admin").await?;
            chat.to = support["_id"].as_str().map(str::to_owned);
        }
        Ok(chat)
    }

    async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = self.http.get(format!("{}{path}", self.options.url)).bearer_auth(&self.token);
        Ok(request.send().await?.json().await?)
    }

    async fn talk(&mut self, client: &Client, lines: &mut Lines<BufReader<Stdin>>) -> anyhow::Result<()> {
        let known = client.authenticate(&self.token).await?;
        if known["success"] != true {
            bail!("{}", known["message"]);
        }
        say(format!("Connected as {}. Type, and press Enter.", self.options.email))?;
        loop {
            tokio::select! {
                line = lines.next_line() => match line? {
                    None => return Ok(()),
                    Some(line) => self.send(client, line.trim()).await?,
                },
                event = client.next_event(Duration::from_hours(1)) => {
                    let (name, payload) = event?;
                    self.show(client, &name, &payload)?;
                }
            }
        }
    }

    async fn send(&mut self, client: &Client, line: &str) -> anyhow::Result<()> {
        if let Some(email) = line.strip_prefix("/to ") {
            let listed = self.get("/api/chat/conversations").await?;
            let found = listed.as_array().into_iter().flatten().find(|one| one["email"] == email);
            self.to = found.and_then(|one| one["userId"].as_str()).map(str::to_owned);
            return say(if self.to.is_some() {
                "(now writing to them)"
            } else {
                "(nobody with this address wrote yet)"
            });
        }
        let Some(to) = &self.to else { return say("(nobody to write to yet)") };
        if !line.is_empty() {
            let answer = client.emit_ack("send-message", json!({"receiverId": to, "message": line})).await?;
            if answer["ok"] != true {
                say(format!("(not sent: {})", answer["error"]))?;
            }
        }
        Ok(())
    }

    fn show(&mut self, client: &Client, name: &str, payload: &Value) -> anyhow::Result<()> {
        match name {
            "receive-message" => {
                let sender = &payload["sender"];
                if self.is_agent && sender["email"] != self.options.email.as_str() {
                    self.to = sender["_id"].as_str().map(str::to_owned);
                }
                client.emit("mark-read", json!({"senderId": sender["_id"]}))?;
                say(format!("{}: {}", text(&sender["name"]), text(&payload["message"])))
            }
            "messages-read" => say("(read)"),
            "user-typing" => say("(typing ...)"),
            "user-online" => say("(somebody is there)"),
            "user-offline" => say("(somebody left)"),
            _ => Ok(()),
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
