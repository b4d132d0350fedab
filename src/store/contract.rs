//! What every store must do, as stories that run unchanged over each adapter.
//!
//! An adapter joins with one line: `store_contract!(name, open)`, where `open` is an async function that gives fresh,
//! empty [`Stores`] and something to keep alive for as long as they are used. An adapter that needs a server says
//! `store_contract!(open, when available)`: the stories then run if the function `available` says that there is one.

use std::collections::BTreeSet;

use super::{
    AppendError, Appended, Delivered, ListFor, NewUser, Profile, SaveProfileError, SaveUserError, Stores, SummaryPage,
    UserChange,
};
use crate::domain::{
    AccountStatus, Attachment, Conversation, ConversationId, Draft, DraftKind, Entry, EntryKind, Members, MessageBody,
    MessageExtras, MessageId, Role, Seq, Side, Status, Summary, Timestamp, User, UserId,
};

/// Makes one test per story for an adapter.
macro_rules! store_contract {
    ($open:path) => {
        $crate::store::contract::store_contract!($open, when $crate::store::contract::always);
    };
    ($open:path, when $available:path) => {
        $crate::store::contract::store_contract!(
            $open,
            $available,
            [
                a_hundred_tasks_append_to_one_conversation_without_hole_or_double,
                the_same_client_message_id_gives_the_first_entry_and_changes_nothing,
                the_same_client_message_id_from_two_authors_is_two_messages,
                one_client_message_id_sent_fifty_times_at_once_is_one_message,
                entries_come_in_order_and_in_pages,
                the_newest_messages_come_oldest_first,
                messages_come_in_pages_from_the_beginning,
                a_batch_is_answered_in_its_order,
                an_unknown_conversation_is_told_apart_from_a_failure,
                unread_counts_follow_messages_and_read_marks,
                a_partial_read_leaves_the_rest_unread,
                a_read_mark_that_is_no_news_makes_no_entry,
                the_status_follows_who_spoke_last_and_what_was_set,
                opening_a_conversation_from_many_tasks_gives_one,
                direct_conversations_are_the_same_from_both_ends,
                lists_show_the_newest_message_first_and_only_what_concerns_the_viewer,
                what_was_not_delivered_is_missed_until_it_is,
                stamps_never_run_backwards,
                texts_of_every_kind_come_back_as_they_were,
                an_email_address_belongs_to_one_account,
                accounts_change_and_are_deleted,
                accounts_come_in_pages,
                the_first_admin_who_is_not_blocked_stands_for_the_desk,
                a_conversation_is_found_by_its_uuid_and_its_number,
                a_message_is_found_by_its_number_with_what_goes_with_it,
                support_conversations_come_in_pages_also_empty_ones,
                a_conversation_is_given_to_who_has_none,
                profiles_are_found_by_session_and_username,
                a_token_is_spent_once,
            ]
        );
    };
    ($open:path, $available:path, [$($story:ident),* $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                if !$available() {
                    return;
                }
                let (stores, _kept_alive) = $open().await;
                $crate::store::contract::$story(stores).await;
            }
        )*
    };
}
pub(crate) use store_contract;

/// An embedded store is always there.
pub(crate) const fn always() -> bool {
    true
}

const START: Timestamp = Timestamp::from_millis(1_795_249_336_000);

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START.millis() + seconds * 1000)
}

fn someone(n: u8) -> UserId {
    UserId::from_bytes([n; 12])
}

async fn support(stores: &Stores, customer: u8) -> Conversation {
    stores.conversations.open(Members::Support { customer: someone(customer) }, START).await.unwrap()
}

fn say(conversation: &Conversation, author: u8, side: Side, text: &str) -> Draft {
    let kind = DraftKind::Message {
        id: MessageId::generate(START),
        body: MessageBody::parse(text, 100_000).unwrap(),
        client_id: None,
    };
    Draft { conversation: conversation.id, author: someone(author), side, at: START, kind }
}

fn say_as(conversation: &Conversation, author: u8, client_id: &str, text: &str) -> Draft {
    let mut draft = say(conversation, author, Side::Customer, text);
    if let DraftKind::Message { client_id: given, .. } = &mut draft.kind {
        *given = Some(client_id.parse().unwrap());
    }
    draft
}

