//! `deskline serve`

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{LOCAL_URL, demo, logging, opening, say};
use crate::app::{self, Parts};
use crate::config::Config;
use crate::domain::Role;
use crate::net;
use crate::store::sqlite::DataFileLock;
use crate::store::{StoreLocation, Stores};
use crate::supervise;

pub(super) async fn serve(config: Config) -> anyhow::Result<()> {
    let config = config.complete()?;
    let logging = logging::start(&config.log)?;
    supervise::log_panics();
    tokio::spawn(logging.throttle.clone().report());
    let mut listeners = Vec::new();
    for address in &config.listen.addresses {
        listeners.push(net::listen(*address).map_err(|error| not_listening(*address, error))?);
    }
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(TcpListener::local_addr).collect::<Result<_, _>>().context("listening")?;
    let location = config.store.location();
    let lock = location.file().map(|path| DataFileLock::take(path)).transpose()?;
    let secret = config.auth.secret(location.file().map(PathBuf::as_path), config.demo)?;
    let stop = CancellationToken::new();
    // Signals are handled before the greeting, because the reader of the greeting may stop the server at once.
    tokio::spawn(stop_on_signal(Signals::hear().context("listening for signals")?, stop.clone()));
    let Some(store) = opening::open(&listeners, &location, &stop).await? else { return Ok(()) };
    let parts = Parts::new(&config, store, &secret, lock)?;
    let Stores { users, .. } = parts.store.stores();
    if config.demo {
        demo::prepare(&*users).await.context("creating the demo accounts")?;
    } else if demo::remains(&*users).await? {
        tracing::warn!(
            "This store has demo accounts, whose passwords are public: block them with `deskline user block`"
        );
    }
    if config.mail.smtp_url.is_none() && !config.demo {
        tracing::warn!(
            "No mail server is set (--smtp-url): nobody can confirm an address, reset a password, or log in to the portal as \
             an agent"
        );
    }
    let has_admin = users.users_of_role(Role::Admin, 0, 1).await?.total > 0;
    if let Err(error) = greet(&config, &location, &addresses, has_admin) {
        tracing::warn!("Cannot write to stdout: {error:#}");
    }
    tokio::select! {
        served = app::serve(listeners, parts, &config, stop) => served,
        () = supervise::failed() => anyhow::bail!("an essential task has panicked\nhint: the log names it; please report it"),
    }
}

/// The error for an address that cannot be listened on, with a hint.
fn not_listening(address: SocketAddr, error: std::io::Error) -> anyhow::Error {
    let hint = match error.kind() {
        ErrorKind::AddrInUse => "another program uses this port; stop it, or choose another port with --listen",
        ErrorKind::PermissionDenied => "ports below 1024 require root; choose a higher one with --listen",
        ErrorKind::AddrNotAvailable => {
            "this machine does not have this address; use --listen 0.0.0.0:PORT for all its addresses"
        }
        _ => return anyhow::Error::new(error).context(format!("listening on {address}")),
    };
    anyhow::anyhow!("cannot listen on {address}\nhint: {hint}")
}

/// The first signal stops the server gracefully, the second one at once.
async fn stop_on_signal(mut signals: Signals, stop: CancellationToken) {
    signals.next().await;
    tracing::info!("Stopping");
    stop.cancel();
    signals.next().await;
    std::process::exit(130);
}

/// The signals that stop the server, received from the moment this is created.
#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn hear() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Ctrl-C, the only signal on this platform.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    #[expect(clippy::unnecessary_wraps, reason = "elsewhere it can fail")]
    fn hear() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Cannot listen for Ctrl-C");
        }
    }
}

fn greet(config: &Config, location: &StoreLocation, addresses: &[SocketAddr], has_admin: bool) -> anyhow::Result<()> {
    for address in addresses {
        say(format_args!("Deskline listens on http://{address}"))?;
    }
    let place = match location {
        StoreLocation::Sqlite(path) => {
            say(format_args!("Data: {}", path.display()))?;
            format!("--data {}", path.display())
        }
        StoreLocation::Mongo { .. } => {
            say(format_args!("Data: {location}"))?;
            "--mongodb-uri URI".into()
        }
    };
    if config.demo {
        say("\nDemo accounts, all with the password deskline-demo (user name: the part before the @):")?;
        for (name, email, role) in demo::ACCOUNTS {
            say(format_args!("  {:5}  {email:16}  {name}", role.word()))?;
        }
        for address in addresses {
            say(format_args!("\nAnswer as the agent in a browser: http://{address}/console/"))?;
        }
        let program = std::env::args().next().unwrap_or_else(|| "deskline".into());
        let url = addresses.first().map(|address| format!("http://{address}")).filter(|url| url != LOCAL_URL);
        let url = url.map_or_else(String::new, |url| format!("--url {url} "));
        say("\nOr chat from two more terminals:")?;
        say(format_args!("  {program} chat {url}admin@demo.test"))?;
        say(format_args!("  {program} chat {url}ann@demo.test"))?;
    } else if !has_admin {
        say("\nThere is no admin yet. Add the first one with:")?;
        say(format_args!("  deskline user {place} add --role admin you@example.com"))?;
    }
    Ok(())
}
