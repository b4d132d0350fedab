//! `deskline import`: moves everything from one store into another, entry by entry, and then compares the two.
//!
//! Ids, numbers, seqs and stamps stay as they are. A second run finds everything there and changes nothing, so one that was
//! stopped is simply run again.

use std::sync::Arc;

use crate::domain::{ConversationId, Seq, Side, UserId};
use crate::store::{MAX_PAGE, OpenStore, Receipt, RestoreError, StoreError, Stores, Upkeep};

mod compare;
pub mod django;
#[cfg(test)]
mod tests;

pub use compare::compare;

/// One end of the move.
pub struct End {
    /// The port.
    pub stores: Stores,
    /// What the port does not give.
    pub upkeep: Arc<dyn Upkeep>,
}

impl End {
    /// This store as an end.
    ///
    /// # Errors
    /// [`StoreError`] if its upkeep cannot be opened.
    pub fn of(store: &OpenStore) -> Result<Self, StoreError> {
        Ok(Self { stores: store.stores(), upkeep: store.upkeep()? })
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
    /// The comparison has found something.
    #[error("the stores differ: {0}")]
    Differs(String),
}

/// What was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Accounts that were not there.
    pub users: u64,
    /// Conversations, there or not.
    pub conversations: u64,
    /// Entries that were not there.
    pub entries: u64,
}

/// Puts everything that is in `from` into `to`. Tells how many entries were looked at.
///
/// # Errors
/// [`ImportError`]; what was moved so far stays.
pub async fn import(from: &End, to: &End, mut progress: impl FnMut(u64)) -> Result<Moved, ImportError> {
    let (mut moved, mut looked_at) = (Moved::default(), 0);
    let mut after: Option<UserId> = None;
    loop {
        let page = from.upkeep.users_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        for user in page {
            moved.users += u64::from(to.upkeep.restore_user(user).await?);
        }
    }
    let mut after: Option<ConversationId> = None;
    loop {
        let page = from.upkeep.conversations_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.conversation.id);
        for summary in page {
            moved.conversations += 1;
            let mut seq = Seq::ZERO;
            loop {
                let id = summary.conversation.id;
                let entries = from.stores.conversations.entries_after(id, seq, MAX_PAGE).await?;
                let end = entries.last().map(|entry| entry.seq);
                looked_at += entries.len() as u64;
                moved.entries += to.upkeep.restore(summary.conversation, entries).await?;
                progress(looked_at);
                let Some(end) = end else { break };
                seq = end;
            }
            move_receipts(from, to, summary.conversation.id).await?;
        }
    }
    move_delivered(from, to).await?;
    Ok(moved)
}

async fn move_receipts(from: &End, to: &End, conversation: ConversationId) -> Result<(), ImportError> {
    let reaches = from.stores.conversations.receipts(conversation).await?;
    let receipt = |side: Side| Receipt { conversation, side, reach: reaches[side.index()] };
    let receipts = [Side::Customer, Side::Desk].map(receipt);
    Ok(to.stores.conversations.note_receipts(receipts.to_vec()).await?)
}

async fn move_delivered(from: &End, to: &End) -> Result<(), ImportError> {
    let mut user: Option<UserId> = None;
    loop {
        let page = from.upkeep.users_after(user, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        user = Some(last.id);
        for user in page {
            let mut after = None;
            loop {
                let marks = from.upkeep.delivered_after(user.id, after, MAX_PAGE).await?;
                let Some(last) = marks.last() else { break };
                after = Some(last.conversation);
                to.stores.conversations.set_delivered(marks).await?;
            }
        }
    }
}
