//! `deskline ban`: bans an address, an account or a visitor for a time, also while a server runs on the same store. The server
//! notices changes within half a second.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ipnet::{IpNet, Ipv6Net};
use uuid::Uuid;

use super::say;
use super::user::must_exist;
use crate::config::{StoreConfig, network};
use crate::domain::{Ban as Entry, Banned, Clock, SystemClock, UserId};
use crate::store::{MAX_BANS, MAX_PAGE, Stores, UserKey};

/// The widest networks that can be banned, in bits of their prefix.
const WIDEST: (u8, u8) = (8, 16);

/// Ban an address, an account or a visitor for a time.
///
/// All servers on the same store apply bans within half a second: they close open connections and refuse new requests.
#[derive(Debug, Args)]
pub(super) struct Ban {
    #[command(flatten)]
    store: StoreConfig,
    /// Proxies in front of the server, as set for it; they cannot be banned.
    #[arg(long = "trusted-proxy", env = "DESKLINE_TRUSTED_PROXY", value_delimiter = ',', value_name = "CIDR", value_parser = network)]
    trusted_proxies: Vec<IpNet>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Ban somebody. An existing ban gets the new time.
    Add {
        /// IP address or network; e-mail address or id of an account; id of a visitor, or UUID of their conversation.
        who: String,
        /// Duration of the ban, e.g. `30m`, `12h` or `7d`.
        #[arg(long = "for", value_name = "TIME", default_value = "1d", value_parser = humantime::parse_duration)]
        time: Duration,
    },
    /// List all bans and when they end.
    List,
    /// Lift a ban.
    Lift {
        /// As given to `ban add`, or as shown by `ban list`.
        who: String,
    },
}

impl Ban {
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.store.complete();
        let location = self.store.location();
        must_exist(&location)?;
        let store = location.open().await.with_context(|| format!("opening the store, {location}"))?;
        let done = self.action.run(&store.stores(), &self.trusted_proxies).await;
        store.close().await;
        done
    }
}

impl Action {
    async fn run(self, stores: &Stores, proxies: &[IpNet]) -> anyhow::Result<()> {
        match self {
            Self::Add { who, time } => add(stores, find(stores, &who).await?, time, proxies).await,
            Self::List => list(stores).await,
            Self::Lift { who } => {
                let banned = find(stores, &who).await?;
                if !stores.bans.lift_ban(banned).await? {
                    bail!("{banned} is not banned\nhint: `deskline ban list` shows who is");
                }
                say(format_args!("Lifted the ban of {banned}."))
            }
        }
    }
}

async fn add(stores: &Stores, who: Banned, time: Duration, proxies: &[IpNet]) -> anyhow::Result<()> {
    if let Banned::Network(network) = who {
        check(network, proxies)?;
    }
    let now = SystemClock.now();
    let until = now.after(time);
    if !stores.bans.save_ban(Entry { who, until }, now).await? {
        bail!(
            "there are {MAX_BANS} bans already, which is the limit\nhint: lift some, or ban a whole network such as 192.0.2.0/24"
        );
    }
    say(format_args!("Banned {who} until {until}."))
}

/// Refuses bans that would lock everybody out.
fn check(network: IpNet, proxies: &[IpNet]) -> anyhow::Result<()> {
    let overlaps = |other: &IpNet| network.contains(other) || other.contains(&network);
    if let Some(proxy) = proxies.iter().find(|proxy| overlaps(proxy)) {
        bail!(
            "{network} contains, or is part of, the trusted proxy {proxy}, through which all clients connect\n\
             hint: ban the address of the client instead: the last one in X-Forwarded-For"
        );
    }
    if network.addr().is_loopback() {
        bail!(
            "{network} is this machine, and may be a proxy that runs on it\nhint: ban the address of the client instead"
        );
    }
    let (prefix, widest) = (network.prefix_len(), if matches!(network, IpNet::V4(_)) { WIDEST.0 } else { WIDEST.1 });
    if prefix < widest {
        bail!("{network} is too large to ban\nhint: ban networks of /{widest} or smaller");
    }
    Ok(())
}

