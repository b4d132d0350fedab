//! `deskline health`: checks that a server is running.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::ListenConfig;

/// How long the server may take to respond.
const PATIENCE: Duration = Duration::from_secs(4);

/// Check that a server on this machine is running.
///
/// Requests `/livez` at the first --listen address and fails if it does not answer. Meant for container health checks.
#[derive(Debug, Args)]
pub(super) struct Health {
    #[command(flatten)]
    listen: ListenConfig,
}

impl Health {
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.listen.complete()?;
        let address = self.listen.addresses.first().copied().context("no --listen address")?;
        let answer = timeout(PATIENCE, ask(here(address))).await.context("the server did not respond in time")??;
        ensure!(answer.starts_with(b"HTTP/1.1 200 "), "the server is not healthy");
        Ok(())
    }
}

async fn ask(address: SocketAddr) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await.context("cannot connect to the server")?;
    let request = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// The loopback address for a server that listens on all addresses.
fn here(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}
