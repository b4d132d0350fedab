//! Who the generator is: accounts, their tokens and their connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use futures_util::{Stream, StreamExt, stream};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use tokio_tungstenite::tungstenite::Message;

use super::client::{ClientError, Dial, Socket, dial, next_packet};
use super::options::BenchOptions;
use crate::domain::{Clock, Role, SystemClock, UserId};

/// Seconds that a token is good for.
const TOKEN_LIFE: i64 = 86_400;

/// One account of the server under load.
#[derive(Clone, Debug)]
pub(super) struct Account {
    /// Its id.
    pub(super) id: UserId,
    /// `user` or `admin`, as tokens say it.
    pub(super) role: Role,
}

#[derive(Serialize)]
struct Claims<'a> {
    id: String,
    role: &'a str,
    iat: i64,
    exp: i64,
}

impl Account {
    /// Signs a token for this account.
    pub(super) fn token(&self, secret: &str) -> anyhow::Result<String> {
        let iat = SystemClock.now().seconds();
        let claims = Claims { id: self.id.to_string(), role: self.role.word(), iat, exp: iat + TOKEN_LIFE };
        encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).context("signing a token")
    }
}

/// Where to connect, and how.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `http://HOST:PORT`.
    pub(super) url: String,
    /// The server's process, if it is known.
    pub(super) pid: Option<u32>,
    /// Who there is.
    pub(super) accounts: Vec<Account>,
}

impl Target {
    /// The first `count` customers.
    pub(super) fn customers(&self, count: usize) -> anyhow::Result<Vec<Account>> {
        let found: Vec<_> =
            self.accounts.iter().filter(|account| !account.role.is_agent()).take(count).cloned().collect();
        ensure!(found.len() == count, "{count} accounts with role user are needed, there are {}", found.len());
        Ok(found)
    }

    /// The first agent.
    pub(super) fn agent(&self) -> anyhow::Result<Account> {
        let found = self.accounts.iter().find(|account| account.role.is_agent());
        found.cloned().context("an account with role admin is needed, there is none")
    }

    /// Connects and authenticates as each of `accounts`, in their order, several at a time.
    pub(super) fn connect(
        &self,
        options: &BenchOptions,
        accounts: Vec<Account>,
        buffer: usize,
    ) -> impl Stream<Item = anyhow::Result<Socket>> {
        let opening = accounts.into_iter().enumerate().map(move |(index, account)| {
            let (url, secret, from) = (self.url.clone(), options.jwt_secret.clone(), source(index, options.sources));
            async move {
                let how = Dial { from, buffer, ..Dial::default() };
                let token = account.token(&secret)?;
                let mut socket = dial(&url, &how).await.with_context(|| format!("connecting to {url}"))?;
                authenticate(&mut socket, &token).await?;
                Ok(socket)
            }
        });
        stream::iter(opening).buffered(options.connecting.max(1))
    }
}

/// The loopback address to connect from; `None` leaves it to the system.
fn source(index: usize, sources: u8) -> Option<SocketAddr> {
    let turn = u8::try_from(index.checked_rem(sources.into())?).ok()?;
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, turn.saturating_add(1))), 0))
}

async fn authenticate(socket: &mut Socket, token: &str) -> anyhow::Result<()> {
    use futures_util::SinkExt as _;
    let packet = format!(r#"42["authenticate","{token}"]"#);
    socket.send(Message::text(packet)).await.map_err(ClientError::from).context("authenticating")?;
    loop {
        let answer = next_packet(socket).await.context("waiting for authenticated")?;
        if answer.starts_with(r#"42["authenticated""#) {
            ensure!(answer.contains(r#""success":true"#), "the server does not accept the token: {answer}");
            return Ok(());
        }
    }
}

/// Reads a file of accounts.
pub(super) fn read_accounts(file: &Path) -> anyhow::Result<Vec<Account>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let mut accounts = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let id = words.next().and_then(|id| id.parse().ok());
        let role = words.next().unwrap_or("user").parse();
        let (Some(id), Ok(role)) = (id, role) else { bail!("not an account: {line}") };
        accounts.push(Account { id, role });
    }
    Ok(accounts)
}
