//! Accounts and their profiles.

use super::{START, later, someone};
use crate::domain::{AccountStatus, CodePurpose, DeskId, NameParts, PendingCode, PendingCodes, Profile, Role, User};
use crate::store::{
    CodesChange, NewUser, ProfileChange, SaveUserError, SessionsChange, Stores, UserChange, UserCondition, UserKey,
};

pub(super) fn account(n: u8, email: &str, role: Role) -> NewUser {
    NewUser {
        id: someone(n),
        name: format!("Person {n}"),
        email: Some(email.parse().unwrap()),
        password_hash: None,
        role,
        status: AccountStatus::Active,
        pending_codes: PendingCodes::new(),
        profile: Profile::default(),
        at: later(i64::from(n)),
    }
}

pub(crate) async fn an_email_address_belongs_to_one_account(stores: Stores) {
    let ann = stores.users.create_user(account(1, "ann@x.test", Role::Customer)).await.unwrap();
    let taken = stores.users.create_user(account(2, "ANN@x.test", Role::Customer)).await;
    assert!(matches!(taken, Err(SaveUserError::EmailTaken)), "{taken:?}");
    let bob = stores.users.create_user(account(3, "bob@x.test", Role::Customer)).await.unwrap();
    assert_ne!(ann.number, bob.number);
    let change = UserChange { email: ann.email.clone(), ..UserChange::default() };
    assert!(matches!(stores.users.update_user(bob.id, change, later(9)).await, Err(SaveUserError::EmailTaken)));
    let visitor = |n| NewUser { email: None, ..account(n, "-@-", Role::Customer) };
    stores.users.create_user(visitor(4)).await.unwrap();
    stores.users.create_user(visitor(5)).await.unwrap();
    let found = stores.users.find_user(UserKey::Email(&"ann@x.test".parse().unwrap())).await.unwrap();
    assert_eq!(found, Some(ann));
}

pub(crate) async fn accounts_change_and_are_deleted(stores: Stores) {
    let ann = stores.users.create_user(account(1, "ann@x.test", Role::Customer)).await.unwrap();
    let change = UserChange { status: Some(AccountStatus::Blocked), ..UserChange::default() };
    let blocked = stores.users.update_user(ann.id, change, later(9)).await.unwrap().unwrap();
    let sessions = blocked.sessions.clone();
    let expected = User { status: AccountStatus::Blocked, updated_at: later(9), sessions, ..ann.clone() };
    assert_eq!(blocked, expected);
    assert_eq!(stores.users.user(ann.id).await.unwrap(), Some(expected));
    assert_eq!(stores.users.find_user(UserKey::Number(ann.number)).await.unwrap().map(|user| user.id), Some(ann.id));
    for nobody in [0, ann.number + 1, u64::MAX] {
        assert_eq!(stores.users.find_user(UserKey::Number(nobody)).await.unwrap(), None);
    }
    assert_eq!(stores.users.users(&[ann.id, someone(8)]).await.unwrap().len(), 1);
    assert!(stores.users.delete_user(ann.id).await.unwrap());
    assert!(!stores.users.delete_user(ann.id).await.unwrap());
    assert_eq!(stores.users.user(ann.id).await.unwrap(), None);
    assert!(stores.users.update_user(ann.id, UserChange::default(), later(9)).await.unwrap().is_none());
}

pub(crate) async fn codes_for_different_purposes_are_kept_apart(stores: Stores) {
    let code = |digest: &str| PendingCode { digest: digest.into(), expires_at: later(60), failures: 2 };
    let mut expected = PendingCodes::from([(CodePurpose::VerifyEmail, code("verify"))]);
    let new = NewUser { pending_codes: expected.clone(), ..account(1, "ann@x.test", Role::Agent) };
    let ann = stores.users.create_user(new).await.unwrap();
    assert_eq!(ann.pending_codes, expected);
    for (change, left) in [
        (CodesChange::Put(CodePurpose::LogIn, code("first")), 2),
        (CodesChange::Put(CodePurpose::ResetPassword, code("reset")), 3),
        (CodesChange::Put(CodePurpose::LogIn, code("second")), 3),
        (CodesChange::Remove(CodePurpose::ResetPassword), 2),
        (CodesChange::Keep, 2),
        (CodesChange::RemoveAll, 0),
    ] {
        change.clone().make(&mut expected);
        let change = UserChange { codes: change, ..UserChange::default() };
        let changed = stores.users.update_user(ann.id, change, later(9)).await.unwrap().unwrap();
        assert_eq!((&changed.pending_codes, changed.pending_codes.len()), (&expected, left));
        assert_eq!(stores.users.user(ann.id).await.unwrap(), Some(changed));
    }
}

