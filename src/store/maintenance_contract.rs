//! The contract of `Maintenance`: a store is filled, copied into another, and copied again.

use super::{
    Appended, DeliveredCursor, MovedCursors, NewUser, OpenStore, ProfileChange, Receipt, RestoreError, SessionsChange,
    UserChange,
};
use crate::domain::{
    AccountStatus, Attachment, Conversation, ConversationId, DeskId, Draft, DraftKind, Entry, Members, MessageBody,
    MessageExtras, MessageId, PendingCodes, Profile, ReceiptCursor, Role, Seq, Side, Status, Target, Timestamp,
    TokenDigest, UserId,
};
use crate::import::{End, ImportError, Moved, compare, count_entries, import};
use crate::verify::{Repair, verify};

const START: Timestamp = Timestamp::from_millis(1_795_249_336_000);

fn someone(n: u8) -> UserId {
    UserId::from_bytes([n; 12])
}

fn draft(conversation: &Conversation, author: u8, side: Side, kind: DraftKind) -> Draft {
    Draft { conversation: conversation.id, author: someone(author), side, at: START, kind }
}

fn say(conversation: &Conversation, author: u8, side: Side, text: &str) -> Draft {
    let kind = DraftKind::Message {
        id: MessageId::generate(START),
        body: MessageBody::stored(text.to_owned()),
        client_id: (side == Side::Customer).then(|| format!("c-{text}").parse().unwrap()),
        extras: None,
    };
    draft(conversation, author, side, kind)
}

async fn append(store: &OpenStore, draft: Draft) -> Entry {
    match store.stores().conversations.append(vec![draft]).await.remove(0).unwrap() {
        Appended::New(entry) => entry,
        other => panic!("expected a new entry, got {other:?}"),
    }
}

async fn add_user(store: &OpenStore, n: u8, role: Role) {
    let new = NewUser {
        id: someone(n),
        name: format!("Someone {n}"),
        // One is a visitor.
        email: (n != 2).then(|| format!("{n}@x.test").parse().unwrap()),
        password_hash: Some("$2b$10$hash".into()),
        role,
        status: AccountStatus::Active,
        pending_codes: PendingCodes::new(),
        profile: Profile { session: (n == 2).then(|| "digest".into()), ..Profile::default() },
        at: START,
    };
    store.stores().users.create_user(new).await.unwrap();
}

/// Ends all sessions of one person, and a single one of another.
async fn end_sessions(store: &OpenStore) {
    let one = SessionsChange::EndOne(TokenDigest::from_bytes([5; 16]), START);
    for (n, sessions) in [(1, SessionsChange::EndAll), (9, one)] {
        let change = UserChange { sessions, ..UserChange::default() };
        store.stores().users.update_user(someone(n), change, START).await.unwrap();
    }
}

/// The second message answers the first, the fifth is sent with a file.
fn extras_of(i: u64, before: &[Target]) -> Option<Box<MessageExtras>> {
    let file = || Attachment { file: "kept".into(), name: "a b.txt".into(), media_type: "text/plain".into(), size: 2 };
    let reply_to = (i == 2).then(|| before[0].number);
    MessageExtras { reply_to, attachment: (i == 5).then(file) }.boxed()
}

