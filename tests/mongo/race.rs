//! Two programs on one database.

use std::time::Duration;

use deskline::domain::Role;

use crate::support::{Site, stop};
use crate::talker::Talk;

/// What a server says of a message that it could not keep because others were always faster.
const RACE: &str = "other processes keep writing";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_append_to_the_same_conversations_without_hole_or_double() {
    // The agents are on one server each, so both servers write to every conversation, and the agents know all of it.
    let people = [("ada", Role::Admin), ("bea", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer)];
    let Some((site, accounts)) = Site::with(&people).await else { return };
    let (one, other) = (site.start().await, site.start().await);
    let talk = Talk::start(&accounts, &[&one.url, &other.url]);
    let enough = talk.is_acknowledged(500, Duration::from_mins(3)).await;
    assert!(enough, "too few are acknowledged: {} {}", one.log(), other.log());
    let ledgers = talk.end().await;
    // A database that is too slow may be told of; the race may not.
    for server in [&one, &other] {
        assert!(!server.log().contains(RACE), "somebody lost the race: {}", server.log());
    }
    stop(one).await;
    stop(other).await;
    let acked = site.compare(&accounts[0], &ledgers).await;
    assert!(acked >= 500);
    site.remove().await;
}