pub(crate) async fn accounts_come_in_pages(stores: Stores) {
    for n in 1..=5 {
        stores.users.create_user(account(n, &format!("p{n}@x.test"), Role::Customer)).await.unwrap();
    }
    stores.users.create_user(account(6, "agent@x.test", Role::Agent)).await.unwrap();
    let page = stores.users.users_of_role(Role::Customer, 3, 10).await.unwrap();
    assert_eq!(
        (page.total, page.users.iter().map(|user| user.id).collect::<Vec<_>>()),
        (5, vec![someone(4), someone(5)])
    );
    assert!(stores.users.users_of_role(Role::Customer, u64::MAX, 10).await.unwrap().users.is_empty());
}

pub(crate) async fn the_first_agent_is_the_first_admin_who_is_not_blocked(stores: Stores) {
    let identity = async || stores.users.first_agent().await.unwrap().map(|user| user.id);
    assert_eq!(identity().await, None);
    stores.users.create_user(account(1, "agent@x.test", Role::Agent)).await.unwrap();
    assert_eq!(identity().await, Some(someone(1)));
    stores.users.create_user(account(2, "first@x.test", Role::Admin)).await.unwrap();
    stores.users.create_user(account(3, "second@x.test", Role::Admin)).await.unwrap();
    assert_eq!(identity().await, Some(someone(2)));
    let block = UserChange { status: Some(AccountStatus::Blocked), ..UserChange::default() };
    stores.users.update_user(someone(2), block, later(9)).await.unwrap();
    assert_eq!(identity().await, Some(someone(3)));
}

pub(crate) async fn a_change_that_spares_blocked_accounts_changes_all_others(stores: Stores) {
    stores.users.create_user(account(1, "ann@x.test", Role::Customer)).await.unwrap();
    for (status, is_changed) in
        [(AccountStatus::Unverified, true), (AccountStatus::Active, true), (AccountStatus::Blocked, false)]
    {
        let set = UserChange { status: Some(status), ..UserChange::default() };
        stores.users.update_user(someone(1), set, later(1)).await.unwrap();
        let condition = UserCondition { unless_blocked: true, ..UserCondition::default() };
        let activate = UserChange { status: Some(AccountStatus::Active), condition, ..UserChange::default() };
        let changed = stores.users.update_user(someone(1), activate, later(2)).await.unwrap();
        assert_eq!(changed.map(|user| user.status), is_changed.then_some(AccountStatus::Active), "{status:?}");
    }
    let user = stores.users.user(someone(1)).await.unwrap();
    assert_eq!(user.unwrap().status, AccountStatus::Blocked);
}

pub(crate) async fn an_id_of_the_desk_is_pinned_once_and_never_removed(stores: Stores) {
    let desk = |n: u8| DeskId { user: someone(n), number: u64::from(n) };
    assert_eq!(stores.users.desk_ids().await.unwrap(), []);
    let racing = (1..=20).map(|n| {
        let users = stores.users.clone();
        tokio::spawn(async move { users.pin_desk(desk(n)).await.unwrap() })
    });
    let racing: Vec<_> = racing.collect();
    let mut pinned = Vec::new();
    for one in racing {
        pinned.push(one.await.unwrap());
    }
    let ids = stores.users.desk_ids().await.unwrap();
    assert_eq!(ids.len(), 1);
    assert!(pinned.iter().all(|seen| *seen == ids), "all callers get the same: {pinned:?}");
    stores.users.delete_user(ids[0].user).await.unwrap();
    assert_eq!(stores.users.pin_desk(desk(99)).await.unwrap(), ids);
}

