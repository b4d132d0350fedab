//! Which tokens of an account are valid.

use super::people::account;
use super::{later, someone};
use crate::domain::{AccountStatus, Role, Sessions, TokenDigest, TokenStamp, User};
use crate::store::{SessionsChange, Stores, UserChange};

fn token(n: u8, issued_at: i64) -> TokenStamp {
    TokenStamp { issued_at: Some(issued_at), digest: TokenDigest::from_bytes([n; 16]) }
}

async fn change(stores: &Stores, change: UserChange, second: i64) -> User {
    let changed = stores.users.update_user(someone(1), change, later(second)).await.unwrap().unwrap();
    assert_eq!(stores.users.user(someone(1)).await.unwrap().as_ref(), Some(&changed));
    changed
}

async fn end(stores: &Stores, sessions: SessionsChange, second: i64) -> Sessions {
    change(stores, UserChange { sessions, ..UserChange::default() }, second).await.sessions
}

pub(crate) async fn tokens_are_ended_one_by_one_and_all_at_once(stores: Stores) {
    let ann = stores.users.create_user(account(1, "ann@x.test", Role::Customer)).await.unwrap();
    assert_eq!(ann.sessions, Sessions::default());
    let now = later(0).seconds();
    let (first, second) = (token(1, now), token(2, now));
    let sessions = end(&stores, SessionsChange::EndOne(first.digest, later(60)), 1).await;
    assert!(!sessions.accepts(&first) && sessions.accepts(&second));
    let sessions = end(&stores, SessionsChange::EndOne(second.digest, later(90)), 60).await;
    assert_eq!(
        sessions.ended.keys().copied().collect::<Vec<_>>(),
        [second.digest],
        "expired tokens are not remembered"
    );
    let mut last = sessions;
    for _ in 0..3 {
        let issued = token(3, last.issue_time(later(61)).seconds());
        assert!(last.accepts(&issued));
        last = end(&stores, SessionsChange::EndAll, 61).await;
        assert!(!last.accepts(&issued) && !last.accepts(&second), "also in the same second");
        assert!(last.ended.is_empty());
    }
}

pub(crate) async fn all_tokens_are_ended_as_often_as_it_is_requested_at_once(stores: Stores) {
    stores.users.create_user(account(1, "ann@x.test", Role::Customer)).await.unwrap();
    let ending = [(); 5].map(|()| {
        let users = stores.users.clone();
        let change = UserChange { sessions: SessionsChange::EndAll, ..UserChange::default() };
        tokio::spawn(async move { users.update_user(someone(1), change, later(1)).await.unwrap().unwrap() })
    });
    let mut starts = Vec::new();
    for ended in ending {
        starts.push(ended.await.unwrap().sessions.valid_from);
    }
    starts.sort_unstable();
    // A token that was issued between two of them is not valid after the second one.
    assert_eq!(starts, (1..=5).map(|n| later(1).seconds() + n).collect::<Vec<_>>());
}

pub(crate) async fn a_new_password_and_a_block_end_all_tokens(stores: Stores) {
    stores.users.create_user(account(1, "ann@x.test", Role::Customer)).await.unwrap();
    let status = |status| UserChange { status: Some(status), ..UserChange::default() };
    let renamed = change(&stores, UserChange { name: Some("Una".into()), ..UserChange::default() }, 1).await;
    assert_eq!(renamed.sessions, Sessions::default());
    let mut issued = token(1, later(1).seconds());
    for change_of in
        [UserChange { password_hash: Some("$hash".into()), ..UserChange::default() }, status(AccountStatus::Blocked)]
    {
        let changed = change(&stores, change_of, 1).await;
        assert!(!changed.sessions.accepts(&issued));
        issued = token(1, changed.sessions.issue_time(later(1)).seconds());
        assert!(changed.sessions.accepts(&issued));
    }
    let let_in = change(&stores, status(AccountStatus::Active), 2).await;
    assert!(
        !let_in.sessions.accepts(&token(1, later(1).seconds())),
        "after an unblock, the account has to log in again"
    );
    assert!(let_in.sessions.accepts(&issued));
}
