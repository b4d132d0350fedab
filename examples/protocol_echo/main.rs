//! The server that the official test suites of Engine.IO 4 and Socket.IO 5 ask for: `make suites` runs them against it. Part of no
//! release. The tests below `tests/it/protocol` start the same server by themselves.

use std::time::Duration;

use deskline::net::Heartbeat;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod server;

/// Where the suites look for it, and what they expect of its pings.
const ADDRESS: &str = "127.0.0.1:3000";
const HEARTBEAT: Heartbeat = Heartbeat { interval: Duration::from_millis(300), timeout: Duration::from_millis(200) };

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    server::serve(TcpListener::bind(ADDRESS).await?, HEARTBEAT, CancellationToken::new()).await
}
