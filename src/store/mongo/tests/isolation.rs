//! One conversation whose appends take long does not delay another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use super::round_trips::{account, send};
use super::{Fresh, START, available, observed, open_on, say};
use crate::accounts::testing::Fixture;
use crate::desk::{Desk, DeskSettings};
use crate::domain::{Members, Role, Side};
use crate::store::{AppendError, ConversationStore as _, StoreError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_that_cannot_be_written_to_does_not_delay_another() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let agent = account(&fresh, 9, Role::Admin).await;
    let ann = account(&fresh, 20, Role::Customer).await;
    for customer in 21..24 {
        account(&fresh, customer, Role::Customer).await;
    }
    let ask_insert = Arc::new(Notify::new());
    let inserts = ask_insert.clone();
    let store = open_on(
        &observed(fresh.raw.name(), move |command| {
            if command == "insert" {
                inserts.notify_one();
            }
        })
        .await,
    )
    .await;
    let fixture = Fixture::new();
    let desk = Desk::open(&store.stores(), fixture.accounts.clone(), fixture.clock.clone(), DeskSettings::default());
    // Everything that the first message needs is read before, so that what follows is one insert.
    send(&desk, &agent, ann.id).await;

    // The server refuses an id that exists, and what stands in the way is nowhere to be read in this conversation: as when an
    // entry of another process is not on a majority yet, the append tries again until its deadline.
    let contended = fresh.support(21).await;
    let elsewhere = store.open(Members::Support { customer: super::someone(22) }, START).await.unwrap();
    let taken = say(&elsewhere, 22, Side::Customer, "the first with this id");
    let blocked = crate::domain::Draft { conversation: contended.id, author: super::someone(21), ..taken.clone() };
    store.append(vec![taken]).await.remove(0).unwrap();
    drop(timeout(Duration::ZERO, ask_insert.notified()).await);
    let log = desk.log.clone();
    let waiting = tokio::spawn(async move { log.ingest(vec![blocked]).await.remove(0) });
    ask_insert.notified().await;

    send(&desk, &agent, ann.id).await;
    assert!(!waiting.is_finished(), "the other message waited for the contended conversation");
    let outcome = waiting.await.unwrap();
    assert!(matches!(outcome, Err(AppendError::Store(StoreError::Unavailable(_)))), "{outcome:?}");
    desk.close().await;
    store.close().await;
}
