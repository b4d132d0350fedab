//! Two programs on one database.

use std::time::Duration;

use deskline::domain::Role;

use crate::shared::Talk;
use crate::support::{Site, stop};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_append_to_the_same_conversations_without_hole_or_double() {
    // The agents are on one server each, so both servers write to every conversation, and the agents know all of it.
    let people = [("ada", Role::Admin), ("bea", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)];
    let Some((site, accounts)) = Site::with(&people).await else { return };
    let (one, other) = (site.start().await, site.start().await);
    let talk = Talk::start(&accounts, vec![one.url.clone(), other.url.clone()]);
    let enough = talk.is_acknowledged(500, Duration::from_mins(1)).await;
    assert!(enough, "too few are acknowledged: {} {}", one.log(), other.log());
    let ledgers = talk.end().await;
    let refused: u64 = ledgers.iter().map(|(_, ledger)| ledger.refused).sum();
    assert_eq!(refused, 0, "nobody is told of the race");
    stop(one).await;
    stop(other).await;
    let acked = site.compare(&accounts[0], &ledgers).await;
    assert!(acked >= 500);
    site.remove().await;
}