fn read(conversation: &Conversation, author: u8, side: Side, up_to: u64) -> Draft {
    let kind = DraftKind::Read { up_to: Seq::new(up_to) };
    Draft { conversation: conversation.id, author: someone(author), side, at: START, kind }
}

async fn append(stores: &Stores, draft: Draft) -> Appended {
    stores.conversations.append(vec![draft]).await.remove(0).unwrap()
}

async fn append_new(stores: &Stores, draft: Draft) -> Entry {
    match append(stores, draft).await {
        Appended::New(entry) => entry,
        other => panic!("expected a new entry, got {other:?}"),
    }
}

async fn log(stores: &Stores, id: ConversationId) -> Vec<Entry> {
    stores.conversations.entries_after(id, Seq::ZERO, 1000).await.unwrap()
}

fn texts(entries: &[Entry]) -> Vec<&str> {
    entries.iter().filter_map(Entry::message).map(|message| message.body.as_str()).collect()
}

pub(crate) async fn a_hundred_tasks_append_to_one_conversation_without_hole_or_double(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let tasks: Vec<_> = (0..100)
        .map(|i| {
            let (stores, draft) = (stores.clone(), say(&conversation, 1, Side::Customer, &format!("message {i}")));
            tokio::spawn(async move { append_new(&stores, draft).await.seq.get() })
        })
        .collect();
    let mut seqs = BTreeSet::new();
    for task in tasks {
        assert!(seqs.insert(task.await.unwrap()), "a seq was given twice");
    }
    assert_eq!(seqs, (1..=100).collect());
    let log = log(&stores, conversation.id).await;
    assert_eq!(log.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    assert_eq!(texts(&log).into_iter().collect::<BTreeSet<_>>().len(), 100, "a text was kept twice");
    let numbers: BTreeSet<_> = log.iter().filter_map(Entry::message).map(|message| message.number).collect();
    assert_eq!(numbers.len(), 100, "an integer id was given twice");
    let summary = stores.conversations.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.last_seq.get(), summary.side(Side::Desk).unread), (100, 100));
}

pub(crate) async fn the_same_client_message_id_gives_the_first_entry_and_changes_nothing(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let first = append_new(&stores, say_as(&conversation, 1, "m1", "first")).await;
    let again = append(&stores, say_as(&conversation, 1, "m1", "changed")).await;
    assert_eq!(again, Appended::Already(first));
    assert_eq!(log(&stores, conversation.id).await.len(), 1);
    assert_eq!(stores.conversations.summary(conversation.id).await.unwrap().unwrap().side(Side::Desk).unread, 1);
}

pub(crate) async fn the_same_client_message_id_from_two_authors_is_two_messages(stores: Stores) {
    let conversation = support(&stores, 1).await;
    append_new(&stores, say_as(&conversation, 1, "m1", "mine")).await;
    append_new(&stores, say_as(&conversation, 2, "m1", "yours")).await;
    assert_eq!(texts(&log(&stores, conversation.id).await), ["mine", "yours"]);
}

pub(crate) async fn one_client_message_id_sent_fifty_times_at_once_is_one_message(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (stores, draft) = (stores.clone(), say_as(&conversation, 1, "storm", "once"));
            tokio::spawn(async move { append(&stores, draft).await })
        })
        .collect();
    let mut new = 0;
    let mut ids = BTreeSet::new();
    for task in tasks {
        let appended = task.await.unwrap();
        new += usize::from(matches!(appended, Appended::New(_)));
        let (Appended::New(entry) | Appended::Already(entry)) = appended else { panic!("no entry") };
        ids.insert(entry.message().unwrap().id);
    }
    assert_eq!((new, ids.len(), log(&stores, conversation.id).await.len()), (1, 1, 1));
}

