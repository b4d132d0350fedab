//! Copies conversations, entry by entry, and the extras of their messages.

use super::{End, Folders, ImportError, Moved};
use crate::domain::{ConversationId, Entry, MessageId, Seq, Side, Summary};
use crate::store::{MAX_PAGE, Receipt};

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
    Ok(to.stores.conversations.note_receipts(receipts.to_vec()).await?)
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
        // Before the messages: nobody must find one without what goes with it.
        move_extras(from, to, folders, moved, &entries).await?;
        moved.entries += to.maintenance.restore(summary.conversation, entries).await?;
        progress(count);
        let Some(end) = end else { return Ok(()) };
        seq = end;
    }
}

async fn move_extras(
    from: &End,
    to: &End,
    folders: Option<&Folders>,
    moved: &mut Moved,
    entries: &[Entry],
) -> Result<(), ImportError> {
    let messages = messages_of(entries);
    let extras = from.stores.conversations.extras(&messages).await?;
    if extras.is_empty() {
        return Ok(());
    }
    let there = to.stores.conversations.extras(&messages).await?;
    for (message, extras) in extras {
        if let Some(attachment) = &extras.attachment {
            moved.attachments += 1;
            match folders {
                Some(folders) => folders.copy(&attachment.file, moved).await?,
                None => moved.files_missing += 1,
            }
        }
        if there.iter().all(|(known, _)| *known != message) {
            let of = |entry: &&Entry| entry.message().is_some_and(|said| said.id == message);
            if let Some(entry) = entries.iter().find(of) {
                to.stores.conversations.save_extras(message, entry.author, extras).await?;
            }
            moved.extras += 1;
        }
    }
    Ok(())
}

pub(super) fn messages_of(entries: &[Entry]) -> Vec<MessageId> {
    entries.iter().filter_map(Entry::message).map(|message| message.id).collect()
}
