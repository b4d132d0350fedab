//! What was acknowledged survives `kill -9`, once, and everybody's transcript equals the log.

use std::time::Duration;

use deskline::domain::Role;

use crate::shared::{Rounds, Survived, kill_again_and_again};
use crate::support::Site;

const ROUNDS: Rounds = Rounds { most: 20, least: 10, enough: Duration::from_mins(1) };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_twenty_kills() {
    let names = ["ada", "bea", "ann", "bob", "cat", "dan", "eve"];
    let people: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (*name, if n < 2 { Role::Admin } else { Role::Customer })).collect();
    let Some((site, accounts)) = Site::with(&people).await else { return };
    let Survived { rounds, ledgers } = kill_again_and_again(async || site.start().await, &accounts, ROUNDS).await;
    let acked = site.compare(&accounts[0], &ledgers).await;
    assert!(acked >= 20 * rounds, "only {acked} messages were acknowledged, which proves little");
    site.remove().await;
}