pub(crate) async fn accounts_are_found_by_session_and_username(stores: Stores) {
    let users = &stores.users;
    let profile = Profile {
        username: Some("ann".into()),
        name_parts: Some(NameParts::new("Mary Ann", "")),
        contact_email: "ann@x.test".into(),
        phone: "1".into(),
        birth_date: Some("1990-02-28".parse().unwrap()),
        session: Some("digest".into()),
    };
    let new = NewUser { profile: profile.clone(), ..account(1, "1@x.test", Role::Customer) };
    let ann = users.create_user(new).await.unwrap();
    assert_eq!((&ann.profile, users.user(ann.id).await.unwrap()), (&profile, Some(ann.clone())));
    for n in [2, 3] {
        let plain = users.create_user(account(n, &format!("{n}@x.test"), Role::Customer)).await.unwrap();
        assert_eq!(plain.profile, Profile::default());
    }
    let find = async |key| users.find_user(key).await.unwrap();
    assert_eq!(find(UserKey::Session("digest")).await, Some(ann.clone()));
    assert_eq!(find(UserKey::Username("ann")).await, Some(ann.clone()));
    for nobody in [UserKey::Session(""), UserKey::Username(""), UserKey::Session("ann"), UserKey::Username("digest")] {
        assert_eq!(find(nobody).await, None);
    }

    let change = |profile| UserChange { profile, ..UserChange::default() };
    let named = |name: &str| change(ProfileChange { username: Some(name.into()), ..ProfileChange::default() });
    let stolen = users.update_user(someone(2), named("ann"), START).await;
    assert!(matches!(stolen, Err(SaveUserError::UsernameTaken)));
    for taken in [
        Profile { username: Some("ann".into()), ..Profile::default() },
        Profile { session: Some("digest".into()), ..Profile::default() },
    ] {
        let refused = users.create_user(NewUser { profile: taken, ..account(4, "4@x.test", Role::Customer) }).await;
        assert!(matches!(refused, Err(SaveUserError::UsernameTaken)));
        assert_eq!(users.user(someone(4)).await.unwrap(), None, "nothing of a refused account is stored");
    }
    let address = NewUser {
        profile: Profile { username: Some("new".into()), ..Profile::default() },
        ..account(4, "1@x.test", Role::Customer)
    };
    assert!(matches!(users.create_user(address).await, Err(SaveUserError::EmailTaken)));

    let renamed = UserChange { name: Some("Ann".into()), ..UserChange::default() };
    assert_eq!(
        users.update_user(ann.id, renamed, START).await.unwrap().unwrap().profile,
        profile,
        "it does not change"
    );
    let end = ProfileChange { ends_session: true, ..ProfileChange::default() };
    let ann = users.update_user(ann.id, change(end), START).await.unwrap().unwrap();
    let without_session = Profile { session: None, ..profile };
    assert_eq!((&ann.profile, find(UserKey::Session("digest")).await), (&without_session, None));
    assert_eq!(users.users(&[ann.id]).await.unwrap(), std::slice::from_ref(&ann));
    users.update_user(ann.id, named("una"), START).await.unwrap();
    users.update_user(someone(2), named("ann"), START).await.unwrap();
    users.delete_user(someone(2)).await.unwrap();
    assert_eq!(find(UserKey::Username("ann")).await, None);
    users.update_user(someone(3), named("ann"), START).await.unwrap();
}

