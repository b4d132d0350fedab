//! Builds a server from its parts and runs it. The only place that joins them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use futures_util::FutureExt;
use socketioxide::SocketIo;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::accounts::{AccountParts, Accounts};
use crate::auth::{Passwords, Secret, Tokens};
use crate::config::{Config, MailConfig};
use crate::desk::Desk;
use crate::domain::{Clock, SystemClock, UserId};
use crate::faces::channels::ChannelsSettings;
use crate::faces::dashboard::{self, rest};
use crate::faces::{self, Checks, RequestLimits, channels, console, ops, socketio, storefront_and_portal};
use crate::limits::Bans;
use crate::mail::{LogMailer, Mailer, NoMailer, SmtpMailer};
use crate::net::{self, BanEnforcer};
use crate::store::OpenStore;
use crate::store::mongo::MongoStore;
use crate::store::sqlite::DataFileLock;
use crate::supervise::{essential, restarting};

/// Interval at which messages of the replaced server are imported.
const IMPORT_INTERVAL: Duration = Duration::from_secs(2);

/// Timeout of each shutdown step, most of which finish at once.
const STEP_TIMEOUT: Duration = Duration::from_secs(4);

/// Queue of account changes to revalidate. More are found by the next full check.
const CHANGE_QUEUE: usize = 256;

/// What a server is built from.
pub struct Parts {
    /// People and logs.
    pub store: OpenStore,
    /// Issues and verifies tokens.
    pub tokens: Arc<Tokens>,
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// Sends mail.
    pub mailer: Arc<dyn Mailer>,
    /// Prevents a second server on the same data file.
    pub lock: Option<DataFileLock>,
}

impl Parts {
    /// Opens the store and mailer of the settings. Does not wait for an unavailable store.
    ///
    /// # Errors
    /// If one of them cannot be opened, or the data file is in use.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let location = config.store.location();
        let lock = location.file().map(|path| DataFileLock::take(path)).transpose()?;
        let secret = config.auth.secret(location.file().map(PathBuf::as_path), config.demo)?;
        let store = location.open().await.with_context(|| format!("opening the store, {location}"))?;
        store.migrate(&|_, _| ()).await.context("importing messages of the old server")?;
        Self::new(config, store, &secret, lock)
    }

    /// Builds the other parts around an open store, according to the settings.
    ///
    /// # Errors
    /// If a setting cannot be used.
    pub fn new(config: &Config, store: OpenStore, secret: &Secret, lock: Option<DataFileLock>) -> anyhow::Result<Self> {
        Ok(Self {
            store,
            tokens: Arc::new(Tokens::new(secret, config.auth.token_lifetime)),
            clock: Arc::new(SystemClock),
            mailer: mailer(config)?,
            lock,
        })
    }
}

fn mailer(config: &Config) -> anyhow::Result<Arc<dyn Mailer>> {
    let MailConfig { smtp_url, mail_from } = &config.mail;
    match smtp_url {
        Some(url) => Ok(Arc::new(SmtpMailer::new(url, mail_from).context("--smtp-url or --mail-from")?)),
        None if config.demo => Ok(Arc::new(LogMailer)),
        None => Ok(Arc::new(NoMailer)),
    }
}

/// Serves until `stop`, then shuts down: accepts no more connections, closes the sockets so that clients reconnect to the next
/// server, and closes the log last. What arrives while a socket is still open is still stored and acknowledged.
///
/// # Errors
/// If a setting cannot be used.
pub async fn serve(
    listeners: Vec<TcpListener>,
    parts: Parts,
    config: &Config,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Parts { store, tokens, clock, mailer, lock } = parts;
    let stores = store.stores();
    let (changed, changes) = broadcast::channel(CHANGE_QUEUE);
    let bans = Arc::new(Bans::new(clock.clone()));
    let accounts = Accounts::new(AccountParts {
        users: stores.users.clone(),
        mailer,
        passwords: Passwords::default(),
        tokens,
        clock: clock.clone(),
        bans: bans.clone(),
        client_url: config.listen.page_url(),
        changed,
    });
    let desk = Desk::open(&stores, accounts.clone(), clock.clone(), config.desk.settings(config.heartbeat.heartbeat()));
    desk.attendance.read_bans().await;
    tokio::spawn(essential("account watcher", revalidate_changed(desk.clone(), changes, stop.clone())));
    let tasks = TaskTracker::new();
    let ban_enforcer = BanEnforcer::new(bans, config.limits.proxies());
    let (enforced, stopped) = (ban_enforcer.clone(), stop.clone());
    let enforcing = restarting("ban enforcer", move || enforced.clone().enforce());
    tasks.spawn(async move { stopped.run_until_cancelled_owned(enforcing).await });
    let (router, sockets, channels) = router(&desk, &accounts, ban_enforcer, config)?;
    let (settings, stopped) = (channels_settings(config), stop.clone());
    let cleaning =
        restarting("attachment cleanup", move || storefront_and_portal::clean_up(settings.clone(), clock.clone()));
    tasks.spawn(async move { stopped.run_until_cancelled_owned(cleaning).await });
    if let OpenStore::Mongo(store) = &store {
        let (store, desk, stop) = (store.clone(), desk.clone(), stop.clone());
        let import = move || import_old_messages(store.clone(), desk.clone(), stop.clone());
        tasks.spawn(restarting("import of the old server's messages", import));
    }
    for listener in listeners {
        let (router, stop, served) = (router.clone(), stop.clone(), tasks.clone());
        let accepting = async move { net::serve(&listener, router, stop, served).await };
        tasks.spawn(essential("accept loop", accepting));
    }
    stop.cancelled().await;
    finish("draining connections", desk.attendance.drain()).await;
    finish("closing sockets", async {
        let ((), ()) = tokio::join!(sockets.close(), channels.close());
    })
    .await;
    tasks.close();
    finish("closing connections", tasks.wait()).await;
    finish("writing the last messages", desk.close()).await;
    finish("sending mails", accounts.close()).await;
    finish("persisting cursors and receipts", desk.delivery.flush()).await;
    finish("closing the store", store.close()).await;
    drop(lock);
    Ok(())
}

