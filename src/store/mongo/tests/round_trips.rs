//! What the calls cost: commands sent to the server, once everything is warm.

use std::sync::{Arc, Mutex};

use super::{Fresh, available, observed, open_on, read, say, someone};
use crate::domain::{Draft, DraftKind, Members, MessageBody, Seq, Side};
use crate::store::{ConversationStore as _, ListFor};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_costs_two_round_trips_and_a_history_one() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let sent = Arc::new(Mutex::new(Vec::new()));
    let heard = sent.clone();
    let counted = observed(fresh.raw.name(), move |command| heard.lock().unwrap().push(command.to_owned())).await;
    let store = open_on(&counted).await;
    let conversation = store.open(Members::Support { customer: someone(1) }, super::START).await.unwrap();
    store.append(vec![say(&conversation, 1, Side::Customer, "warm")]).await.remove(0).unwrap();
    store.settle().await.unwrap();
    // The copy is made later, by somebody else.
    store.stop.cancel();
    sent.lock().unwrap().clear();
    let took = || std::mem::take(&mut *sent.lock().unwrap());

    store.append(vec![say(&conversation, 1, Side::Customer, "one")]).await.remove(0).unwrap();
    assert_eq!(took(), ["insert", "update"]);
    let batch: Vec<_> = (0..50).map(|i| say(&conversation, 1, Side::Customer, &i.to_string())).collect();
    assert!(store.append(batch).await.into_iter().all(|answer| answer.is_ok()));
    assert_eq!(took(), ["insert", "update"]);
    store.append(vec![read(&conversation, 9, Side::Desk, 100)]).await.remove(0).unwrap();
    assert_eq!(took(), ["insert", "update"]);
    store.append(vec![read(&conversation, 9, Side::Desk, 100)]).await.remove(0).unwrap();
    assert_eq!(took(), [""; 0], "no news costs nothing");
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
    // All at the same time, so one round trip.
    store.list(ListFor::Agent(someone(9)), 50).await.unwrap();
    assert_eq!(took(), ["find"; 3]);
    store.list(ListFor::Customer(someone(1)), 50).await.unwrap();
    assert_eq!(took(), ["find"; 2]);
    store.summary(conversation.id).await.unwrap();
    assert_eq!(took(), ["find"; 2]);
}
