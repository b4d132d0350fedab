//! `deskline prove`: checks that no message is lost, duplicated, reordered or shown to the wrong person, whatever happens to the
//! server.
//!
//! It starts a server on a scratch store, runs clients of all protocols, kills the server repeatedly, and then compares what was
//! acknowledged, what is stored and what every client received.
//!
//! All random choices follow from one seed. Scheduling does not, so a seed makes a failure likely to recur, not certain.
//!
//! Reading order: [`actor`], [`socketio`], [`classic`], [`page`], [`channels`], [`transcript`], [`crowd`], [`logs`], [`checks`],
//! [`receipts`].

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::sleep;

mod actor;
mod channels;
mod checks;
mod classic;
mod crowd;
mod logs;
mod options;
mod page;
mod receipts;
mod responses;
mod socketio;
#[cfg(test)]
mod tests;
mod transcript;

pub use actor::Person;
pub use checks::Invariant;
pub use crowd::{Crowd, Outcome};
pub use options::ProveOptions;

use crate::cli::Progress;
use crate::domain::Role;
use crate::lab::testkit::{Account, ChildServer, SECRET, Scratch, http};
use actor::{Face, Script};

/// Longest time until a client drops its connection.
const LINK: Duration = Duration::from_secs(4);

/// Violations shown per invariant.
const SHOWN: usize = 5;

/// The result of a run.
#[derive(Debug)]
pub struct Proof {
    /// Seed of all random choices.
    pub seed: u64,
    /// Number of clients.
    pub clients: usize,
    /// Connections of all clients.
    pub connects: u64,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages that were sent again with the same id.
    pub repeats: u64,
    /// Duplicates on agents' pages on MongoDB, which cannot name their place in the log. Elsewhere a duplicate is a violation.
    pub doubled: u64,
    /// Number of kills.
    pub kills: u32,
    /// Longest time from a restart to listening.
    pub slowest_start: Duration,
    /// Duration of the run.
    pub took: Duration,
    /// The invariants that were checked.
    pub invariants: Vec<Invariant>,
}

impl Proof {
    /// Whether every invariant was checked and holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.acknowledged > 0
            && self.invariants.iter().all(|invariant| invariant.checked > 0 && invariant.broken.is_empty())
    }

    /// Whether an invariant was violated, rather than not checked enough.
    #[must_use]
    pub fn is_violated(&self) -> bool {
        self.invariants.iter().any(|invariant| invariant.says != checks::COVERAGE && !invariant.broken.is_empty())
    }

    /// A table for the terminal.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::new();
        // Writing to a string cannot fail.
        let _ok = writeln!(
            table,
            "{} clients, {} connects, {} messages acknowledged, {} sent again, {} duplicates on pages without a place, {} kills \
             (back within {:.2} s), {:.1} s\n",
            self.clients,
            self.connects,
            self.acknowledged,
            self.repeats,
            self.doubled,
            self.kills,
            self.slowest_start.as_secs_f64(),
            self.took.as_secs_f64(),
        );
        let _ok = writeln!(table, "| {:<66} | {:>9} | {:>6} |", "invariant", "checked", "broken");
        let _ok = writeln!(table, "|{}|{}:|{}:|", "-".repeat(68), "-".repeat(10), "-".repeat(7));
        for Invariant { says, checked, broken } in &self.invariants {
            let _ok = writeln!(table, "| {says:<66} | {checked:>9} | {:>6} |", broken.len());
        }
        for broken in self.invariants.iter().flat_map(|invariant| invariant.broken.iter().take(SHOWN)) {
            let _ok = writeln!(table, "\n{broken}");
        }
        let _ok = writeln!(table, "\n{}: seed {}", if self.holds() { "Proven" } else { "NOT PROVEN" }, self.seed);
        table
    }
}

/// Runs a proof and prints its result. Returns whether every invariant holds.
///
/// # Errors
/// If the server cannot be started or stopped, or the store cannot be read.
pub async fn run(options: &ProveOptions) -> anyhow::Result<bool> {
    let proof = prove(options).await?;
    write!(io::stdout(), "{}", proof.table())?;
    Ok(proof.holds())
}