pub(crate) async fn entries_come_in_order_and_in_pages(stores: Stores) {
    let conversation = support(&stores, 1).await;
    for i in 1..=7 {
        append_new(&stores, say(&conversation, 1, Side::Customer, &i.to_string())).await;
    }
    let page = |after, limit| stores.conversations.entries_after(conversation.id, Seq::new(after), limit);
    assert_eq!(texts(&page(0, 3).await.unwrap()), ["1", "2", "3"]);
    assert_eq!(texts(&page(3, 3).await.unwrap()), ["4", "5", "6"]);
    assert_eq!(texts(&page(6, 3).await.unwrap()), ["7"]);
    assert!(page(7, 3).await.unwrap().is_empty());
    assert!(
        stores.conversations.entries_after(ConversationId::from_bytes([7; 12]), Seq::ZERO, 3).await.unwrap().is_empty()
    );
}

pub(crate) async fn the_newest_messages_come_oldest_first(stores: Stores) {
    let conversation = support(&stores, 1).await;
    for i in 1..=5 {
        append_new(&stores, say(&conversation, 1, Side::Customer, &i.to_string())).await;
    }
    append_new(&stores, read(&conversation, 9, Side::Desk, 5)).await;
    let page = |before: Option<u64>| stores.conversations.messages_before(conversation.id, before.map(Seq::new), 2);
    assert_eq!(texts(&page(None).await.unwrap()), ["4", "5"]);
    assert_eq!(texts(&page(Some(4)).await.unwrap()), ["2", "3"]);
    assert_eq!(texts(&page(Some(2)).await.unwrap()), ["1"]);
}

pub(crate) async fn messages_come_in_pages_from_the_beginning(stores: Stores) {
    let conversation = support(&stores, 1).await;
    for i in 1..=5 {
        append_new(&stores, say(&conversation, 1, Side::Customer, &i.to_string())).await;
        append_new(&stores, read(&conversation, 9, Side::Desk, 9)).await;
    }
    append_new(&stores, say(&support(&stores, 2).await, 2, Side::Customer, "elsewhere")).await;
    let page = async |skip, limit| {
        let page = stores.conversations.messages_from(conversation.id, skip, limit).await.unwrap();
        (texts(&page.messages).join(" "), page.total)
    };
    assert_eq!(page(0, 2).await, ("1 2".into(), 5));
    assert_eq!(page(2, 2).await, ("3 4".into(), 5));
    assert_eq!(page(4, 2).await, ("5".into(), 5));
    assert_eq!(page(0, 0).await, (String::new(), 5));
    for beyond in [5, u64::MAX] {
        assert_eq!(page(beyond, 2).await, (String::new(), 5));
    }
    let nowhere = stores.conversations.messages_from(ConversationId::from_bytes([7; 12]), 0, 3).await.unwrap();
    assert_eq!((nowhere.messages.len(), nowhere.total), (0, 0));
}

pub(crate) async fn a_batch_is_answered_in_its_order(stores: Stores) {
    let (one, two) = (support(&stores, 1).await, support(&stores, 2).await);
    let drafts = vec![
        say(&one, 1, Side::Customer, "a"),
        say(&two, 2, Side::Customer, "b"),
        read(&one, 1, Side::Customer, 9),
        say(&one, 1, Side::Customer, "c"),
    ];
    let answers = stores.conversations.append(drafts).await;
    let seqs: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer.unwrap() {
            Appended::New(entry) => (entry.conversation == one.id, entry.seq.get()),
            Appended::NoNews => (true, 0),
            Appended::Already(_) => panic!("nothing was sent twice"),
        })
        .collect();
    assert_eq!(seqs, [(true, 1), (false, 1), (true, 0), (true, 2)]);
}

pub(crate) async fn an_unknown_conversation_is_told_apart_from_a_failure(stores: Stores) {
    let known = support(&stores, 1).await;
    let unknown = Conversation { id: ConversationId::from_bytes([7; 12]), ..known };
    let drafts = vec![say(&unknown, 1, Side::Customer, "lost"), say(&known, 1, Side::Customer, "kept")];
    let answers = stores.conversations.append(drafts).await;
    assert!(matches!(&answers[0], Err(AppendError::NoConversation(id)) if *id == unknown.id));
    assert!(matches!(&answers[1], Ok(Appended::New(_))), "its neighbour in the batch is kept");
}

