//! Compares two stores.

use super::{End, ImportError};
use crate::domain::{Conversation, ConversationId, Seq, User, UserId};
use crate::store::MAX_PAGE;

/// Compares accounts, conversations with their state, every entry, receipts and delivery cursors. Reports the progress in entries, and
/// returns how many were compared.
///
/// # Errors
/// [`ImportError::Differs`] names the first difference.
pub async fn compare(one: &End, other: &End, mut progress: impl FnMut(u64)) -> Result<u64, ImportError> {
    compare_users(one, other).await?;
    let (mut compared, mut after): (u64, Option<ConversationId>) = (0, None);
    loop {
        let page = one.maintenance.conversations_after(after, MAX_PAGE).await?;
        let again = other.maintenance.conversations_after(after, MAX_PAGE).await?;
        if page.len() != again.len() {
            return differs("one has conversations that the other does not have");
        }
        let Some(last) = page.last() else { return Ok(compared) };
        after = Some(last.conversation.id);
        for (summary, again) in page.iter().zip(&again) {
            if summary != again {
                return differs(format!("conversation {}", summary.conversation.id));
            }
            let id = summary.conversation.id;
            if one.stores.conversations.receipts(id).await? != other.stores.conversations.receipts(id).await? {
                return differs(format!("the receipts of conversation {id}"));
            }
            compared += compare_logs(one, other, &summary.conversation).await?;
            progress(compared);
        }
    }
}

async fn compare_logs(one: &End, other: &End, conversation: &Conversation) -> Result<u64, ImportError> {
    let (mut compared, mut seq) = (0, Seq::ZERO);
    loop {
        let page = one.stores.conversations.entries_after(conversation.id, seq, MAX_PAGE).await?;
        let again = other.stores.conversations.entries_after(conversation.id, seq, MAX_PAGE).await?;
        if let Some((entry, _)) = page.iter().zip(&again).find(|(entry, again)| entry != again) {
            return differs(format!("entry {} of conversation {}", entry.seq, conversation.id));
        }
        if page.len() != again.len() {
            return differs(format!("the end of the log of conversation {}", conversation.id));
        }
        let Some(last) = page.last() else { return Ok(compared) };
        compared += page.len() as u64;
        seq = last.seq;
    }
}

async fn compare_users(one: &End, other: &End) -> Result<(), ImportError> {
    let mut after: Option<UserId> = None;
    loop {
        let page = one.maintenance.users_after(after, MAX_PAGE).await?;
        let again = other.maintenance.users_after(after, MAX_PAGE).await?;
        if let Some((user, _)) = page.iter().zip(&again).find(|(user, again)| user != again) {
            return differs(format!("account {}", user.id));
        }
        if page.len() != again.len() {
            return differs("one has accounts that the other does not have");
        }
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.id);
        compare_google_ids(one, other, &page).await?;
        for user in &page {
            compare_delivered(one, other, user.id).await?;
        }
    }
}

async fn compare_google_ids(one: &End, other: &End, users: &[User]) -> Result<(), ImportError> {
    let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
    let mut google_ids = one.maintenance.google_ids(&ids).await?;
    let mut again = other.maintenance.google_ids(&ids).await?;
    google_ids.sort_unstable();
    again.sort_unstable();
    if google_ids == again { Ok(()) } else { differs("a `googleId`") }
}

async fn compare_delivered(one: &End, other: &End, user: UserId) -> Result<(), ImportError> {
    let mut after = None;
    loop {
        let page = one.maintenance.delivered_after(user, after, MAX_PAGE).await?;
        for mark in &page {
            let again = other.stores.conversations.delivered(mark.conversation, user).await?;
            if again != Some(mark.up_to) {
                return differs(format!("the delivery cursor of {user} in {}", mark.conversation));
            }
        }
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.conversation);
    }
}

fn differs<T>(what: impl Into<String>) -> Result<T, ImportError> {
    Err(ImportError::Differs(what.into()))
}
