//! Handshakes from one address that are never continued, as fast as they are answered, while another address connects regularly.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{interval, sleep, timeout};

use super::connection::since;
use super::options::BenchOptions;
use super::report::{Answers, FloodReport, Memory};
use super::tally::histogram;
use super::target::Target;
use crate::cli::Progress;
use crate::lab::testkit::http::KeptAlive;
use crate::lab::testkit::procfs::resident_bytes;

const HANDSHAKE: &str = "/socket.io/?EIO=4&transport=polling";

/// The flooding address and the other one; both are reserved for documentation (RFC 5737).
const FLOODING: &str = "192.0.2.1";
const OTHER: &str = "192.0.2.2";

/// Interval at which the other address connects and memory is read.
const PERIOD: Duration = Duration::from_millis(50);

/// Timeout of the other address's connections.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time within which the server has to return memory, and what it may keep.
const GIVE_BACK: Duration = Duration::from_mins(1);
pub(super) const LEFT: u64 = 32 << 20;

/// Floods the server and reports what it costs the server and other clients. The server has to trust this machine as a proxy.
pub(super) async fn run(options: &BenchOptions, target: &Target) -> anyhow::Result<FloodReport> {
    let before = resident(target);
    let answers = Rc::new(RefCell::new(Answers::default()));
    let began = Instant::now();
    let mut flooding = JoinSet::new();
    for _ in 0..options.connections {
        flooding.spawn_local(flood(target.url.clone(), Rc::clone(&answers)));
    }
    let bar = Progress::of("Flooding", options.duration.as_secs());
    let (mut most, mut latency, mut failed) = (before, histogram()?, 0);
    let mut due = interval(PERIOD);
    while began.elapsed() < options.duration {
        due.tick().await;
        bar.reach(began.elapsed().as_secs());
        let asked = Instant::now();
        match timeout(PATIENCE, connect(&target.url)).await {
            Ok(Some(200)) => latency.saturating_record(since(asked)),
            Ok(Some(_) | None) | Err(_) => failed += 1,
        }
        most = most.max(resident(target));
    }
    drop(bar);
    flooding.shutdown().await;
    let ended = Instant::now();
    let mut given_back = None;
    if let Some(before) = before {
        let bar = Progress::of("Waiting for memory to be returned", GIVE_BACK.as_secs());
        while given_back.is_none() && ended.elapsed() < GIVE_BACK {
            sleep(PERIOD).await;
            bar.reach(ended.elapsed().as_secs());
            given_back = resident(target).filter(|now| *now <= before + LEFT).map(|_| ended.elapsed());
        }
    }
    let memory = before.zip(most).zip(resident(target));
    let memory = memory.map(|((before, most), after)| Memory { before, most, after, given_back });
    let answers = answers.borrow().clone();
    Ok(FloodReport::new(options, answers, failed, &latency, memory))
}

/// Sends handshakes in sequence until it is aborted.
async fn flood(url: String, answers: Rc<RefCell<Answers>>) {
    loop {
        let Ok(mut connection) = KeptAlive::open(&url).await else {
            answers.borrow_mut().failed += 1;
            sleep(PERIOD).await;
            continue;
        };
        while let Ok(status) = connection.get(HANDSHAKE, FLOODING).await {
            answers.borrow_mut().count(status);
        }
    }
}

/// One handshake from the other address, on a new connection. Returns the status.
async fn connect(url: &str) -> Option<u16> {
    KeptAlive::open(url).await.ok()?.get(HANDSHAKE, OTHER).await.ok()
}

fn resident(target: &Target) -> Option<u64> {
    target.pid.and_then(resident_bytes)
}
