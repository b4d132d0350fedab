//! Opens the store when the server starts: waits until it is available and imports messages of the replaced server.
//!
//! Until then, `/livez` answers 200 and every other route 503.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Progress;
use crate::faces::ops;
use crate::net;
use crate::store::{OpenStore, StoreError, StoreLocation};

/// Pause between two attempts to open the store. An attempt itself takes up to five seconds.
const PAUSE: Duration = Duration::from_secs(2);

/// How long to wait for connections that were answered before the store was open.
const LEAVE: Duration = Duration::from_secs(1);

/// Opens the store. Returns `None` if `stop` is cancelled first.
pub(super) async fn open(
    listeners: &[TcpListener],
    location: &StoreLocation,
    stop: &CancellationToken,
) -> anyhow::Result<Option<OpenStore>> {
    let (opened, tasks) = (stop.child_token(), TaskTracker::new());
    let answering =
        listeners.iter().map(|listener| net::serve(listener, ops::starting_routes(), opened.clone(), tasks.clone()));
    let ready = async {
        let store = stop.run_until_cancelled(ready(location)).await;
        opened.cancel();
        store
    };
    let (store, _) = tokio::join!(ready, join_all(answering));
    tasks.close();
    if tokio::time::timeout(LEAVE, tasks.wait()).await.is_err() {
        tracing::debug!("A connection from before the store was opened is still open");
    }
    store.transpose().with_context(|| format!("opening the store, {location}"))
}

async fn ready(location: &StoreLocation) -> Result<OpenStore, StoreError> {
    let mut store = None;
    loop {
        match try_ready(location, &mut store).await {
            Err(StoreError::Unavailable(why)) if location.file().is_none() => {
                tracing::warn!(error = why, "Waiting for the store: {location}");
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Attempts once to open and migrate the store. A store that was opened is kept for the next attempt.
async fn try_ready(location: &StoreLocation, store: &mut Option<OpenStore>) -> Result<OpenStore, StoreError> {
    let opened = match store.take() {
        Some(opened) => opened,
        None => location.open().await?,
    };
    let opened = store.insert(opened);
    let progress = Progress::of("Importing messages of the old server", 0);
    let taken = opened.migrate(&|done, total| progress.set(done, total)).await?;
    drop(progress);
    if taken > 0 {
        tracing::info!(taken, "Imported {taken} messages of the old server into the log");
    }
    Ok(opened.clone())
}