pub(crate) async fn unread_counts_follow_messages_and_read_marks(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let unread = |list| stores.conversations.unread(list);
    let (ann, agent) = (ListFor::Customer(someone(1)), ListFor::Agent(someone(9)));
    append_new(&stores, say(&conversation, 1, Side::Customer, "one")).await;
    append_new(&stores, say(&conversation, 1, Side::Customer, "two")).await;
    append_new(&stores, say(&conversation, 9, Side::Desk, "answer")).await;
    assert_eq!((unread(ann).await.unwrap(), unread(agent).await.unwrap()), (1, 2));
    let mark = append_new(&stores, read(&conversation, 9, Side::Desk, 1000)).await;
    assert_eq!(mark.kind, EntryKind::Read { up_to: Seq::new(3) }, "a mark beyond the end covers the whole log");
    assert_eq!((unread(ann).await.unwrap(), unread(agent).await.unwrap()), (1, 0));
}

pub(crate) async fn a_partial_read_leaves_the_rest_unread(stores: Stores) {
    let conversation = support(&stores, 1).await;
    for text in ["one", "two", "three"] {
        append_new(&stores, say(&conversation, 1, Side::Customer, text)).await;
    }
    append_new(&stores, read(&conversation, 9, Side::Desk, 2)).await;
    let summary = stores.conversations.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.side(Side::Desk).unread, summary.side(Side::Desk).read.get()), (1, 2));
}

pub(crate) async fn a_read_mark_that_is_no_news_makes_no_entry(stores: Stores) {
    let conversation = support(&stores, 1).await;
    assert_eq!(append(&stores, read(&conversation, 9, Side::Desk, 1)).await, Appended::NoNews);
    append_new(&stores, say(&conversation, 1, Side::Customer, "one")).await;
    assert_eq!(append(&stores, read(&conversation, 1, Side::Customer, 1)).await, Appended::NoNews);
    append_new(&stores, read(&conversation, 9, Side::Desk, 1)).await;
    assert_eq!(append(&stores, read(&conversation, 9, Side::Desk, 2)).await, Appended::NoNews);
    assert_eq!(log(&stores, conversation.id).await.len(), 2);
}

pub(crate) async fn the_status_follows_who_spoke_last_and_what_was_set(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let status = async || stores.conversations.summary(conversation.id).await.unwrap().unwrap().status;
    append_new(&stores, say(&conversation, 1, Side::Customer, "help")).await;
    assert_eq!(status().await, Status::Waiting);
    append_new(&stores, say(&conversation, 9, Side::Desk, "here")).await;
    assert_eq!(status().await, Status::Active);
    let close =
        Draft { kind: DraftKind::ChangeStatus { status: Status::Closed }, ..read(&conversation, 9, Side::Desk, 0) };
    append_new(&stores, close.clone()).await;
    assert_eq!(status().await, Status::Closed);
    assert_eq!(append(&stores, close).await, Appended::NoNews);
    append_new(&stores, say(&conversation, 1, Side::Customer, "once more")).await;
    assert_eq!(status().await, Status::Waiting);
}

pub(crate) async fn opening_a_conversation_from_many_tasks_gives_one(stores: Stores) {
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let stores = stores.clone();
            tokio::spawn(async move { support(&stores, 1).await })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap().id);
    }
    assert_eq!(ids.len(), 1);
    let found = stores.conversations.find(Members::Support { customer: someone(1) }).await.unwrap();
    assert_eq!(found.map(|conversation| conversation.id), ids.first().copied());
    assert_eq!(stores.conversations.find(Members::Support { customer: someone(2) }).await.unwrap(), None);
}

pub(crate) async fn direct_conversations_are_the_same_from_both_ends(stores: Stores) {
    let open = |one, other| stores.conversations.open(Members::direct(someone(one), someone(other)), START);
    let (one, other) = (open(1, 2).await.unwrap(), open(2, 1).await.unwrap());
    assert_eq!(one, other);
    assert_ne!(open(1, 3).await.unwrap().id, one.id);
    let alone = open(1, 1).await.unwrap();
    append_new(&stores, say(&alone, 1, Side::Customer, "note to self")).await;
    assert_eq!(stores.conversations.unread(ListFor::Customer(someone(1))).await.unwrap(), 0);
}

