//! The pairs: who sends to whom.

use super::options::BenchOptions;
use super::target::{Endpoint, Target};
use crate::lab::testkit::Account;

/// Senders, and who listens to them.
pub(super) struct Pairs {
    /// Where each sender comes in.
    pub(super) senders: Vec<Endpoint>,
    /// Whom each of them sends to in turn; empty where a message names nobody.
    pub(super) receivers: Vec<Vec<String>>,
    /// Where those come in who listen for that.
    pub(super) listeners: Vec<Endpoint>,
}

impl Pairs {
    /// The first half of the customers to the second, one to one; in rooms, each of them to the agent.
    pub(super) async fn in_pairs(
        options: &BenchOptions,
        target: &Target,
        mut customers: Vec<Account>,
    ) -> anyhow::Result<Self> {
        if options.protocol.is_channels() {
            return Self::in_rooms(options, target, &customers).await;
        }
        let listeners = customers.split_off(customers.len() / 2);
        Ok(Self::by_name(customers, listeners))
    }

    /// All customers to one agent, which is on a single connection unless each room needs its own.
    pub(super) async fn to_agent(
        options: &BenchOptions,
        target: &Target,
        customers: Vec<Account>,
    ) -> anyhow::Result<Self> {
        if options.protocol.is_channels() {
            return Self::in_rooms(options, target, &customers).await;
        }
        Ok(Self::by_name(customers, vec![target.agent()?]))
    }

    /// One agent to all customers, on a single connection unless each room needs its own.
    pub(super) async fn from_agent(
        options: &BenchOptions,
        target: &Target,
        customers: &[Account],
    ) -> anyhow::Result<Self> {
        if options.protocol.is_channels() {
            let Self { senders: listeners, receivers, listeners: senders } =
                Self::in_rooms(options, target, customers).await?;
            return Ok(Self { senders, receivers, listeners });
        }
        let receivers = vec![customers.iter().map(|account| account.id.to_string()).collect()];
        let listeners = customers.iter().cloned().map(Endpoint::Socketio).collect();
        Ok(Self { senders: vec![Endpoint::Socketio(target.agent()?)], receivers, listeners })
    }

    async fn in_rooms(options: &BenchOptions, target: &Target, customers: &[Account]) -> anyhow::Result<Self> {
        let agent = target.agent()?.token(&target.secret);
        let rooms = target.rooms(options, customers).await?;
        let listeners = rooms.iter().map(|room| Endpoint::Conversation(room.with_token(&agent))).collect();
        let receivers = vec![vec![String::new()]; rooms.len()];
        Ok(Self { senders: rooms.into_iter().map(Endpoint::Conversation).collect(), receivers, listeners })
    }

    fn by_name(senders: Vec<Account>, listeners: Vec<Account>) -> Self {
        let receivers =
            listeners.iter().cycle().take(senders.len()).map(|account| vec![account.id.to_string()]).collect();
        let endpoints = |accounts: Vec<_>| accounts.into_iter().map(Endpoint::Socketio).collect();
        Self { senders: endpoints(senders), receivers, listeners: endpoints(listeners) }
    }
}
