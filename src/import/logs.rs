//! Copies conversations, entry by entry, and the files of their messages.

use super::{End, Folders, ImportError, Moved};
use crate::domain::{ConversationId, Entry, Message, Seq, Side, Summary};
use crate::store::{MAX_PAGE, MovedCursors, Receipt};

pub(super) async fn move_logs(
    from: &End,
    to: &End,
    folders: Option<&Folders>,
    moved: &mut Moved,
    mut progress: impl FnMut(u64),
) -> Result<(), ImportError> {
    let (mut looked_at, mut after): (u64, Option<ConversationId>) = (0, None);
    loop {
        let page = from.maintenance.conversations_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.conversation.id);
        for summary in page {
            moved.conversations += 1;
            move_log(from, to, folders, moved, &summary, |entries| {
                looked_at += entries;
                progress(looked_at);
            })
            .await?;
            move_receipts(from, to, summary.conversation.id).await?;
        }
    }
}

async fn move_receipts(from: &End, to: &End, conversation: ConversationId) -> Result<(), ImportError> {
    let cursors = from.stores.conversations.receipts(conversation).await?;
    let receipt = |side: Side| Receipt { conversation, side, cursor: cursors[side.index()] };
    let receipts = [Side::Customer, Side::Desk].map(receipt);
    let moved = MovedCursors { receipts: receipts.to_vec(), ..MovedCursors::default() };
    Ok(to.stores.conversations.advance_cursors(moved).await?)
}

async fn move_log(
    from: &End,
    to: &End,
    folders: Option<&Folders>,
    moved: &mut Moved,
    summary: &Summary,
    mut progress: impl FnMut(u64),
) -> Result<(), ImportError> {
    let mut seq = Seq::ZERO;
    loop {
        let entries = from.stores.conversations.entries_after(summary.conversation.id, seq, MAX_PAGE).await?;
        let (count, end) = (entries.len() as u64, entries.last().map(|entry| entry.seq));
        copy_files(folders, moved, &entries).await?;
        let with_extras: Vec<bool> =
            entries.iter().map(|entry| entry.message().is_some_and(|it| it.extras.is_some())).collect();
        let restored = to.maintenance.restore(summary.conversation, entries).await?;
        moved.entries += restored;
        // The new ones are the last.
        let new = with_extras.iter().rev().take(usize::try_from(restored).unwrap_or(usize::MAX));
        moved.extras += new.filter(|has_extras| **has_extras).count() as u64;
        progress(count);
        let Some(end) = end else { return Ok(()) };
        seq = end;
    }
}

/// Copies the files that these messages were sent with.
async fn copy_files(folders: Option<&Folders>, moved: &mut Moved, entries: &[Entry]) -> Result<(), ImportError> {
    for attachment in entries.iter().filter_map(Entry::message).filter_map(Message::attachment) {
        moved.attachments += 1;
        match folders {
            Some(folders) => folders.copy(&attachment.file, moved).await?,
            None => moved.files_missing += 1,
        }
    }
    Ok(())
}