/// Two support conversations and a direct one, with entries of every kind.
pub(crate) async fn fill(store: &OpenStore) -> Conversation {
    for (n, role) in [(1, Role::Customer), (2, Role::Customer), (9, Role::Admin)] {
        add_user(store, n, role).await;
    }
    let conversations = store.stores().conversations;
    let ann = conversations.open(Members::Support { customer: someone(1) }, START).await.unwrap();
    let bob = conversations.open(Members::Support { customer: someone(2) }, START).await.unwrap();
    let pair = conversations.open(Members::direct(someone(1), someone(2)), START).await.unwrap();
    let (mut anns, mut bobs) = (Vec::new(), Vec::new());
    for i in 1..=5 {
        let mut draft = say(&ann, 1, Side::Customer, &format!("ann {i}"));
        if let DraftKind::Message { extras, .. } = &mut draft.kind {
            *extras = extras_of(i, &anns);
        }
        anns.push(append(store, draft).await.as_target().unwrap());
        bobs.push(append(store, say(&bob, 2, Side::Customer, &format!("bob {i}"))).await.as_target().unwrap());
    }
    append(store, draft(&ann, 9, Side::Desk, DraftKind::Read { up_to: Seq::new(3) })).await;
    append(store, say(&ann, 9, Side::Desk, "answer")).await;
    append(store, draft(&bob, 9, Side::Desk, DraftKind::ChangeStatus { status: Status::Closed })).await;
    append(store, say(&pair, 1, Side::Customer, "between us")).await;
    let edit = DraftKind::Edit { target: anns[0], body: MessageBody::stored("ann, once more".into()) };
    append(store, draft(&ann, 1, Side::Customer, edit)).await;
    append(store, draft(&ann, 9, Side::Desk, DraftKind::Delete { target: anns[3] })).await;
    append(store, draft(&bob, 2, Side::Customer, DraftKind::Delete { target: bobs[4] })).await;
    let delivered = vec![DeliveredCursor { conversation: ann.id, user: someone(1), up_to: Seq::new(4) }];
    let cursor = ReceiptCursor { sent: Seq::new(5), delivered: Seq::new(4) };
    let receipts = vec![Receipt { conversation: ann.id, side: Side::Desk, cursor }];
    conversations.advance_cursors(MovedCursors { delivered, receipts }).await.unwrap();
    add_profile(store).await;
    end_sessions(store).await;
    ann
}

/// Adds a profile, and a `googleId` as the replaced server stored it.
async fn add_profile(store: &OpenStore) {
    let profile = ProfileChange { username: Some("ann".into()), phone: Some("1".into()), ..ProfileChange::default() };
    let change = UserChange { profile, ..UserChange::default() };
    store.stores().users.update_user(someone(1), change, START).await.unwrap();
    store.maintenance().unwrap().restore_google_id(someone(2), "1122334455").await.unwrap();
}

async fn found(store: &OpenStore, repair: Repair) -> (Vec<String>, u64, u64) {
    let mut findings = Vec::new();
    let (stores, maintenance) = (store.stores(), store.maintenance().unwrap());
    let tell = |finding: &crate::verify::Finding| findings.push(finding.to_string());
    let report = verify(&*stores.conversations, &*maintenance, repair, tell, |_| ()).await.unwrap();
    (findings, report.repaired, report.left)
}

/// Copies one store into the other, which then has everything and continues from there.
pub(crate) async fn a_store_is_copied_into_another_and_works_there(one: &OpenStore, other: &OpenStore) {
    let ann = fill(one).await;
    let (from, to) = (End::of(one).unwrap(), End::of(other).unwrap());
    // As after an earlier run that was stopped before it came to the edits and deletions of these.
    let first = from.stores.conversations.entries_after(ann.id, Seq::ZERO, 3).await.unwrap();
    to.maintenance.restore(ann, first).await.unwrap();
    let desk = [9, 7].map(|n| DeskId { user: someone(n), number: u64::from(n) });
    from.stores.users.pin_desk(desk[0]).await.unwrap();
    from.maintenance.add_desk_id(desk[1]).await.unwrap();
    let moved = import(&from, &to, None, |_| ()).await.unwrap();
    let there = Moved { conversations: 3, attachments: 1, files_missing: 1, ..Moved::default() };
    assert_eq!(moved, Moved { users: 3, profiles: 2, entries: 14, extras: 1, ..there });
    assert_eq!(count_entries(&to).await.unwrap(), 17);
    assert_eq!(compare(&from, &to, |_| ()).await.unwrap(), 17);
    assert_eq!(found(other, Repair::No).await, (vec![], 0, 0));
    let again = import(&from, &to, None, |_| ()).await.unwrap();
    assert_eq!(again, there, "a second run changes nothing");
    assert_eq!(to.stores.users.desk_ids().await.unwrap(), desk, "customers reach the desk by all the ids they know");
    assert_eq!(
        to.maintenance.google_ids(&[someone(1), someone(2)]).await.unwrap(),
        [(someone(2), "1122334455".into())]
    );

    let kept = one.stores().conversations.append(vec![say(&ann, 1, Side::Customer, "ann 1")]).await.remove(0).unwrap();
    let moved =
        other.stores().conversations.append(vec![say(&ann, 1, Side::Customer, "ann 1")]).await.remove(0).unwrap();
    assert!(
        matches!(&moved, Appended::Already(_)),
        "a message that was sent before the move is not stored again after it"
    );
    assert_eq!(kept, moved);
    let new = append(other, say(&ann, 1, Side::Customer, "after the move")).await;
    assert_eq!(new.seq, Seq::new(10));
    let log = other.stores().conversations.entries_after(ann.id, Seq::ZERO, 100).await.unwrap();
    let mut numbers: Vec<_> = log.iter().filter_map(Entry::message).map(|message| message.number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 7, "no number is assigned twice");
    assert!(matches!(compare(&from, &to, |_| ()).await, Err(ImportError::Differs(_))), "the stores differ now");

    let fresh = to.maintenance.fresh_conversation_number().await.unwrap();
    assert_eq!(to.stores.conversations.summary_by_number(fresh).await.unwrap(), None);
    let members = Members::Support { customer: someone(7) };
    let put_back = Conversation { id: ConversationId::from_bytes([7; 12]), number: fresh, uuid: 7, members, ..ann };
    to.maintenance.restore(put_back, vec![]).await.unwrap();
    assert_eq!(to.stores.conversations.find(members).await.unwrap(), Some(put_back));
    let next = to.stores.conversations.open(Members::Support { customer: someone(8) }, START).await.unwrap();
    assert_ne!(next.number, fresh);

    append(one, say(&ann, 1, Side::Customer, "meanwhile in the old store")).await;
    let refused = import(&from, &to, None, |_| ()).await;
    let is_refused = matches!(&refused, Err(ImportError::Restore(RestoreError::Occupied(_))));
    assert!(is_refused, "two histories are not mixed: {refused:?}");
}

