//! Pairs of a sender and a receiver.

use super::options::BenchOptions;
use super::target::{Endpoint, Target};
use crate::lab::testkit::Account;

/// Senders and their receivers.
pub(super) struct Pairs {
    /// Endpoint of each sender.
    pub(super) senders: Vec<Endpoint>,
    /// Per sender, the ids that it sends to in turn; empty texts if messages have no recipient.
    pub(super) receivers: Vec<Vec<String>>,
    /// Endpoints of the receivers.
    pub(super) listeners: Vec<Endpoint>,
}

impl Pairs {
    /// The first half of the customers to the second, one to one. Over the Channels protocols, each customer to the agent.
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

    /// All customers to one agent, who has one connection, or one per conversation over the Channels protocols.
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

    /// One agent to all customers, with connections as above.
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