fn channels_settings(config: &Config) -> ChannelsSettings {
    let (listen, heartbeat) = (&config.listen, config.heartbeat.heartbeat());
    config.channels.settings(config.store.location().file(), &listen.client_urls, heartbeat)
}

/// All faces, behind the middleware that they share.
fn router(
    desk: &Desk,
    accounts: &Arc<Accounts>,
    ban_enforcer: BanEnforcer,
    config: &Config,
) -> anyhow::Result<(Router, SocketIo, channels::Sockets)> {
    let limits = Arc::new(config.limits.limits(config.demo));
    let settings = config.socketio.settings(config.heartbeat.heartbeat());
    let (socketio, sockets, gate, polls) =
        dashboard::socketio::layer(desk, accounts.clone(), limits.clone(), ban_enforcer.clone(), &settings);
    let (dialects, channels) =
        storefront_and_portal::routes(desk.clone(), accounts.clone(), limits.clone(), channels_settings(config));
    let origins = config.listen.origins();
    let limits = RequestLimits { limits, accounts: accounts.clone() };
    let checks = Checks { ban_enforcer, origins: origins.clone(), limits };
    let router = Router::new()
        .merge(dialects)
        .merge(rest::routes(desk.clone(), accounts.clone()))
        .merge(ops::routes(desk.clone()))
        .merge(console::routes())
        .layer(axum::middleware::from_fn(faces::limit_histories))
        .layer(axum::middleware::from_fn(faces::refuse_head))
        .layer(socketio)
        .layer(axum::middleware::from_fn_with_state(polls, socketio::carry))
        .layer(axum::middleware::from_fn_with_state(gate, socketio::guard))
        .layer(axum::middleware::from_fn_with_state(checks, faces::check_request));
    let router = net::add_layers(router, &origins, config.limits.proxies(), &config.listen.public_urls)?;
    Ok((router, sockets, channels))
}

/// Revalidates open sockets at once when this process changes an account.
async fn revalidate_changed(desk: Desk, mut changes: broadcast::Receiver<UserId>, stop: CancellationToken) {
    loop {
        let change = tokio::select! {
            () = stop.cancelled() => return,
            change = changes.recv() => change,
        };
        match change {
            Ok(user) => desk.attendance.account_changed(user).await,
            // The desk revalidates everybody twice a second anyway.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Imports messages that the replaced server writes while both run.
async fn import_old_messages(store: Arc<MongoStore>, desk: Desk, stop: CancellationToken) {
    let append = |drafts| desk.log.ingest(drafts).boxed();
    while stop.run_until_cancelled(tokio::time::sleep(IMPORT_INTERVAL)).await.is_some() {
        match stop.run_until_cancelled(store.pick_up(&append)).await {
            None | Some(Ok(0)) => {}
            Some(Ok(taken)) => tracing::info!(taken, "Imported {taken} messages of the old server into the log"),
            Some(Err(error)) => tracing::warn!(%error, "Could not read new messages of the old server"),
        }
    }
}

/// Runs one shutdown step, up to [`STEP_TIMEOUT`].
async fn finish(step: &str, work: impl Future<Output = ()>) {
    if tokio::time::timeout(STEP_TIMEOUT, work).await.is_err() {
        tracing::warn!("Timed out while stopping: {step}");
    }
}
