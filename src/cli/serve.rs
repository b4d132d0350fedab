//! `deskline serve`

use std::net::SocketAddr;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{demo, logging, say};
use crate::app::{self, Parts};
use crate::config::Config;
use crate::domain::Role;

pub(super) async fn serve(config: Config) -> anyhow::Result<()> {
    let config = config.complete()?;
    logging::start(&config.log)?;
    let parts = Parts::open(&config)?;
    let users = parts.stores.users.clone();
    if config.demo {
        demo::prepare(&*users).await.context("making the demo accounts")?;
    } else if demo::remains(&*users).await? {
        tracing::warn!("This store holds demo accounts, whose passwords everybody knows");
    }
    let mut listeners = Vec::new();
    for address in &config.listen.addresses {
        let listener = TcpListener::bind(address).await;
        listeners.push(listener.with_context(|| format!("listening on {address}"))?);
    }
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>().context("listening")?;
    let has_admin = users.users_of_role(Role::Admin, 0, 1).await?.total > 0;
    greet(&config, &addresses, has_admin)?;
    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    app::serve(listeners, parts, &config, stop).await
}

/// The first signal asks to stop, the second does not wait.
async fn stop_on_signal(stop: CancellationToken) {
    signal().await;
    tracing::info!("Stopping");
    stop.cancel();
    signal().await;
    std::process::exit(130);
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(error) => tracing::warn!(%error, "Cannot hear SIGTERM"),
    }
}

#[cfg(not(unix))]
async fn signal() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "Cannot hear Ctrl-C");
    }
}

fn greet(config: &Config, addresses: &[SocketAddr], has_admin: bool) -> anyhow::Result<()> {
    for address in addresses {
        say(format_args!("Deskline listens on http://{address}"))?;
    }
    let path = config.store.path();
    say(format_args!("Data: {}", path.display()))?;
    if config.demo {
        say("\nDemo accounts, all with the password deskline-demo:")?;
        for (name, email, role) in demo::ACCOUNTS {
            say(format_args!("  {:5}  {email:16}  {name}", role.word()))?;
        }
        say("\nTry it from two more terminals:")?;
        say("  cargo run --release --example chat -- admin@demo.test")?;
        say("  cargo run --release --example chat -- ann@demo.test")?;
    } else if !has_admin {
        say("\nThere is no admin yet. Add the first one with:")?;
        say(format_args!("  deskline user --data {} add --role admin you@example.com", path.display()))?;
    }
    Ok(())
}
