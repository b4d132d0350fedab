//! `deskline import`: copies one store into another, entry by entry, and then compares the two.
//!
//! Ids, numbers, seqs and timestamps stay the same. A second run changes nothing, so an interrupted one is simply repeated.

use std::sync::Arc;

use crate::store::{MAX_PAGE, Maintenance, OpenStore, RestoreError, StoreError, Stores};

mod compare;
pub mod django;
mod files;
mod logs;
mod people;
#[cfg(test)]
mod tests;

pub use compare::compare;
pub use files::Folders;

/// A store, as the source or the target.
pub struct End {
    /// Accounts, conversations and bans.
    pub stores: Stores,
    /// Access that only `import` and `verify` need.
    pub maintenance: Arc<dyn Maintenance>,
}

impl End {
    /// Opens the maintenance of a store.
    ///
    /// # Errors
    /// [`StoreError`] if its maintenance cannot be opened.
    pub fn of(store: &OpenStore) -> Result<Self, StoreError> {
        Ok(Self { stores: store.stores(), maintenance: store.maintenance()? })
    }
}

/// Why the import failed, or the stores differ after it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The target has a different record with the same id.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of an attachment could not be copied.
    #[error("copying the attachment {file}")]
    File {
        /// Its name on disk.
        file: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The comparison has found a difference.
    #[error("the stores differ: {0}")]
    Differs(String),
}

/// What was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// New accounts.
    pub users: u64,
    /// New accounts with a profile.
    pub profiles: u64,
    /// Conversations, new or not.
    pub conversations: u64,
    /// New entries.
    pub entries: u64,
    /// New messages with extras.
    pub extras: u64,
    /// Attachments, new or not.
    pub attachments: u64,
    /// New files of attachments.
    pub files: u64,
    /// Files of attachments that are missing, or were not copied because no folders were given.
    pub files_missing: u64,
}

/// The number of entries in a store.
///
/// # Errors
/// [`StoreError`] if it cannot be read.
pub async fn count_entries(end: &End) -> Result<u64, StoreError> {
    let (mut entries, mut after) = (0, None);
    loop {
        let page = end.maintenance.conversations_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(entries) };
        after = Some(last.conversation.id);
        entries += page.iter().map(|summary| summary.last_seq.get()).sum::<u64>();
    }
}

/// Copies everything from `from` to `to`, including the files of attachments if `folders` are given. Reports the progress in entries.
///
/// # Errors
/// [`ImportError`]; what was copied so far stays.
pub async fn import(
    from: &End,
    to: &End,
    folders: Option<&Folders>,
    progress: impl FnMut(u64),
) -> Result<Moved, ImportError> {
    let mut moved = Moved::default();
    people::move_people(from, to, &mut moved).await?;
    logs::move_logs(from, to, folders, &mut moved, progress).await?;
    people::move_delivered(from, to).await?;
    people::move_bans(from, to).await?;
    Ok(moved)
}