pub(crate) async fn lists_show_the_newest_message_first_and_only_what_concerns_the_viewer(stores: Stores) {
    let (ann, bob, silent) = (support(&stores, 1).await, support(&stores, 2).await, support(&stores, 3).await);
    let pair = stores.conversations.open(Members::direct(someone(1), someone(2)), START).await.unwrap();
    for (second, draft) in [
        (1, say(&ann, 1, Side::Customer, "ann")),
        (2, say(&bob, 2, Side::Customer, "bob")),
        (3, say(&pair, 1, Side::Customer, "psst")),
        (4, say(&ann, 9, Side::Desk, "answer")),
    ] {
        append_new(&stores, Draft { at: later(second), ..draft }).await;
    }
    let list = async |viewer| -> Vec<ConversationId> {
        let summaries = stores.conversations.list(viewer, 10).await.unwrap();
        summaries.iter().map(|summary| summary.conversation.id).collect()
    };
    assert_eq!(list(ListFor::Agent(someone(9))).await, [ann.id, bob.id]);
    assert_eq!(list(ListFor::Customer(someone(1))).await, [ann.id, pair.id]);
    assert_eq!(list(ListFor::Customer(someone(2))).await, [pair.id, bob.id]);
    assert!(list(ListFor::Customer(someone(3))).await.is_empty(), "nothing was said in {:?}", silent.id);
    let newest = stores.conversations.list(ListFor::Agent(someone(9)), 1).await.unwrap();
    let last = newest[0].last_message.as_ref().unwrap();
    assert_eq!((newest.len(), last.body.as_str(), last.side, last.at), (1, "answer", Side::Desk, later(4)));
}

pub(crate) async fn what_was_not_delivered_is_missed_until_it_is(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let (ann, agent) = (ListFor::Customer(someone(1)), ListFor::Agent(someone(9)));
    let missed = async |list| -> Vec<(u64, u64)> {
        let missed = stores.conversations.missed(list, 10).await.unwrap();
        missed.iter().map(|missed| (missed.after.get(), missed.last_seq.get())).collect()
    };
    let deliver = async |user, up_to| {
        let mark = Delivered { conversation: conversation.id, user: someone(user), up_to: Seq::new(up_to) };
        stores.conversations.set_delivered(vec![mark]).await.unwrap();
    };
    assert!(missed(ann).await.is_empty());
    append_new(&stores, say(&conversation, 9, Side::Desk, "one")).await;
    append_new(&stores, say(&conversation, 9, Side::Desk, "two")).await;
    assert_eq!(missed(ann).await, [(0, 2)]);
    deliver(1, 1).await;
    assert_eq!(missed(ann).await, [(1, 2)]);
    assert_eq!(stores.conversations.delivered(conversation.id, someone(1)).await.unwrap(), Some(Seq::new(1)));
    deliver(1, 2).await;
    assert!(missed(ann).await.is_empty());
    deliver(1, 1).await;
    assert_eq!(missed(ann).await, [(1, 2)], "a delivery that came to nothing is taken back");
    assert_eq!(missed(agent).await, [(0, 2)], "each person is delivered to on their own");
    assert!(missed(ListFor::Customer(someone(2))).await.is_empty());
    append_new(&stores, say(&conversation, 1, Side::Customer, "three")).await;
    append_new(&stores, read(&conversation, 8, Side::Desk, 3)).await;
    assert!(missed(agent).await.is_empty(), "what the desk has read is no news to an agent without a record");
}

pub(crate) async fn stamps_never_run_backwards(stores: Stores) {
    let conversation = support(&stores, 1).await;
    append_new(&stores, Draft { at: later(10), ..say(&conversation, 1, Side::Customer, "one") }).await;
    append_new(&stores, Draft { at: later(5), ..say(&conversation, 1, Side::Customer, "two") }).await;
    let log = log(&stores, conversation.id).await;
    assert!(log[1].at >= log[0].at, "the clock was set back between them");
}