/// Every wrong projection is found, reported and repaired.
pub(crate) async fn wrong_projections_are_found_and_repaired(store: &OpenStore) {
    let ann = fill(store).await;
    assert_eq!(found(store, Repair::No).await, (vec![], 0, 0));
    let (conversations, maintenance) = (store.stores().conversations, store.maintenance().unwrap());
    let right = conversations.summary(ann.id).await.unwrap().unwrap();
    let mut wrong = right.clone();
    wrong.status = Status::Closed;
    wrong.sides[1].unread = 40;
    wrong.sides[1].read = Seq::new(2);
    wrong.last_message = None;
    assert!(maintenance.repair(&right, &wrong).await.unwrap());
    let id = ann.id;
    let log = conversations.entries_after(id, Seq::ZERO, 100).await.unwrap();
    let (edit, deletion) = (&log[7], &log[8]);
    assert!(maintenance.repair_revision(id, Seq::new(1), Some(edit.seq), None).await.unwrap());
    assert!(maintenance.repair_revision(id, Seq::new(4), Some(deletion.seq), Some(edit)).await.unwrap());
    assert!(maintenance.repair_revision(id, Seq::new(5), None, Some(edit)).await.unwrap());
    assert!(
        !maintenance.repair_revision(id, Seq::new(2), Some(edit.seq), None).await.unwrap(),
        "the stored state is no longer the one that was to be replaced"
    );
    let expected = vec![
        format!("{id}: the status is closed, the log says active"),
        format!("{id}: the last message is none, the log says entry 7 at 1795249336000"),
        format!("{id}: the desk's read mark is 2, the log says 3"),
        format!("{id}: the desk's unread count is 40, the log says 1"),
        format!("{id}: the last change of message 1 is none, the log says entry 8"),
        format!("{id}: the last change of message 4 is entry 8, the log says entry 9"),
        format!("{id}: the last change of message 5 is entry 8, the log says none"),
    ];
    assert_eq!(found(store, Repair::No).await, (expected.clone(), 0, 1));
    assert_eq!(found(store, Repair::WhatFollows).await, (expected, 1, 0));
    assert_eq!(conversations.summary(ann.id).await.unwrap().unwrap(), right);
    assert_eq!(conversations.entries_after(id, Seq::ZERO, 100).await.unwrap(), log);
    assert_eq!(found(store, Repair::No).await, (vec![], 0, 0));
    let mut elsewhere = right.clone();
    elsewhere.last_seq = Seq::new(3);
    assert!(
        !maintenance.repair(&elsewhere, &wrong).await.unwrap(),
        "a conversation that has changed since is not repaired"
    );
}
