//! How much clients may do, and whose word about their address is taken.

use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;

use crate::limits::{ActionRate, Limits};
use crate::net::TrustedProxies;

/// How much clients may do, and whose word about their address is taken.
#[derive(Debug, Clone, Args)]
pub struct LimitsConfig {
    /// A proxy in front of the server, as an address or a network: its `X-Forwarded-For` and `Forwarded` headers are believed. May
    /// be given several times.
    #[arg(long = "trusted-proxy", env = "DESKLINE_TRUSTED_PROXY", value_delimiter = ',', value_name = "CIDR", value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
    /// How often one address may do something, e.g. `registrations=60/10m`, `mails=off` or `all=off`; names: handshakes, log-ins,
    /// registrations, mails, codes, rooms, uploads, searches; and of one person: person-uploads, person-searches. May be given
    /// several times.
    #[arg(long = "limit", env = "DESKLINE_LIMIT", value_delimiter = ',', value_name = "NAME=RATE")]
    pub limits: Vec<ActionRate>,
}

impl LimitsConfig {
    /// The proxies, as the network layer takes them.
    #[must_use]
    pub fn proxies(&self) -> TrustedProxies {
        TrustedProxies::new(&self.trusted_proxies)
    }

    /// The limits. Nobody on this machine is held up in a demo.
    #[must_use]
    pub fn limits(&self, demo: bool) -> Limits {
        Limits::new(&self.limits, demo)
    }
}

/// A network, or an address as a network of its own.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => Ok(network),
        (Err(_), Ok(address)) => Ok(address.into()),
        (Err(_), Err(_)) => Err("not an address or network like 10.0.0.0/8".to_owned()),
    }
}
