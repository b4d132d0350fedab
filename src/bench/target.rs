//! What is under load, and connecting to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use futures_util::{SinkExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio_tungstenite::tungstenite::Message;

use super::options::{BenchOptions, Protocol};
use crate::rig::client::{ClientError, Dial, Socket, dial, next_packet, open_websocket};
use crate::rig::{Account, http};

/// Where to connect, and as whom.
#[derive(Clone, Debug)]
pub(super) struct Target {
    /// `http://HOST:PORT`.
    pub(super) url: String,
    /// What it signs tokens with.
    pub(super) secret: String,
    /// The server's process, if it is known.
    pub(super) pid: Option<u32>,
    /// Who there is.
    pub(super) accounts: Vec<Account>,
}

/// Where one connection goes.
#[derive(Clone, Debug)]
pub(super) enum Door {
    /// To `/socket.io/`, as this account.
    Socketio(Account),
    /// To a room's websocket: its path, token included.
    Room(String),
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

    /// The doors to each customer's room: as that customer, and as the agent.
    pub(super) async fn rooms(
        &self,
        options: &BenchOptions,
        customers: &[Account],
    ) -> anyhow::Result<(Vec<Door>, Vec<Door>)> {
        let agent = self.agent()?.token(&self.secret);
        let opening = customers.iter().map(|customer| async {
            let token = customer.token(&self.secret);
            let room = self.room(options.protocol, &token).await?;
            let door = |token: &str| Door::Room(format!("/ws/chat/{room}/?token={token}"));
            anyhow::Ok((door(&token), door(&agent)))
        });
        let doors: Vec<_> = stream::iter(opening).buffered(options.connecting.max(1)).try_collect().await?;
        Ok(doors.into_iter().unzip())
    }

    /// How a dialect calls the room of a customer.
    async fn room(&self, protocol: Protocol, token: &str) -> anyhow::Result<String> {
        let room = if protocol == Protocol::Drivecash {
            http::get(&self.url, "/api/chat/rooms/my_room/", token).await
        } else {
            http::post(&self.url, "/api/public/chat-rooms/", token, &serde_json::json!({})).await
        };
        let room = room.context("asking for a room")?;
        // One dialect answers with the room, the other with the room and whether it is new.
        match room.body.get("room").unwrap_or(&room.body).get("id").unwrap_or_default() {
            serde_json::Value::String(uuid) => Ok(uuid.clone()),
            serde_json::Value::Number(number) => Ok(number.to_string()),
            _ => bail!("no room, but {}: {}", room.status, room.body),
        }
    }

    /// Goes through each of the doors, in their order, several at a time.
    pub(super) fn connect(
        &self,
        options: &BenchOptions,
        doors: Vec<Door>,
        how: &Dial,
    ) -> impl Stream<Item = anyhow::Result<Socket>> {
        let opening = doors.into_iter().enumerate().map(move |(index, door)| {
            let how = Dial { from: source(index, options.sources), ..how.clone() };
            async move { self.enter(&door, &how).await }
        });
        stream::iter(opening).buffered(options.connecting.max(1))
    }

    /// Connects, and authenticates.
    pub(super) async fn enter(&self, door: &Door, how: &Dial) -> anyhow::Result<Socket> {
        let context = || format!("connecting to {}", self.url);
        match door {
            Door::Socketio(account) => {
                let mut socket = dial(&self.url, how).await.with_context(context)?;
                authenticate(&mut socket, &account.token(&self.secret)).await?;
                Ok(socket)
            }
            Door::Room(path) => open_websocket(&self.url, path, how).await.with_context(context),
        }
    }
}

/// The loopback address to connect from; `None` leaves it to the system.
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