pub(crate) async fn concurrent_changes_of_a_profile_keep_each_other(stores: Stores) {
    let session = Profile { session: Some("digest".into()), ..Profile::default() };
    let visitor = NewUser { email: None, profile: session, ..account(1, "-@-", Role::Customer) };
    stores.users.create_user(visitor).await.unwrap();
    let born = "1990-02-28".parse().unwrap();
    let changes = [
        ProfileChange { username: Some("ann".into()), ..ProfileChange::default() },
        ProfileChange { name_parts: Some(NameParts::new("Ann", "Lee")), ..ProfileChange::default() },
        ProfileChange { contact_email: Some("ann@x.test".into()), ..ProfileChange::default() },
        ProfileChange { phone: Some("1".into()), ..ProfileChange::default() },
        ProfileChange { birth_date: Some(born), ..ProfileChange::default() },
        ProfileChange { ends_session: true, ..ProfileChange::default() },
    ];
    let changing = changes.map(|profile| {
        let users = stores.users.clone();
        let change = UserChange { profile, ..UserChange::default() };
        tokio::spawn(async move { users.update_user(someone(1), change, later(1)).await.unwrap().unwrap() })
    });
    for done in changing {
        done.await.unwrap();
    }
    let expected = Profile {
        username: Some("ann".into()),
        name_parts: Some(NameParts::new("Ann", "Lee")),
        contact_email: "ann@x.test".into(),
        phone: "1".into(),
        birth_date: Some(born),
        session: None,
    };
    assert_eq!(stores.users.user(someone(1)).await.unwrap().unwrap().profile, expected);
    assert_eq!(stores.users.find_user(UserKey::Session("digest")).await.unwrap(), None);
}

pub(crate) async fn an_account_changes_only_if_the_condition_holds(stores: Stores) {
    let code = |failures| PendingCode { digest: "right".into(), expires_at: later(60), failures };
    let new = NewUser {
        password_hash: Some("$hash".into()),
        pending_codes: PendingCodes::from([(CodePurpose::LogIn, code(1))]),
        ..account(1, "ann@x.test", Role::Agent)
    };
    stores.users.create_user(new).await.unwrap();
    let has_code = |purpose, code| UserCondition { code: Some((purpose, code)), ..UserCondition::default() };
    let has_email = |email: &str| UserCondition { email: Some(email.parse().unwrap()), ..UserCondition::default() };
    let has_hash = |hash: &str| UserCondition { password_hash: Some(hash.into()), ..UserCondition::default() };
    let other = PendingCode { digest: "other".into(), ..code(1) };
    for (condition, holds) in [
        (UserCondition::default(), true),
        (has_email("ann@x.test"), true),
        (has_email("bob@x.test"), false),
        (has_hash("$hash"), true),
        (has_hash("$other"), false),
        (has_code(CodePurpose::LogIn, code(1)), true),
        (has_code(CodePurpose::LogIn, code(2)), false),
        (has_code(CodePurpose::LogIn, other), false),
        (has_code(CodePurpose::ResetPassword, code(1)), false),
        (UserCondition { password_hash: Some("$other".into()), ..has_email("ann@x.test") }, false),
    ] {
        for sessions in [SessionsChange::Keep, SessionsChange::EndAll] {
            let before = stores.users.user(someone(1)).await.unwrap().unwrap();
            let change = UserChange {
                name: Some("Una".into()),
                sessions,
                condition: condition.clone(),
                ..UserChange::default()
            };
            let changed = stores.users.update_user(someone(1), change, later(1)).await.unwrap();
            assert_eq!(changed.is_some(), holds, "{condition:?}");
            let expected = changed.unwrap_or(before);
            assert_eq!(stores.users.user(someone(1)).await.unwrap(), Some(expected), "{condition:?}");
        }
    }
}

pub(crate) async fn a_code_is_redeemed_once_however_many_try(stores: Stores) {
    let code = PendingCode { digest: "right".into(), expires_at: later(60), failures: 0 };
    let pending_codes = PendingCodes::from([(CodePurpose::LogIn, code.clone())]);
    stores.users.create_user(NewUser { pending_codes, ..account(1, "ann@x.test", Role::Agent) }).await.unwrap();
    let redeeming: Vec<_> = (0..20)
        .map(|_| {
            let users = stores.users.clone();
            let condition =
                UserCondition { code: Some((CodePurpose::LogIn, code.clone())), ..UserCondition::default() };
            let codes = CodesChange::Remove(CodePurpose::LogIn);
            let change = UserChange { codes, condition, ..UserChange::default() };
            tokio::spawn(async move { users.update_user(someone(1), change, later(1)).await.unwrap().is_some() })
        })
        .collect();
    let mut redeemed = 0;
    for one in redeeming {
        redeemed += usize::from(one.await.unwrap());
    }
    assert_eq!(redeemed, 1);
}
