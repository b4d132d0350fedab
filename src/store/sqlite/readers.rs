//! A pool of read-only connections.

use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::store::StoreError;

/// How many reads run at once.
const POOL: usize = 2;

pub(super) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let connections = (0..POOL).map(|_| super::connect_read_only(path)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { free: Arc::new(Mutex::new(connections)), permits: Arc::new(Semaphore::new(POOL)) })
    }

    /// Runs a read on one of the connections, off the runtime's threads.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let unavailable = || StoreError::Unavailable("the store is closed".into());
        let permit = self.permits.clone().acquire_owned().await.map_err(|_| unavailable())?;
        let free = self.free.clone();
        let task = tokio::task::spawn_blocking(move || {
            let connection = free.lock().pop().ok_or_else(unavailable)?;
            let result = read(&connection);
            free.lock().push(connection);
            drop(permit);
            result
        });
        task.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}
