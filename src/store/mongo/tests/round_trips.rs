//! The cost of calls: commands sent to the server, with warm caches and connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Fresh, START, available, observed, open_on, read, say, someone};
use crate::accounts::testing::Fixture;
use crate::desk::messages::{Addressee, SendMessage};
use crate::desk::{Desk, DeskSettings};
use crate::domain::{
    AccountStatus, Draft, DraftKind, Members, MessageBody, MessageExtras, PendingCodes, Person, Profile, Role, Seq,
    Side, UserId,
};
use crate::store::{ConversationStore as _, ListFor, NewUser, UserStore as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_costs_two_round_trips_and_a_history_one() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let heard = sent.clone();
    let counted = observed(fresh.raw.name(), move |command| heard.lock().push(command.to_owned())).await;
    let store = open_on(&counted).await;
    let conversation = store.open(Members::Support { customer: someone(1) }, super::START).await.unwrap();
    store.append(vec![say(&conversation, 1, Side::Customer, "warm")]).await.remove(0).unwrap();
    store.flush().await.unwrap();
    // The copy is written later, by another task.
    store.stop.cancel();
    sent.lock().clear();
    let took = || std::mem::take(&mut *sent.lock());

    store.append(vec![say(&conversation, 1, Side::Customer, "one")]).await.remove(0).unwrap();
    assert_eq!(took(), ["insert", "update"]);
    let batch: Vec<_> = (0..50).map(|i| say(&conversation, 1, Side::Customer, &i.to_string())).collect();
    assert!(store.append(batch).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(took(), ["insert", "update"]);
    store.append(vec![read(&conversation, 9, Side::Desk, 10)]).await.remove(0).unwrap();
    assert_eq!(took(), ["aggregate", "insert", "update"], "how much is left unread");
    store.append(vec![read(&conversation, 9, Side::Desk, 100)]).await.remove(0).unwrap();
    assert_eq!(took(), ["insert", "update"]);
    store.append(vec![read(&conversation, 9, Side::Desk, 100)]).await.remove(0).unwrap();
    assert_eq!(took(), ["find"], "another process may have written messages that the mark covers");
    let target = store.entries_at(conversation.id, &[Seq::new(2)]).await.unwrap()[0].as_target().unwrap();
    assert_eq!(took(), ["find"]);
    let edit = DraftKind::Edit { target, body: MessageBody::stored("uno".into()) };
    store.append(vec![Draft { kind: edit, ..read(&conversation, 1, Side::Customer, 0) }]).await.remove(0).unwrap();
    assert_eq!(took(), ["find", "insert", "update", "update"]);
    store.messages_before(conversation.id, None, 50).await.unwrap();
    assert_eq!(took(), ["find"]);
    store.entries_after(conversation.id, Seq::ZERO, 50).await.unwrap();
    assert_eq!(took(), ["find"]);
    store.open(conversation.members, super::START).await.unwrap();
    assert_eq!(took(), ["find"]);
    // Concurrent, so one round trip.
    store.list(ListFor::Agent(someone(9)), 50).await.unwrap();
    assert_eq!(took(), ["find"; 3]);
    store.list(ListFor::Customer(someone(1)), 50).await.unwrap();
    assert_eq!(took(), ["find"; 2]);
    store.summary(conversation.id).await.unwrap();
    assert_eq!(took(), ["find"; 2]);
    // As after a start: the state of the conversation, and numbers for its messages.
    let started = open_on(&counted).await;
    started.flush().await.unwrap();
    started.stop.cancel();
    took();
    started.append(vec![read(&conversation, 1, Side::Customer, 100)]).await.remove(0).unwrap();
    assert_eq!(took(), ["find"; 2], "it has nothing to read");
}

/// Longer than the desk caches people.
const FORGOTTEN: Duration = Duration::from_millis(5_500);

pub(super) async fn account(fresh: &Fresh, n: u8, role: Role) -> Arc<Person> {
    let new = NewUser {
        id: someone(n),
        name: format!("Person {n}"),
        email: Some(format!("p{n}@x.test").parse().unwrap()),
        password_hash: None,
        role,
        status: AccountStatus::Active,
        pending_codes: PendingCodes::new(),
        profile: Profile::default(),
        at: START,
    };
    Arc::new(Person::from(&fresh.store.create_user(new).await.unwrap()))
}

/// Sends a message and waits for its acknowledgement.
pub(super) async fn send(desk: &Desk, author: &Arc<Person>, to: UserId) {
    let (answer, answered) = tokio::sync::oneshot::channel();
    let ask = SendMessage {
        author: author.clone(),
        to: Addressee::User(to),
        text: "hello".into(),
        client_id: None,
        origin: None,
        extras: MessageExtras::default(),
    };
    desk.messages.send(ask, move |outcome| answer.send(outcome.is_ok()).unwrap()).await;
    assert!(answered.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cost_of_a_call_does_not_depend_on_the_number_of_people_shown() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let agent = account(&fresh, 9, Role::Admin).await;
    let mut customers = Vec::new();
    for n in 20..50 {
        customers.push(account(&fresh, n, Role::Customer).await);
        let conversation = fresh.support(n).await;
        fresh.store.append(vec![say(&conversation, n, Side::Customer, "hi")]).await.remove(0).unwrap();
    }
    let sent = Arc::new(Mutex::new(BTreeMap::<String, u32>::new()));
    let heard = sent.clone();
    let count = move |command: &str| *heard.lock().entry(command.to_owned()).or_default() += 1;
    let store = open_on(&observed(fresh.raw.name(), count).await).await;
    store.flush().await.unwrap();
    // The copy is written later, by another task.
    store.stop.cancel();
    let fixture = Fixture::new();
    let desk = Desk::open(&store.stores(), fixture.accounts.clone(), fixture.clock.clone(), DeskSettings::default());
    let took = || {
        let mut took = std::mem::take(&mut *sent.lock());
        (took.remove("find").unwrap_or_default(), took.remove("insert").unwrap_or_default(), took)
    };
    took();

    assert_eq!(desk.conversations.list(&agent, 500).await.unwrap().len(), 30);
    assert_eq!(took(), (4, 0, BTreeMap::new()), "three concurrent ones for the list, one for all people in it");
    desk.conversations.list(&agent, 500).await.unwrap();
    assert_eq!(took(), (3, 0, BTreeMap::new()));
    desk.conversations.unread_count(&customers[0]).await.unwrap();
    assert_eq!(took(), (2, 0, BTreeMap::new()), "both concurrently");
    // Numbers for messages are reserved in blocks of a thousand, so a later message reserves none.
    send(&desk, &agent, customers[0].id).await;
    took();
    send(&desk, &agent, customers[0].id).await;
    let (finds, inserts, rest) = took();
    assert_eq!((finds, inserts, rest.get("update")), (0, 1, Some(&1)), "{rest:?}");
    tokio::time::sleep(FORGOTTEN).await;
    took();
    send(&desk, &agent, customers[0].id).await;
    let (finds, inserts, rest) = took();
    assert_eq!(
        (finds, inserts, rest.get("update")),
        (2, 1, Some(&1)),
        "the recipient, and the desk's identity: {rest:?}"
    );
    let history = desk.history.read_with(&agent, customers[0].id, None, 50).await.unwrap();
    assert_eq!(history.messages.len(), 4);
    let (finds, ..) = took();
    // There may be one more for the receipts, which the reader does not wait for.
    let what = "the state with the end of the log, the messages, their extras, their authors";
    assert!((5..=6).contains(&finds), "{finds}: {what}");
    desk.close().await;
}
