//! Copies everything that belongs to people.

use super::{End, ImportError, Moved};
use crate::domain::{Clock as _, SystemClock, UserId};
use crate::store::{MAX_PAGE, RestoreError, SaveProfileError};

/// Accounts, what the replaced server has noted of them, and profiles.
pub(super) async fn move_people(from: &End, to: &End, moved: &mut Moved) -> Result<(), ImportError> {
    let mut after: Option<UserId> = None;
    loop {
        let page = from.maintenance.users_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        let ids: Vec<UserId> = page.iter().map(|user| user.id).collect();
        for user in page {
            moved.users += u64::from(to.maintenance.restore_user(user).await?);
        }
        for (user, google_id) in from.maintenance.google_ids(&ids).await? {
            to.maintenance.restore_google_id(user, &google_id).await?;
        }
    }
    for id in from.stores.users.desk_ids().await? {
        to.maintenance.add_desk_id(id).await?;
    }
    let mut after: Option<UserId> = None;
    loop {
        let page = from.maintenance.profiles_after(after, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.user);
        let users: Vec<UserId> = page.iter().map(|profile| profile.user).collect();
        let there = to.stores.profiles.profiles(&users).await?;
        for profile in page.into_iter().filter(|profile| there.iter().all(|there| there.user != profile.user)) {
            let what = format!("somebody else with the username or session of {}", profile.user);
            to.stores.profiles.save_profile(profile).await.map_err(|error| match error {
                SaveProfileError::Taken => RestoreError::Occupied(what),
                SaveProfileError::Store(error) => error.into(),
            })?;
            moved.profiles += 1;
        }
    }
}

/// Who is shut out for a time, as far as there is room.
pub(super) async fn move_bans(from: &End, to: &End) -> Result<(), ImportError> {
    let now = SystemClock.now();
    for ban in from.stores.bans.bans(now).await? {
        to.stores.bans.save_ban(ban, now).await?;
    }
    Ok(())
}

/// How far everybody has been delivered to.
pub(super) async fn move_delivered(from: &End, to: &End) -> Result<(), ImportError> {
    let mut user: Option<UserId> = None;
    loop {
        let page = from.maintenance.users_after(user, MAX_PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        user = Some(last.id);
        for user in page {
            let mut after = None;
            loop {
                let marks = from.maintenance.delivered_after(user.id, after, MAX_PAGE).await?;
                let Some(last) = marks.last() else { break };
                after = Some(last.conversation);
                to.stores.conversations.advance_delivered(marks).await?;
            }
        }
    }
}
