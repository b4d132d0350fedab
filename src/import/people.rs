//! Copies accounts, bans and delivery cursors.

use super::{End, ImportError, Moved};
use crate::domain::{Clock as _, Profile, SystemClock, UserId};
use crate::store::{MAX_PAGE, MovedCursors};

/// Copies accounts, and the ids of the desk.
pub(super) async fn move_people(from: &End, to: &End, moved: &mut Moved) -> Result<(), ImportError> {
    let mut after: Option<UserId> = None;
    loop {
        let page = from.maintenance.users_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let ids: Vec<UserId> = page.iter().map(|user| user.id).collect();
        for user in page {
            let has_profile = user.profile != Profile::default();
            let is_new = to.maintenance.restore_user(user).await?;
            moved.users += u64::from(is_new);
            moved.profiles += u64::from(is_new && has_profile);
        }
        for (user, google_id) in from.maintenance.google_ids(&ids).await? {
            to.maintenance.restore_google_id(user, &google_id).await?;
        }
    }
    for id in from.stores.users.desk_ids().await? {
        to.maintenance.add_desk_id(id).await?;
    }
    Ok(())
}

/// Copies bans, as far as the limit allows.
pub(super) async fn move_bans(from: &End, to: &End) -> Result<(), ImportError> {
    let now = SystemClock.now();
    for ban in from.stores.bans.bans(now).await? {
        to.stores.bans.save_ban(ban, now).await?;
    }
    Ok(())
}

/// Copies delivery cursors.
pub(super) async fn move_delivered(from: &End, to: &End) -> Result<(), ImportError> {
    let mut user: Option<UserId> = None;
    loop {
        let page = from.maintenance.users_after(user, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        user = Some(last.id);
        for user in page {
            let mut after = None;
            loop {
                let delivered = from.maintenance.delivered_after(user.id, after, MAX_PAGE).await?;
                let Some(last) = delivered.last() else { break };
                after = Some(last.conversation);
                let moved = MovedCursors { delivered, ..MovedCursors::default() };
                to.stores.conversations.advance_cursors(moved).await?;
            }
        }
    }
}
