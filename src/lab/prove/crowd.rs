//! Actors at work, from the first connect to the last message.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::actor::{Actor, Counts, Face, Person, Phase, Script};
use super::checks::{self, Invariant};
use crate::domain::UserId;
use crate::store::OpenStore;

/// How long the actors may take to finish, and then to end.
const PATIENCE: Duration = Duration::from_mins(2);

/// Running actors.
#[derive(Debug)]
pub struct Crowd {
    phase: watch::Sender<Phase>,
    counts: watch::Receiver<Counts>,
    actors: JoinSet<Actor>,
}

/// What actors sent and received.
#[derive(Debug)]
pub struct Outcome {
    pub(super) actors: Vec<Actor>,
}

impl Crowd {
    /// Starts one Socket.IO client per person, spread over the servers at `urls`. They send without a pause, resume
    /// after a reconnect, and retry after transient refusals.
    #[must_use]
    pub fn of_people(people: &[Person], urls: &[&str]) -> Self {
        let scripts = people.iter().zip(urls.iter().cycle()).enumerate().map(|(index, (me, url))| Script {
            name: format!("{} {index}", me.role.word()),
            me: me.clone(),
            face: Face::Socketio,
            url: (*url).to_owned(),
            others: people.iter().filter(|other| other.role.is_agent() != me.role.is_agent()).cloned().collect(),
            think: Duration::ZERO,
            link: None,
            seed: index as u64,
            is_exact: false,
            expects_live: urls.len() == 1,
        });
        Self::start(scripts)
    }

    pub(super) fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        let (phase, watched) = watch::channel(Phase::Talk);
        let (count, counts) = watch::channel(Counts::default());
        let mut actors = JoinSet::new();
        for script in scripts {
            actors.spawn(Actor::new(script, watched.clone(), count.clone()).run());
        }
        Self { phase, counts, actors }
    }

    /// How many actors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.actors.len()
    }

    /// Whether there are no actors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.actors.is_empty()
    }

    /// Waits until `count` more messages are acknowledged. Returns false if that takes longer than `deadline`.
    pub async fn is_acknowledged(&self, count: u64, deadline: Duration) -> bool {
        let mut counts = self.counts.clone();
        let enough = counts.borrow().acknowledged + count;
        let acknowledged = counts.wait_for(|counts| counts.acknowledged >= enough);
        timeout(deadline, acknowledged).await.is_ok_and(|waited| waited.is_ok())
    }

    /// Lets the actors finish: everything is acknowledged first, then everybody reads what they are missing.
    ///
    /// # Errors
    /// If an actor fails, or they do not finish within two minutes.
    pub async fn end(mut self) -> anyhow::Result<Outcome> {
        let count = self.actors.len();
        self.phase.send_replace(Phase::Finish);
        tokio::select! {
            // Before the last phase, an actor only ends by a panic.
            Some(ended) = self.actors.join_next() => bail!("a client failed: {:?}", ended.err()),
            finished = timeout(PATIENCE, self.counts.wait_for(|counts| counts.finished == count)) => {
                finished.context("not every client could finish")?.context("the clients are gone")?;
            }
        }
        self.phase.send_replace(Phase::Leave);
        let mut actors = Vec::new();
        while let Some(actor) = timeout(PATIENCE, self.actors.join_next()).await.context("a client does not end")? {
            actors.push(actor.context("a client failed")?);
        }
        Ok(Outcome { actors })
    }
}

impl Outcome {
    /// Messages that were acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.sum(|actor| actor.transcript.acked.len() as u64)
    }

    /// Transient refusals, e.g. because the store was unavailable.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.sum(|actor| actor.transcript.refused)
    }

    /// Connections beyond the first one of each actor.
    #[must_use]
    pub fn reconnects(&self) -> u64 {
        self.sum(|actor| actor.transcript.connects.saturating_sub(1))
    }

    pub(super) fn sum(&self, count: impl Fn(&Actor) -> u64) -> u64 {
        self.actors.iter().map(count).sum()
    }

    /// Compares what was acknowledged and received with what is stored. No server may use the store any more. `agent` is any agent.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn check(&self, store: &OpenStore, agent: UserId) -> anyhow::Result<Vec<Invariant>> {
        checks::check_all(store, agent, &self.actors).await
    }
}
