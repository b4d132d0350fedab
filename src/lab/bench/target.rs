//! The server under load, and connecting to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio_tungstenite::tungstenite::Message;

use super::conversation::Conversation;
use super::options::BenchOptions;
use crate::lab::testkit::Account;
use crate::lab::testkit::socketio::{ClientError, Dial, Socket, dial, next_packet};

/// The server under load and its accounts.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `http://HOST:PORT`.
    pub(super) url: String,
    /// The secret that it signs tokens with.
    pub(super) secret: String,
    /// The server's process id, if it is known.
    pub(super) pid: Option<u32>,
    /// Accounts of the clients.
    pub(super) accounts: Vec<Account>,
}

/// The target of one connection.
#[derive(Clone, Debug)]
pub(super) enum Endpoint {
    /// `/socket.io/`, as this account.
    Socketio(Account),
    /// The websocket of a conversation.
    Conversation(Conversation),
}

impl Target {
    /// The first `count` customers.
    pub(super) fn customers(&self, count: usize) -> anyhow::Result<Vec<Account>> {
        let found = self.customers_up_to(count);
        ensure!(found.len() == count, "{count} accounts with role user are needed, there are {}", found.len());
        Ok(found)
    }

    /// The first `most` customers, or as many as there are.
    pub(super) fn customers_up_to(&self, most: usize) -> Vec<Account> {
        self.accounts.iter().filter(|account| !account.role.is_agent()).take(most).cloned().collect()
    }

    /// The first agent.
    pub(super) fn agent(&self) -> anyhow::Result<Account> {
        let found = self.accounts.iter().find(|account| account.role.is_agent());
        found.cloned().context("an account with role admin is needed, there is none")
    }

    /// The endpoints of these customers.
    pub(super) async fn endpoints(
        &self,
        options: &BenchOptions,
        customers: &[Account],
    ) -> anyhow::Result<Vec<Endpoint>> {
        if options.protocol.is_channels() {
            Ok(self.rooms(options, customers).await?.into_iter().map(Endpoint::Conversation).collect())
        } else {
            Ok(customers.iter().cloned().map(Endpoint::Socketio).collect())
        }
    }

    /// Each customer's conversation.
    pub(super) async fn rooms(
        &self,
        options: &BenchOptions,
        customers: &[Account],
    ) -> anyhow::Result<Vec<Conversation>> {
        let opening = customers
            .iter()
            .map(|customer| Conversation::of_customer(&self.url, options.protocol, customer.token(&self.secret)));
        stream::iter(opening).buffered(options.connecting.max(1)).try_collect().await
    }

    /// Connects to the endpoints in order, several at a time.
    pub(super) fn connect(
        &self,
        options: &BenchOptions,
        endpoints: Vec<Endpoint>,
        how: &Dial,
    ) -> impl Stream<Item = anyhow::Result<Socket>> {
        let opening = endpoints.into_iter().enumerate().map(move |(index, endpoint)| {
            let how = Dial { from: source(index, options.sources), ..how.clone() };
            async move { self.enter(&endpoint, &how).await }
        });
        stream::iter(opening).buffered(options.connecting.max(1))
    }

    /// Connects and authenticates.
    pub(super) async fn enter(&self, endpoint: &Endpoint, how: &Dial) -> anyhow::Result<Socket> {
        let context = || format!("connecting to {}", self.url);
        match endpoint {
            Endpoint::Socketio(account) => {
                let mut socket = dial(&self.url, how).await.with_context(context)?;
                authenticate(&mut socket, &account.token(&self.secret)).await?;
                Ok(socket)
            }
            Endpoint::Conversation(room) => room.enter(&self.url, how).await.with_context(context),
        }
    }
}

/// The loopback address to connect from; `None` for any.
fn source(index: usize, sources: u8) -> Option<SocketAddr> {
    let turn = u8::try_from(index.checked_rem(sources.into())?).ok()?;
    Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 1, turn.saturating_add(1))), 0))
}

async fn authenticate(socket: &mut Socket, token: &str) -> anyhow::Result<()> {
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
