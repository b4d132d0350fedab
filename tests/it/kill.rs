//! What was acknowledged survives `kill -9`, once, and everybody's transcript equals the log.

use std::time::Duration;

use deskline::domain::Role;
use deskline::store::OpenStore;

use crate::shared::{Rounds, Survived, compare, kill_again_and_again};
use crate::support::Site;

const ROUNDS: Rounds = Rounds { most: 20, least: 20, enough: Duration::ZERO };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_twenty_kills() {
    let names = ["ada", "bea", "ann", "bob", "cat", "dan", "eve", "fay", "gil", "hal"];
    let people: Vec<_> =
        names.iter().enumerate().map(|(n, name)| (*name, if n < 2 { Role::Admin } else { Role::Customer })).collect();
    let (site, accounts) = Site::with(&people).await;
    let start = async || site.start(&["--send-rate", "0"]).await;
    let Survived { rounds, ledgers } = kill_again_and_again(start, &accounts, ROUNDS).await;
    let refused: u64 = ledgers.iter().map(|(_, ledger)| ledger.refused).sum();
    assert_eq!(refused, 0, "a file is never away");
    let acked = compare(&OpenStore::Sqlite(site.store()), &accounts[0], &ledgers).await;
    assert!(acked >= 50 * rounds, "only {acked} messages were acknowledged, which proves little");
}