/// Runs a proof.
///
/// # Errors
/// As [`run`].
pub async fn prove(options: &ProveOptions) -> anyhow::Result<Proof> {
    let (began, seed) = (Instant::now(), options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>())));
    let mut random = StdRng::seed_from_u64(seed);
    let people = people(options);
    let (scratch, accounts) = Scratch::make(&options.server_options, &people).await?;
    let mut server = ChildServer::start(&options.server_options, &scratch, &["--send-rate", "0"], None).await?;
    let people: Vec<Person> = accounts.iter().map(person).collect();
    for customer in people.iter().filter(|person| !person.role.is_agent()) {
        let nothing = serde_json::json!({});
        let opened = http::post(&server.url, "/api/public/chat-rooms/", Some(&customer.token), &nothing).await;
        let opened = opened.context("opening a conversation")?;
        ensure!(opened.status < 300, "opening a conversation: {} {}", opened.status, opened.body);
    }
    let crowd = Crowd::start(scripts(&people, options, &server.url, &mut random));
    let clients = crowd.len();
    let mut slowest_start = Duration::ZERO;
    let bar = Progress::of("Kills", u64::from(options.kill));
    for _ in 0..options.kill {
        sleep(options.life.mul_f64(random.random())).await;
        server.kill();
        let killed = Instant::now();
        server.start_again().await?;
        slowest_start = slowest_start.max(killed.elapsed());
        bar.step();
    }
    drop(bar);
    sleep(options.life).await;
    let outcome = crowd.end().await.with_context(|| format!("seed {seed}"))?;
    server.stop().await?;
    let agent = accounts.iter().find(|account| account.role.is_agent()).context("an agent is needed")?.id;
    let store = scratch.open().await?;
    let invariants = outcome.check(&store, agent).await?;
    store.close().await;
    drop(store);
    scratch.remove().await?;
    Ok(Proof {
        seed,
        clients,
        connects: outcome.sum(|actor| actor.transcript.connects),
        acknowledged: outcome.acknowledged(),
        repeats: outcome.sum(|actor| actor.transcript.repeats),
        doubled: outcome.sum(|actor| actor.screen.doubled),
        kills: options.kill,
        slowest_start,
        took: began.elapsed(),
        invariants,
    })
}

/// Names and roles of agents and customers.
fn people(options: &ProveOptions) -> Vec<(String, Role)> {
    let agents = ["Ada", "Bea", "Cy", "Dan"].map(|name| (name.to_owned(), Role::Admin));
    let customers = (1..=options.customers).map(|index| (format!("customer-{index}"), Role::Customer));
    agents.into_iter().chain(customers).collect()
}

fn person(account: &Account) -> Person {
    Person { id: account.id.to_string(), role: account.role, token: account.token(SECRET) }
}

/// The tabs of every person, with all faces on both sides. People with a classic tab have no other, nor have agents with a page on
/// MongoDB: after a kill, what was delivered to another tab counts as delivered to them, and they cannot report that they lack it.
fn scripts(people: &[Person], options: &ProveOptions, url: &str, random: &mut StdRng) -> Vec<Script> {
    let tabs: [&[Face]; 8] = [
        &[Face::Socketio, Face::Polling],
        &[Face::Page, Face::Page],
        &[Face::Storefront, Face::Drivecash],
        &[Face::Classic],
        &[Face::Drivecash, Face::Socketio, Face::Page],
        &[Face::Socketio, Face::Socketio, Face::Storefront],
        &[Face::Polling],
        &[Face::Storefront, Face::Storefront],
    ];
    let mut scripts = Vec::new();
    for (index, me) in people.iter().enumerate() {
        let is_agent = me.role.is_agent();
        let side = if is_agent { "agent" } else { "customer" };
        // MongoDB has no total order of entries, so an agent's page cannot name its place in the log.
        let is_exact = options.server_options.mongodb_uri.is_none() || !is_agent;
        for (tab, face) in tabs[index % tabs.len()].iter().copied().enumerate() {
            if face == Face::Page && !is_exact && tab > 0 {
                continue;
            }
            let name = format!("{side} {index}.{tab} ({})", face.word());
            let others = people.iter().filter(|other| other.role.is_agent() != is_agent).cloned().collect();
            let (think, seed) = (options.think, random.random());
            let (me, url, link) = (me.clone(), url.to_owned(), Some(LINK));
            scripts.push(Script { name, me, face, url, others, think, link, seed, is_exact, expects_live: true });
        }
    }
    scripts
}
