//! The address of the client that sent a request, also behind proxies.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{ConnectInfo, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, header};
use ipnet::IpNet;

use super::PublicUrl;
use super::server_url::ReachedAt;
use crate::limits::{Route, Source};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose `X-Forwarded-For` and `Forwarded` headers are trusted.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Arc<[IpNet]>);

impl TrustedProxies {
    /// The proxies in these networks.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether an address is one of them.
    #[must_use]
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// The settings that describe the proxies in front of this server.
#[derive(Debug, Clone)]
pub(super) struct Front {
    pub(super) proxies: TrustedProxies,
    pub(super) public_urls: Arc<[PublicUrl]>,
}

/// The address that a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress {
    ip: IpAddr,
    /// The client's address according to a proxy that is not trusted.
    claimed: Option<IpAddr>,
}

impl ClientAddress {
    /// The address of a request that has passed [`find_address`]; `0.0.0.0` for one that has not, as in tests.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        let unknown = Self { ip: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), claimed: None };
        extensions.get::<Self>().copied().unwrap_or(unknown)
    }

    /// The client's address, or that of the first proxy that is not trusted.
    #[must_use]
    pub const fn ip(&self) -> IpAddr {
        self.ip
    }

    /// The address as limits count it.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::of(self.ip)
    }

    /// The route of the request: a client's address, and whether it came through a proxy. A proxy that is not trusted may have many
    /// addresses, and use another one for each request, so the address that it claims for its client replaces its own. Such a route
    /// never equals a direct one, so that nobody can pose as a direct client by sending a header.
    #[must_use]
    pub fn route(&self) -> Route {
        match self.claimed {
            Some(claimed) => Route::through_a_proxy(Source::of(claimed)),
            None => Route::direct(self.source()),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.extensions))
    }
}

/// Determines the address that a request comes from, and adds it to the request as a [`ClientAddress`], together with what
/// [`ServerUrl`](super::ServerUrl) needs.
///
/// `X-Forwarded-For`, or else `Forwarded`, is read from right to left as long as each hop is trusted. The first one that is not is
/// the client: everything further left may have been written by it.
pub(super) fn find_address(front: &Front, request: &mut Request) {
    if let Some(ConnectInfo(peer)) = request.extensions_mut().remove::<ConnectInfo<std::net::SocketAddr>>() {
        let peer = peer.ip();
        let address = find(&front.proxies, peer, request.headers());
        let reached_at = ReachedAt::new(&front.public_urls, front.proxies.trusts(peer), request.headers());
        request.extensions_mut().insert(address);
        request.extensions_mut().insert(reached_at);
    }
}

fn find(trusted: &TrustedProxies, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
    let mut ip = peer.to_canonical();
    for hop in hops(headers).into_iter().rev() {
        if !trusted.trusts(ip) {
            return ClientAddress { ip, claimed: hop };
        }
        // A trusted proxy that names its client by no address counts as the client.
        let Some(hop) = hop else { break };
        ip = hop;
    }
    ClientAddress { ip, claimed: None }
}

/// The hops, the client first. One that is not an address (`unknown`, `_hidden`) is `None`.
fn hops(headers: &HeaderMap) -> Vec<Option<IpAddr>> {
    let lines = |name: HeaderName| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let listed: Vec<_> = lines(X_FORWARDED_FOR).flat_map(|line| line.split(',')).map(address).collect();
    if !listed.is_empty() {
        return listed;
    }
    lines(header::FORWARDED).flat_map(|line| line.split(',')).map(forwarded_for).collect()
}

/// The address in one element of a `Forwarded` header: `for=192.0.2.60;proto=http`.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    let mut pairs = element.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case("for")).and_then(|(_, value)| address(value))
}

/// An address with or without quotes, brackets and a port.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bracketed = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(address, _)| address);
    let parsed = match bracketed {
        Some(address) => address.parse(),
        None => text.parse().or_else(|_| text.rsplit_once(':').map_or(text, |(address, _)| address).parse()),
    };
    parsed.ok().map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(proxies: &[&str], peer: &str, headers: &[(&'static str, &str)]) -> ClientAddress {
        let proxies: Vec<IpNet> = proxies.iter().map(|network| network.parse().unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        find(&TrustedProxies::new(&proxies), peer.parse().unwrap(), &map)
    }

    #[test]
    fn the_client_is_the_right_most_hop_that_is_not_trusted() {
        for (proxies, peer, headers, client) in [
            (&[][..], "192.0.2.1", &[("x-forwarded-for", "198.51.100.7")][..], "192.0.2.1"),
            (&["192.0.2.0/24"], "192.0.2.1", &[("x-forwarded-for", "198.51.100.7")], "198.51.100.7"),
            (&["192.0.2.0/24"], "192.0.2.1", &[("x-forwarded-for", "10.9.9.9, 198.51.100.7")], "198.51.100.7"),
            (
                &["192.0.2.0/24", "10.0.0.0/8"],
                "192.0.2.1",
                &[("x-forwarded-for", "1.1.1.1, 198.51.100.7, 10.0.0.2"), ("x-forwarded-for", "10.0.0.3")],
                "198.51.100.7",
            ),
            (&["192.0.2.0/24"], "192.0.2.1", &[], "192.0.2.1"),
            (&["192.0.2.0/24"], "192.0.2.1", &[("x-forwarded-for", "198.51.100.7, unknown")], "192.0.2.1"),
            (&["192.0.2.0/24"], "192.0.2.1", &[("x-forwarded-for", "198.51.100.7:4711")], "198.51.100.7"),
            (&["192.0.2.1/32"], "::ffff:192.0.2.1", &[("x-forwarded-for", "198.51.100.7")], "198.51.100.7"),
            (
                &["192.0.2.0/24"],
                "192.0.2.1",
                &[("forwarded", r#"for=1.1.1.1, for="[2001:db8::7]:4711";proto=https"#)],
                "2001:db8::7",
            ),
            (&["192.0.2.0/24"], "203.0.113.5", &[("forwarded", "for=198.51.100.7")], "203.0.113.5"),
        ] {
            let expected: IpAddr = client.parse().unwrap();
            assert_eq!(found(proxies, peer, headers).ip(), expected, "{peer} {headers:?}");
        }
    }

    #[test]
    fn the_route_through_an_untrusted_proxy_is_its_claim_and_never_equals_a_direct_one() {
        let through = |peer, client| found(&[], peer, &[("x-forwarded-for", client)]).route();
        assert_eq!(through("192.0.2.1", "198.51.100.7"), through("203.0.113.9", "198.51.100.7"));
        assert_ne!(through("192.0.2.1", "198.51.100.7"), through("192.0.2.1", "198.51.100.8"));
        assert_ne!(through("192.0.2.1", "198.51.100.7"), found(&[], "198.51.100.7", &[]).route());
    }
}
