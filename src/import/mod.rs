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

/// One end of the move.
pub struct End {
    /// The port.
    pub stores: Stores,
    /// What the port does not give.
    pub maintenance: Arc<dyn Maintenance>,
}

impl End {
    /// This store as an end.
    ///
    /// # Errors
    /// [`StoreError`] if its maintenance cannot be opened.
    pub fn of(store: &OpenStore) -> Result<Self, StoreError> {
        Ok(Self { stores: store.stores(), maintenance: store.maintenance()? })
    }
}

/// Why the move failed, or the stores are not the same after it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The other store holds something else there.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file of an attachment could not be copied.
    #[error("copying the attachment {file}")]
    File {
        /// Its name in the folder.
        file: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The comparison has found something.
    #[error("the stores differ: {0}")]
    Differs(String),
}

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Accounts that were not there.
    pub users: u64,
    /// Of these accounts, those with a profile.
    pub profiles: u64,
    /// Conversations, there or not.
    pub conversations: u64,
    /// Entries that were not there.
    pub entries: u64,
    /// Messages with something beside their text that was not there.
    pub extras: u64,
    /// Attachments, there or not.
    pub attachments: u64,
    /// Files of attachments that were not there.
    pub files: u64,
    /// Files of attachments that are missing at either end, or were not looked at because nobody named the folders.
    pub files_missing: u64,
}

/// How many entries a store holds.
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

/// Puts everything that is in `from` into `to`, also the files of attachments if their folders are named. Tells how many
/// entries were looked at.
///
/// # Errors
/// [`ImportError`]; what was moved so far stays.
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
