//! The database goes away under load, and comes back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use deskline::domain::Role;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::kill::compare;
use crate::support::{Server, Site};
use crate::talker::{Counts, Weather, finish, let_talk};

/// How long the database is away.
const AWAY: Duration = Duration::from_secs(8);

/// Stands between the server and its database, and can be shut.
struct Line {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Line {
    async fn to(server: String, is_open: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, watched) = watch::channel(is_open);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut watched, server) = (watched.clone(), server.clone());
                tokio::spawn(async move {
                    if !*watched.borrow_and_update() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = watched.changed() => {}
                    }
                });
            }
        });
        Self { address, open }
    }

    /// The database's address over this line.
    fn uri(&self, site: &Site) -> String {
        format!("mongodb://{}/{}?directConnection=true", self.address, site.name)
    }
}

/// The host and port of the database server.
fn host(site: &Site) -> String {
    let hosts = site.server.split("://").nth(1).unwrap().split('/').next().unwrap();
    let host = hosts.rsplit('@').next().unwrap().split(',').next().unwrap();
    if host.contains(':') { host.to_owned() } else { format!("{host}:27017") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_goes_away_costs_nobody_a_message_or_a_socket() {
    let people = [("ada", Role::Admin), ("ann", Role::Customer), ("bob", Role::Customer), ("cat", Role::Customer)];
    let Some((site, accounts)) = Site::with(&people).await else { return };
    let line = Line::to(host(&site), true).await;
    let server = site.start_on(&line.uri(&site)).await;
    let (tell, weather) = watch::channel(Weather { url: server.url.clone(), is_over: false });
    let counts = Arc::new(Counts::default());
    let talking = let_talk(&accounts, &weather, &counts);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(counts.acks.load(Ordering::Relaxed) > 0, "nobody is acknowledged anything: {}", server.log());

    line.open.send(false).unwrap();
    let went = Instant::now();
    while server.readiness().await == 200 {
        assert!(went.elapsed() < Duration::from_secs(5), "readiness does not turn red");
    }
    assert!(went.elapsed() < Duration::from_secs(5), "readiness turns red after {:?} only", went.elapsed());
    assert_eq!(server.probe("livez").await, 200);
    tokio::time::sleep_until(went + AWAY).await;
    let before = counts.acks.load(Ordering::Relaxed);
    line.open.send(true).unwrap();
    server.becomes_ready(Duration::from_secs(10)).await;
    let back = async {
        while counts.acks.load(Ordering::Relaxed) < before + 20 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(15), back).await.expect("it does not recover by itself");

    tell.send_modify(|weather| weather.is_over = true);
    let ledgers = timeout(Duration::from_mins(1), finish(&tell, &counts, talking)).await.expect("it does not end");
    let log = server.stop().await;
    assert!(!log.contains("panicked"), "{log}");
    for (who, ledger) in &ledgers {
        assert_eq!(ledger.connections, 1, "{} lost the socket", who.name);
    }
    // Those whose message was still waiting when the database came back got a late true answer instead.
    let refused: u64 = ledgers.iter().map(|(_, ledger)| ledger.refused).sum();
    assert!(refused > 0, "nobody was told that the store is away");
    compare(&site, &accounts[0], &ledgers).await;
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_waits_for_a_database_that_is_away_at_its_start() {
    let Some(site) = Site::new() else { return };
    let line = Line::to(host(&site), false).await;
    let address = free_address().await;
    let mut command = site.command(&line.uri(&site));
    command.args(["--listen", &address]);
    let url = format!("http://{address}");
    let starting = tokio::spawn(Server::start(command));
    let probe =
        async |what: &str| reqwest::get(format!("{url}/{what}")).await.map_or(0, |answer| answer.status().as_u16());
    let until = Instant::now() + Duration::from_secs(10);
    while probe("livez").await != 200 {
        assert!(Instant::now() < until, "it does not answer while it waits");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(probe("readyz").await, 503);
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!((probe("livez").await, probe("readyz").await), (200, 503));
    line.open.send(true).unwrap();
    let server = timeout(Duration::from_secs(15), starting).await.expect("it does not start").unwrap();
    server.becomes_ready(Duration::from_secs(5)).await;
    let log = server.stop().await;
    assert!(log.contains("Waiting for the store"), "{log}");
    site.remove().await;
}

/// The server tells its address only once it is ready, so here it is given one.
async fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string()
}
