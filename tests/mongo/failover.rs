//! The database server is killed, or steps down, under load.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::away::PEOPLE;
use crate::own_database::{Failure, OwnDatabase};
use crate::support::{
    PATIENCE, Site, assert_nothing_lost, assert_some_refused, becomes_ready, becomes_unready, is_there_a_server, stop,
    talk,
};

const SEED: u64 = 0x2026_1121;

/// Longer than a server waits for its database.
const TOO_LONG: Duration = Duration::from_secs(6);

/// Error codes of a server that is not, or not yet, the primary.
const STEPPED_DOWN: [i32; 4] = [10107, 189, 11602, 11600];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_killed_loses_no_message_and_no_socket() {
    if !is_there_a_server() {
        return;
    }
    let mut database = OwnDatabase::start(&[]).await;
    let (site, accounts) = Site::on(&database.uri(), &PEOPLE).await;
    let server = site.start().await;
    let crowd = talk(&accounts, &[&server.url]);
    for _ in 0..3 {
        assert!(crowd.is_acknowledged(100, PATIENCE).await, "no message is acknowledged: {}", server.log());
        database.kill().await;
        becomes_unready(&server, PATIENCE).await;
        database.restart().await;
        becomes_ready(&server, PATIENCE).await;
    }
    assert!(crowd.is_acknowledged(100, PATIENCE).await, "it does not recover: {}", server.log());
    let outcome = crowd.end().await.unwrap();
    stop(server).await;
    assert_nothing_lost(&site, &accounts[0], &outcome).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_steps_down_loses_no_message_and_no_socket() {
    if is_there_a_server() {
        writes_fail_for_a_while(&[]).await;
    }
}

/// The driver does not retry writes there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standalone_server_that_fails_for_a_while_loses_no_message_and_no_socket() {
    if is_there_a_server() {
        writes_fail_for_a_while(&["--standalone"]).await;
    }
}

#[expect(clippy::print_stderr, reason = "the seed is needed to reproduce a failure")]
async fn writes_fail_for_a_while(flags: &[&str]) {
    eprintln!("failover: seed {SEED:#x}");
    let mut random = StdRng::seed_from_u64(SEED);
    let database = OwnDatabase::start(flags).await;
    let (site, accounts) = Site::on(&database.uri(), &PEOPLE).await;
    let server = site.start().await;
    let crowd = talk(&accounts, &[&server.url]);
    for round in 0..40 {
        let code = STEPPED_DOWN[random.random_range(0..STEPPED_DOWN.len())];
        let how = match round % 5 {
            0 | 1 => Failure::Refuse(code),
            2 | 3 => Failure::DoAndDoubt(code),
            _ => Failure::ConnectionHandle,
        };
        database.fail(random.random_range(1..6), &how).await;
        assert!(
            crowd.is_acknowledged(5, PATIENCE).await,
            "round {round}: no message is acknowledged: {}",
            server.log()
        );
    }
    database.fail_always(&Failure::DoAndDoubt(189)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    database.fail_always(&Failure::Refuse(10107)).await;
    becomes_unready(&server, PATIENCE).await;
    tokio::time::sleep(TOO_LONG).await;
    database.heal().await;
    becomes_ready(&server, PATIENCE).await;
    assert!(crowd.is_acknowledged(20, PATIENCE).await, "it does not recover: {}", server.log());
    let outcome = crowd.end().await.unwrap();
    stop(server).await;
    assert_nothing_lost(&site, &accounts[0], &outcome).await;
    assert_some_refused(&outcome);
}
