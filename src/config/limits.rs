//! Rate limits by address and person, and the trusted proxies.

use std::net::IpAddr;

use clap::Args;
use ipnet::IpNet;

use crate::limits::{ActionRate, Limits};
use crate::net::TrustedProxies;

/// Rate limits by address and person, and the trusted proxies.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Proxies and limits")]
pub struct LimitsConfig {
    /// Address or network of a proxy in front of the server; may be given several times.
    ///
    /// The `X-Forwarded-*` and `Forwarded` headers of its requests are trusted. Without this setting, all clients behind the
    /// proxy count as one address, for rate limits and for bans.
    #[arg(long = "trusted-proxy", env = "DESKLINE_TRUSTED_PROXY", value_delimiter = ',', value_name = "CIDR", value_parser = network)]
    pub trusted_proxies: Vec<IpNet>,
    /// Rate limit for one action, e.g. `mails=30/10m` or `mails=off`; may be given several times.
    ///
    /// A rate is COUNT/TIME or COUNT/TIME:BURST. By address: handshakes, log-ins, registrations, mails, codes, rooms, uploads,
    /// searches. By person: person-uploads, person-searches. `all=off` lifts all of them. docs/OPERATING.md lists the defaults.
    #[arg(long = "limit", env = "DESKLINE_LIMIT", value_delimiter = ',', value_name = "NAME=RATE")]
    pub limits: Vec<ActionRate>,
}

impl LimitsConfig {
    /// The proxies in the form that the network layer takes.
    #[must_use]
    pub fn proxies(&self) -> TrustedProxies {
        TrustedProxies::new(&self.trusted_proxies)
    }

    /// The limits. A demo does not limit clients on the same machine.
    #[must_use]
    pub fn limits(&self, demo: bool) -> Limits {
        Limits::new(&self.limits, demo)
    }
}

/// Reads a network; a single address becomes a network of one.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(network), _) => Ok(network),
        (Err(_), Ok(address)) => Ok(address.into()),
        (Err(_), Err(_)) => Err("not an address or network like 10.0.0.0/8".to_owned()),
    }
}
