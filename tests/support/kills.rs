//! `kill -9` of the server under load, again and again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use super::{Account, Ledger, ServerProcess, Talk};

const SEED: u64 = 0x2026_1121;

/// How long the clients may take to come back, and a server to stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the server is killed.
pub(crate) struct Rounds {
    /// Unless they take longer than `enough`.
    pub(crate) most: usize,
    /// However long they take.
    pub(crate) least: usize,
    pub(crate) enough: Duration,
}

/// What came of it.
pub(crate) struct Survived {
    pub(crate) rounds: usize,
    pub(crate) ledgers: Vec<(Account, Ledger)>,
}

/// Lets everybody talk, kills the server at random moments, and starts it anew.
#[expect(clippy::print_stderr, reason = "whoever reads the failure needs the seed")]
pub(crate) async fn kill_again_and_again(
    start: impl AsyncFn() -> ServerProcess,
    accounts: &[Account],
    rounds: Rounds,
) -> Survived {
    eprintln!("kill: seed {SEED:#x}");
    let mut random = StdRng::seed_from_u64(SEED);
    let mut server = start().await;
    let talk = Talk::start(accounts, vec![server.url.clone()]);
    let (mut logs, began, mut done) = (String::new(), Instant::now(), 0);
    while done < rounds.most && (done < rounds.least || began.elapsed() < rounds.enough) {
        // The clients are back when something is acknowledged; the moment after that is up to chance.
        let is_back = talk.is_acknowledged(1, PATIENCE).await;
        assert!(is_back, "round {done}: nobody is acknowledged anything; the server says: {}", server.log());
        tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
        logs.push_str(&server.log());
        server.kill().await;
        server = start().await;
        talk.moves_to(&server.url);
        done += 1;
    }
    eprintln!("kill: {done} rounds in {:?}", began.elapsed());
    let ledgers = talk.end().await;
    server.terminate().await;
    let (status, log) = server.ended(PATIENCE).await;
    assert!(status.success(), "{log}");
    assert!(!(logs + &log).contains("panicked"), "{log}");
    Survived { rounds: done, ledgers }
}