/// Finds whom a text names.
async fn find(stores: &Stores, who: &str) -> anyhow::Result<Banned> {
    let who = who.trim();
    if let Some(network) = as_network(who) {
        return Ok(Banned::Network(network));
    }
    if let Ok(id) = who.parse::<UserId>() {
        return match stores.users.user(id).await? {
            Some(user) => Ok(Banned::Person(user.id)),
            None => bail!("no account and no visitor has the id {id}"),
        };
    }
    if let Ok(room) = who.parse::<Uuid>() {
        let room = stores.conversations.summary_by_uuid(room.as_u128()).await?;
        return match room.and_then(|room| room.conversation.members.customer()) {
            Some(customer) => Ok(Banned::Person(customer)),
            None => bail!("no conversation with the desk has this UUID"),
        };
    }
    if let Ok(email) = who.parse() {
        return match stores.users.find_user(UserKey::Email(&email)).await? {
            Some(user) => Ok(Banned::Person(user.id)),
            None => bail!("no account has this address"),
        };
    }
    bail!(
        "cannot tell who {who:?} is\nhint: give an IP address or a network such as 192.0.2.0/24, an e-mail address, an id of 24 hex \
         digits, or the UUID of a conversation"
    )
}

/// Reads a network. An address becomes the network that a single subscriber gets: a /64 for IPv6.
fn as_network(text: &str) -> Option<IpNet> {
    if let Ok(network) = text.parse::<IpNet>() {
        return Some(network.trunc());
    }
    match text.parse::<IpAddr>().ok()?.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            Ipv6Net::new(address, 64).ok().map(|net| IpNet::V6(net.trunc()))
        }
        address => Some(address.into()),
    }
}

async fn list(stores: &Stores) -> anyhow::Result<()> {
    let bans = stores.bans.bans(SystemClock.now()).await?;
    let person = |ban: &Entry| if let Banned::Person(id) = ban.who { Some(id) } else { None };
    let people: Vec<UserId> = bans.iter().filter_map(person).collect();
    let mut known = Vec::new();
    for ids in people.chunks(MAX_PAGE) {
        known.extend(stores.users.users(ids).await?);
    }
    for ban in &bans {
        let user = known.iter().find(|user| person(ban) == Some(user.id));
        let name = user.map(|user| format!("  {}  {}", user.email_text(), user.name)).unwrap_or_default();
        say(format_args!("until {}  {}{name}", ban.until, ban.who))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_the_network_of_one_subscriber() {
        for (text, network) in [
            ("192.0.2.7", Some("192.0.2.7/32")),
            ("192.0.2.7/24", Some("192.0.2.0/24")),
            ("::ffff:192.0.2.7", Some("192.0.2.7/32")),
            ("2001:db8:1:2:3::4", Some("2001:db8:1:2::/64")),
            ("ann@x.test", None),
        ] {
            assert_eq!(as_network(text).map(|network| network.to_string()).as_deref(), network, "{text}");
        }
    }

    #[test]
    fn bans_that_would_lock_everybody_out_are_refused() {
        let proxies = ["10.0.0.0/24".parse().unwrap(), "2001:db8::1/128".parse().unwrap()];
        for (network, why) in [
            ("10.0.0.7/32", "trusted proxy 10.0.0.0/24"),
            ("10.0.0.0/8", "trusted proxy"),
            ("2001:db8::/32", "trusted proxy 2001:db8::1/128"),
            ("127.0.0.1/32", "this machine"),
            ("::1/128", "this machine"),
            ("0.0.0.0/0", "trusted proxy"),
            ("64.0.0.0/7", "too large"),
        ] {
            let refused = check(network.parse().unwrap(), &proxies).unwrap_err().to_string();
            assert!(refused.contains(why) && refused.contains("hint: "), "{network}: {refused}");
        }
        check("192.0.2.0/24".parse().unwrap(), &proxies).unwrap();
    }
}
