//! `deskline chat`: a chat client for the terminal, on the same events as the dashboard.

use std::io::BufRead as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use self::server::Server;
use self::session::Session;
use super::plain::plain;
use super::{demo, password};
use crate::domain::Email;
use crate::lab::testkit::http;

mod server;
mod session;
#[cfg(test)]
mod tests;

/// Chat from the terminal.
///
/// Logs in, shows incoming messages, and sends each line that you type. A customer writes to the desk. An agent writes to the first
/// customer who writes, until `/to ADDRESS` selects another. Ends with the input (Ctrl-D).
#[derive(Debug, Args)]
pub(super) struct Chat {
    /// E-mail address of the account.
    email: Email,
    /// Its password. Other users of this machine can see command lines, so rather set the variable, or omit it
    /// [default: the public one for demo accounts; otherwise prompted for, or read from the first line of the input].
    #[arg(long, env = "DESKLINE_CHAT_PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// URL of the server.
    #[arg(long, default_value = super::LOCAL_URL)]
    url: Server,
    /// Send the password and the messages to another machine without encryption.
    #[arg(long)]
    unencrypted: bool,
}

/// How often a busy server is asked to log in.
const ATTEMPTS: u32 = 10;

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// The server's answer to a log-in. A server that is busy is asked again.
async fn ask_to_log_in(url: &str, credentials: &Value) -> anyhow::Result<Value> {
    for _ in 1..ATTEMPTS {
        let answer = http::post(url, "/api/auth/login", None, credentials).await?;
        if answer.status != 503 {
            return Ok(answer.body);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(http::post(url, "/api/auth/login", None, credentials).await?.body)
}

impl Chat {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        self.log_in().await?.run(&mut read_lines()).await
    }

    async fn log_in(self) -> anyhow::Result<Session> {
        let Self { email, password, url: Server { url, is_loopback }, unencrypted } = self;
        if !is_loopback && !unencrypted {
            bail!(
                "the password would be sent to {url} without encryption\nhint: forward a port of the server, e.g. with \
                 `ssh -L 3000:127.0.0.1:3000 HOST`, and leave --url out; or allow it with --unencrypted"
            );
        }
        let is_demo = demo::ACCOUNTS.iter().any(|(_, demo, _)| *demo == email.as_str());
        let password = match password.filter(|password| !password.is_empty()) {
            Some(password) => password,
            None if is_demo => demo::PASSWORD.to_owned(),
            None => password::read()?,
        };
        if password.is_empty() {
            bail!("no password\nhint: set DESKLINE_CHAT_PASSWORD, or give it as the first line of the input");
        }
        let credentials = json!({"email": email.as_str(), "password": password});
        let answer = ask_to_log_in(&url, &credentials).await.with_context(|| format!("logging in at {url}"))?;
        let Some(token) = answer["token"].as_str() else { bail!("cannot log in: {}", text(&answer["message"])) };
        let is_agent = answer["role"] != "user";
        let mut session = Session::new(url, email.as_str(), token, is_agent);
        if !is_agent {
            session.write_to_desk().await?;
        }
        Ok(session)
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

/// A text from the server, for the terminal.
fn text(value: &Value) -> String {
    plain(value.as_str().unwrap_or("?"))
}
