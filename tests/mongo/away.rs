//! The database becomes unreachable under load, and recovers.

use std::time::Duration;

use deskline::domain::Role;
use deskline::lab::prove::Outcome;
use deskline::lab::testkit::socketio::Client;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use crate::proxy::Proxy;
use crate::shared::{Account, ServerProcess, how_long};
use crate::support::{
    PATIENCE, Site, assert_nothing_lost, assert_some_refused, becomes_ready, becomes_unready, enter, probe,
    send_message, stop, talk,
};

/// How long the database is unreachable.
const AWAY: Duration = Duration::from_secs(30);

/// How long a sender may wait for an answer while no server can be reached: two seconds, and a margin of two for a busy
/// machine.
const UNREACHABLE: Duration = Duration::from_secs(4);

/// The same while a server is silent: five seconds, and a margin of four.
const SILENT: Duration = Duration::from_secs(9);

/// The people who send messages meanwhile.
pub(crate) const PEOPLE: [(&str, Role); 4] =
    [("ada", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer), ("cat", Role::Customer)];

/// How long it hangs, unless a longer run is requested: longer than any call waits for it.
const HANG: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_unreachable_for_half_a_minute_loses_no_message_and_no_socket() {
    let Some((site, agent, outcome)) = talk_while(Proxy::cut, Duration::from_secs(5), AWAY).await else { return };
    assert_nothing_lost(&site, &agent, &outcome).await;
    assert_some_refused(&outcome);
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_hangs_loses_no_message() {
    let Some((site, agent, outcome)) = talk_while(Proxy::silence, SILENT, how_long(HANG)).await else { return };
    // A client that is connecting when the database begins to hang cannot catch up and has to reconnect, so reconnects
    // are not counted.
    site.assert_consistent(&agent, &outcome).await;
    assert_some_refused(&outcome);
    site.remove().await;
}

/// Lets people send messages while the database becomes unreachable in this way for this time, which `/readyz` has to
/// show within `unready_within`. Returns an agent, and what everybody sent and received.
async fn talk_while(go_away: fn(&Proxy), unready_within: Duration, away: Duration) -> Option<(Site, Account, Outcome)> {
    let (site, accounts) = Site::with(&PEOPLE).await?;
    let proxy = Proxy::to(&site, true).await;
    let server = site.start_on(&proxy.uri(&site)).await;
    let crowd = talk(&accounts, &[&server.url]);
    assert!(crowd.is_acknowledged(200, PATIENCE).await, "no message is acknowledged: {}", server.log());

    go_away(&proxy);
    let went = Instant::now();
    becomes_unready(&server, unready_within).await;
    assert_eq!(probe(&server.url, "livez").await, 200);
    tokio::time::sleep_until(went + away).await;
    assert_eq!(probe(&server.url, "readyz").await, 503);
    proxy.mend();
    becomes_ready(&server, PATIENCE).await;
    assert!(crowd.is_acknowledged(200, PATIENCE).await, "it does not recover: {}", server.log());
    let outcome = crowd.end().await.unwrap();
    stop(server).await;
    Some((site, accounts[0].clone(), outcome))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_sent_while_the_database_is_unreachable_is_refused_in_time() {
    let Some((site, accounts)) = Site::with(&PEOPLE[..2]).await else { return };
    let [ada, ann] = &accounts[..] else { panic!() };
    let (ada, proxy) = (ada.id.to_string(), Proxy::to(&site, true).await);
    let server = site.start_on(&proxy.uri(&site)).await;
    let client = enter(&server, &ann.token).await;
    send_message(&client, &ada, "before").await;
    proxy.cut();
    assert_refused_within(UNREACHABLE, &client, &ada).await;
    proxy.mend();
    send_message(&client, &ada, "in between").await;
    proxy.silence();
    assert_refused_within(SILENT, &client, &ada).await;
    proxy.mend();
    send_message(&client, &ada, "after").await;
    stop(server).await;
    site.remove().await;
}

/// Sends a few messages one after the other. Each has to be refused within `deadline`.
async fn assert_refused_within(deadline: Duration, client: &Client, to: &str) {
    for n in 0..3 {
        let (ask, asked) = (json!({"receiverId": to, "message": format!("{n}")}), Instant::now());
        let answer = client.emit_ack("send-message", ask).await.unwrap();
        assert_eq!((&answer["code"], &answer["retryable"]), (&json!("storage_unavailable"), &json!(true)), "{answer}");
        assert!(asked.elapsed() < deadline, "a sender waited {:?}", asked.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_waits_for_a_database_that_is_unreachable_at_its_start() {
    let Some(site) = Site::new() else { return };
    let proxy = Proxy::to(&site, false).await;
    let address = free_address().await;
    let mut command = site.command(&proxy.uri(&site));
    command.args(["--listen", &address]);
    let url = format!("http://{address}");
    let starting = tokio::spawn(ServerProcess::start(command));
    let until = Instant::now() + PATIENCE;
    while probe(&url, "livez").await != 200 {
        assert!(Instant::now() < until, "the server does not answer while it waits");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(probe(&url, "readyz").await, 503);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((probe(&url, "livez").await, probe(&url, "readyz").await), (200, 503));
    proxy.mend();
    let server = timeout(PATIENCE, starting).await.expect("the server does not start").unwrap();
    becomes_ready(&server, PATIENCE).await;
    let log = stop(server).await;
    assert!(log.contains("Waiting for the store"), "{log}");
    assert!(log.contains("no MongoDB server can be reached") && !log.contains("Topology"), "{log}");
    site.remove().await;
}

/// The server prints its address only when it is ready, so the test chooses one.
async fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}
