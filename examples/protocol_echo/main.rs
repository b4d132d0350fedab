//! The server that the official test suites of Engine.IO 4 and Socket.IO 5 require: `make suites` runs them against it.
//! It is not part of releases. The tests in `tests/it/protocol` start the same server themselves.

use std::time::Duration;

use deskline::net::Heartbeat;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

mod server;

/// The port and the ping intervals that the suites expect.
const ADDRESS: &str = "127.0.0.1:3000";
const HEARTBEAT: Heartbeat = Heartbeat { interval: Duration::from_millis(300), timeout: Duration::from_millis(200) };

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    server::serve(TcpListener::bind(ADDRESS).await?, HEARTBEAT, CancellationToken::new()).await
}
