//! `deskline prove`: that nothing is lost, doubled, out of order or shown to the wrong person, whatever happens to the server.
//!
//! It starts a server on a scratch store, lets clients of all kinds talk, kills the server again and again, and then holds
//! what was acknowledged, what is kept and what everybody heard against each other.
//!
//! All random choices follow from one seed. What happens in which order does not: that is the machine's, so a seed makes a
//! failure likely to come again, not certain.
//!
//! Reading order: [`actor`], [`socketio`], [`classic`], [`page`], [`channels`], [`transcript`], [`logs`], [`checks`], [`receipts`].

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

mod actor;
mod channels;
mod checks;
mod classic;
mod logs;
mod options;
mod page;
mod receipts;
mod responses;
mod socketio;
#[cfg(test)]
mod tests;
mod transcript;

pub use checks::Invariant;
pub use options::ProveOptions;

use crate::cli::Progress;
use crate::domain::Role;
use crate::lab::testkit::{Account, ChildServer, SECRET, Scratch, http};
use actor::{Actor, Face, Part, Person, Phase};

/// How long clients may take to finish once nobody is killed any more.
const PATIENCE: Duration = Duration::from_mins(1);

/// How many findings of a broken invariant are shown.
const SHOWN: usize = 5;

/// What a proof has found.
#[derive(Debug)]
pub struct Proof {
    /// What all random choices followed from.
    pub seed: u64,
    /// How many clients talked.
    pub clients: usize,
    /// How often they connected.
    pub connects: u64,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages that were sent again under the same name.
    pub repeats: u64,
    /// Messages that came again to an agent's page on MongoDB, where its place cannot be named. Elsewhere that is a broken invariant.
    pub doubled: u64,
    /// How often the server was killed.
    pub kills: u32,
    /// From being started again to listening, the longest.
    pub slowest_start: Duration,
    /// How long it took.
    pub took: Duration,
    /// What was checked.
    pub invariants: Vec<Invariant>,
}

impl Proof {
    /// Whether every invariant was put to the test and held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.acknowledged > 0
            && self.invariants.iter().all(|invariant| invariant.checked > 0 && invariant.broken.is_empty())
    }

    /// A table that a person understands.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = String::new();
        // Writing to a string cannot fail.
        let _ok = writeln!(
            table,
            "{} clients, {} connects, {} messages acknowledged, {} sent again, {} told again to pages without a place, {} kills (back within {:.2} s), {:.1} s\n",
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

/// Holds a proof, and prints what it finds. Tells whether every invariant held.
///
/// # Errors
/// If the server cannot be started or stopped, or the store cannot be read.
pub async fn run(options: &ProveOptions) -> anyhow::Result<bool> {
    let proof = prove(options).await?;
    write!(io::stdout(), "{}", proof.table())?;
    Ok(proof.holds())
}

/// Holds a proof.
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
        let opened = http::post(&server.url, "/api/public/chat-rooms/", &customer.token, &nothing).await;
        let opened = opened.context("opening a conversation")?;
        ensure!(opened.status < 300, "opening a conversation: {} {}", opened.status, opened.body);
    }
    let (tell, phase) = watch::channel(Phase::Talk);
    let (count, mut finished) = watch::channel(0);
    let mut talking = JoinSet::new();
    for part in cast(&people, options, &mut random) {
        talking.spawn(Actor::new(part, &server.url, phase.clone(), count.clone()).run());
    }
    let clients = talking.len();
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
    tell.send_replace(Phase::Finish);
    let all_finished = timeout(PATIENCE, finished.wait_for(|finished| *finished == clients)).await;
    let is_late = all_finished.is_err();
    tell.send_replace(Phase::Leave);
    let mut actors = Vec::new();
    while let Ok(Some(actor)) = timeout(PATIENCE, talking.join_next()).await {
        actors.push(actor.context("a client failed")?);
    }
    ensure!(!is_late && actors.len() == clients, "not every client could finish: seed {seed}");
    server.stop().await?;
    let agent = accounts.iter().find(|account| account.role.is_agent()).context("an agent is needed")?.id;
    let store = scratch.open().await?;
    let invariants = checks::check_all(&store, agent, &actors).await?;
    store.close().await;
    drop(store);
    scratch.remove().await?;
    let sum = |count: fn(&Actor) -> u64| actors.iter().map(count).sum();
    Ok(Proof {
        seed,
        clients,
        connects: sum(|actor| actor.transcript.connects),
        acknowledged: sum(|actor| actor.transcript.acked.len() as u64),
        repeats: sum(|actor| actor.transcript.repeats),
        doubled: sum(|actor| actor.screen.doubled),
        kills: options.kill,
        slowest_start,
        took: began.elapsed(),
        invariants,
    })
}

/// Everybody, by name: agents and customers.
fn people(options: &ProveOptions) -> Vec<(String, Role)> {
    let agents = ["Ada", "Bea", "Cy", "Dan"].map(|name| (name.to_owned(), Role::Admin));
    let customers = (1..=options.customers).map(|index| (format!("customer-{index}"), Role::Customer));
    agents.into_iter().chain(customers).collect()
}

fn person(account: &Account) -> Person {
    Person { id: account.id.to_string(), role: account.role, token: account.token(SECRET) }
}

/// Who has which tabs open. All faces are there on both sides. Who speaks the classic face has one tab, and so has an agent with a page
/// on MongoDB: after a kill, what another tab was delivered counts for them, and they cannot say that they lack it.
fn cast(people: &[Person], options: &ProveOptions, random: &mut StdRng) -> Vec<Part> {
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
    let mut cast = Vec::new();
    for (index, me) in people.iter().enumerate() {
        let is_agent = me.role.is_agent();
        let side = if is_agent { "agent" } else { "customer" };
        // MongoDB has no order of all entries, so an agent's page can name no place in it.
        let is_exact = options.server_options.mongodb_uri.is_none() || !is_agent;
        for (tab, face) in tabs[index % tabs.len()].iter().copied().enumerate() {
            if face == Face::Page && !is_exact && tab > 0 {
                continue;
            }
            let name = format!("{side} {index}.{tab} ({})", face.word());
            let others = people.iter().filter(|other| other.role.is_agent() != is_agent).cloned().collect();
            let (think, seed) = (options.think, random.random());
            cast.push(Part { name, me: me.clone(), face, others, think, seed, is_exact });
        }
    }
    cast
}