pub(crate) async fn texts_of_every_kind_come_back_as_they_were(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let long = "x".repeat(50_000);
    let kinds = ["é😀\u{200d}\u{202e}", "{\"$ne\":null}", "'; DROP TABLE entries; --", "<script>", "a\r\n\tb", &long];
    for text in kinds {
        append_new(&stores, say(&conversation, 1, Side::Customer, text)).await;
    }
    assert_eq!(texts(&log(&stores, conversation.id).await), kinds);
}

fn account(n: u8, email: &str, role: Role) -> NewUser {
    NewUser {
        id: someone(n),
        name: format!("Person {n}"),
        email: Some(email.parse().unwrap()),
        password_hash: None,
        role,
        status: AccountStatus::Active,
        pending_code: None,
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
    let found = stores.users.user_by_email(&"ann@x.test".parse().unwrap()).await.unwrap();
    assert_eq!(found, Some(ann));
}

pub(crate) async fn accounts_change_and_are_deleted(stores: Stores) {
    let ann = stores.users.create_user(account(1, "ann@x.test", Role::Customer)).await.unwrap();
    let change = UserChange { status: Some(AccountStatus::Blocked), ..UserChange::default() };
    let blocked = stores.users.update_user(ann.id, change, later(9)).await.unwrap().unwrap();
    let expected = User { status: AccountStatus::Blocked, updated_at: later(9), ..ann.clone() };
    assert_eq!(blocked, expected);
    assert_eq!(stores.users.user(ann.id).await.unwrap(), Some(expected));
    assert_eq!(stores.users.user_by_number(ann.number).await.unwrap().map(|user| user.id), Some(ann.id));
    for nobody in [0, ann.number + 1, u64::MAX] {
        assert_eq!(stores.users.user_by_number(nobody).await.unwrap(), None);
    }
    assert_eq!(stores.users.users(&[ann.id, someone(8)]).await.unwrap().len(), 1);
    assert!(stores.users.delete_user(ann.id).await.unwrap());
    assert!(!stores.users.delete_user(ann.id).await.unwrap());
    assert_eq!(stores.users.user(ann.id).await.unwrap(), None);
    assert!(stores.users.update_user(ann.id, UserChange::default(), later(9)).await.unwrap().is_none());
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

pub(crate) async fn the_first_admin_who_is_not_blocked_stands_for_the_desk(stores: Stores) {
    let identity = async || stores.users.support_identity().await.unwrap().map(|user| user.id);
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

pub(crate) async fn a_conversation_is_found_by_its_uuid_and_its_number(stores: Stores) {
    let ann = support(&stores, 1).await;
    support(&stores, 2).await;
    let id = async |found: Option<Summary>| found.map(|summary| summary.conversation);
    assert_eq!(id(stores.conversations.summary_by_uuid(ann.uuid).await.unwrap()).await, Some(ann));
    assert_eq!(id(stores.conversations.summary_by_number(ann.number).await.unwrap()).await, Some(ann));
    assert_eq!(stores.conversations.summary_by_uuid(ann.uuid ^ 1).await.unwrap(), None);
    for nobody in [0, 1_000_000, u64::MAX] {
        assert_eq!(stores.conversations.summary_by_number(nobody).await.unwrap(), None);
    }
}

pub(crate) async fn a_message_is_found_by_its_number_with_what_goes_with_it(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = append_new(&stores, say(&conversation, 1, Side::Customer, "hi")).await;
    append_new(&stores, read(&conversation, 9, Side::Desk, 1)).await;
    let message = said.message().unwrap();
    assert_eq!(stores.conversations.message_by_number(message.number).await.unwrap(), Some(said.clone()));
    for nobody in [0, message.number + 1_000_000, u64::MAX] {
        assert_eq!(stores.conversations.message_by_number(nobody).await.unwrap(), None);
    }
    let file = Attachment { file: "f".into(), name: "a b.txt".into(), media_type: "text/plain".into(), size: 9 };
    for extras in [
        MessageExtras { reply_to: Some(7), attachment: None },
        MessageExtras { reply_to: None, attachment: Some(file.clone()) },
        MessageExtras { reply_to: Some(message.number), attachment: Some(file) },
    ] {
        stores.conversations.save_extras(message.id, extras.clone()).await.unwrap();
        let found = stores.conversations.extras(&[MessageId::from_bytes([7; 12]), message.id]).await.unwrap();
        assert_eq!(found, [(message.id, extras)]);
    }
}

pub(crate) async fn support_conversations_come_in_pages_also_empty_ones(stores: Stores) {
    let first = support(&stores, 1).await;
    stores.conversations.open(Members::Support { customer: someone(2) }, later(1)).await.unwrap();
    stores.conversations.open(Members::direct(someone(1), someone(2)), later(2)).await.unwrap();
    let mut draft = say(&first, 1, Side::Customer, "hi");
    draft.at = later(3);
    append_new(&stores, draft).await;
    let page = stores.conversations.support(0, 10).await.unwrap();
    let customers = |page: &SummaryPage| {
        let members = page.summaries.iter().map(|summary| summary.conversation.members);
        members.collect::<Vec<_>>()
    };
    let (ann, bob) = (Members::Support { customer: someone(1) }, Members::Support { customer: someone(2) });
    assert_eq!((page.total, customers(&page)), (2, vec![ann, bob]));
    assert_eq!(customers(&stores.conversations.support(1, 10).await.unwrap()), [bob]);
    assert!(stores.conversations.support(u64::MAX, 10).await.unwrap().summaries.is_empty());
}

pub(crate) async fn a_conversation_is_given_to_who_has_none(stores: Stores) {
    let conversation = support(&stores, 1).await;
    support(&stores, 2).await;
    append_new(&stores, say(&conversation, 1, Side::Customer, "before")).await;
    assert!(!stores.conversations.give_to(conversation.id, someone(2)).await.unwrap(), "Bob has one");
    assert!(stores.conversations.give_to(conversation.id, someone(3)).await.unwrap());
    let given = Members::Support { customer: someone(3) };
    assert_eq!(stores.conversations.find(given).await.unwrap().map(|found| found.id), Some(conversation.id));
    assert_eq!(stores.conversations.find(Members::Support { customer: someone(1) }).await.unwrap(), None);
    append_new(&stores, say(&conversation, 3, Side::Customer, "after")).await;
    assert_eq!(texts(&log(&stores, conversation.id).await), ["before", "after"]);
    let summary = stores.conversations.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.conversation.members, summary.side(Side::Desk).unread), (given, 2));
}

pub(crate) async fn profiles_are_found_by_session_and_username(stores: Stores) {
    let ann = Profile {
        username: Some("ann".into()),
        contact_email: "ann@x.test".into(),
        phone: "1".into(),
        birth_date: Some("1990-02-28".parse().unwrap()),
        session: Some("digest".into()),
        ..Profile::empty(someone(1))
    };
    stores.profiles.save_profile(ann.clone()).await.unwrap();
    stores.profiles.save_profile(Profile::empty(someone(2))).await.unwrap();
    stores.profiles.save_profile(Profile::empty(someone(3))).await.unwrap();
    assert_eq!(stores.profiles.profile_by_session("digest").await.unwrap(), Some(ann.clone()));
    assert_eq!(stores.profiles.profile_by_username("ann").await.unwrap(), Some(ann.clone()));
    assert_eq!(stores.profiles.profile_by_session("").await.unwrap(), None);
    assert_eq!(stores.profiles.profiles(&[someone(1), someone(9)]).await.unwrap(), std::slice::from_ref(&ann));
    let thief = Profile { username: Some("ann".into()), ..Profile::empty(someone(2)) };
    assert!(matches!(stores.profiles.save_profile(thief).await, Err(SaveProfileError::Taken)));
    let changed = Profile { username: None, session: None, ..ann };
    stores.profiles.save_profile(changed.clone()).await.unwrap();
    assert_eq!(stores.profiles.profile_by_session("digest").await.unwrap(), None);
    assert_eq!(stores.profiles.profiles(&[someone(1)]).await.unwrap(), [changed]);
}

pub(crate) async fn a_token_is_spent_once(stores: Stores) {
    assert!(stores.profiles.spend("one", later(10), START).await.unwrap());
    assert!(!stores.profiles.spend("one", later(10), later(5)).await.unwrap());
    assert!(stores.profiles.spend("two", later(10), later(5)).await.unwrap());
}
