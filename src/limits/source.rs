//! Client addresses, as limits count them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An address as limits count it: an IPv4 address, or the /64 network of an IPv6 address, since one subscriber usually controls a whole
/// /64.
///
/// ```
/// use deskline::limits::Source;
/// let of = |address: &str| Source::of(address.parse().unwrap());
/// assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9"));
/// assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
/// assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Source(IpAddr);

impl Source {
    /// The source that an address belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            other => other,
        })
    }

    /// Whether this is a loopback address.
    #[must_use]
    pub const fn is_loopback(&self) -> bool {
        self.0.is_loopback()
    }
}

/// How a client's requests reach the server. All requests of a session must have the same route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Route {
    source: Source,
    /// The source was supplied by an undeclared proxy, so it cannot be trusted.
    is_claimed: bool,
}

impl Route {
    /// The route of a client whose address is known.
    #[must_use]
    pub const fn direct(source: Source) -> Self {
        Self { source, is_claimed: false }
    }

    /// The route of a client that an undeclared proxy names.
    #[must_use]
    pub const fn through_a_proxy(claimed: Source) -> Self {
        Self { source: claimed, is_claimed: true }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}
