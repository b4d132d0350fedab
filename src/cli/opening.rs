//! Opening the store of a server: waits for one that is away, and takes in what the replaced server has left there.
//!
//! The listeners answer meanwhile: `/livez` that the server runs, everything else that it is not ready.

use std::time::Duration;

use anyhow::Context;
use futures_util::future::join_all;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::faces::ops;
use crate::net;
use crate::rig::Bar;
use crate::store::{OpenStore, StoreError, StoreLocation};

/// How long to wait before a store that was away is tried again. A try takes up to five seconds itself.
const PAUSE: Duration = Duration::from_secs(2);

/// How long connections that were told to wait may take to end.
const LEAVE: Duration = Duration::from_secs(1);

/// Opens the store; `None` if `stop` comes first.
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
        tracing::debug!("A connection from before the store was open is still there");
    }
    store.transpose().with_context(|| format!("opening the store, {location}"))
}

async fn ready(location: &StoreLocation) -> Result<OpenStore, StoreError> {
    let mut store = None;
    loop {
        match try_ready(location, &mut store).await {
            Err(StoreError::Unavailable(why)) if location.file().is_none() => {
                tracing::warn!(error = why, "Waiting for the store, {location}");
                tokio::time::sleep(PAUSE).await;
            }
            done => return done,
        }
    }
}

/// One try. Keeps what it has opened, for the next one.
async fn try_ready(location: &StoreLocation, store: &mut Option<OpenStore>) -> Result<OpenStore, StoreError> {
    let opened = match store.take() {
        Some(opened) => opened,
        None => location.open().await?,
    };
    let opened = store.insert(opened);
    let progress = Bar::of("Taking in old messages", 0);
    let taken = opened.migrate(&|done, total| progress.set(done, total)).await?;
    drop(progress);
    if taken > 0 {
        tracing::info!(taken, "Took {taken} messages of the old server into the log");
    }
    Ok(opened.clone())
}
