//! The shortest desk: an embedded store in a temporary folder, all faces, one port.
//!
//! ```sh
//! cargo run --example minimal
//! curl http://127.0.0.1:3000/health
//! ```

use clap::{Args as _, Command, FromArgMatches as _};
use deskline::app::{self, Parts};
use deskline::config::Config;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let data = std::env::temp_dir().join("deskline-minimal.db");
    let flags = Config::augment_args(Command::new("minimal"));
    let given = flags.try_get_matches_from(["minimal".as_ref(), "--data".as_ref(), data.as_os_str()])?;
    let config = Config::from_arg_matches(&given)?.complete()?;

    let listener = TcpListener::bind(config.listen.addresses[0]).await?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move { tokio::signal::ctrl_c().await.map(|()| stopped.cancel()) });
    app::serve(vec![listener], Parts::open(&config).await?, &config, stop).await
}
