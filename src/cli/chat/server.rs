//! The address of the server.

use std::str::FromStr;

use url::{Host, Url};

const FORM: &str = "an address of the form http://HOST:PORT is required";

const NO_HTTPS: &str = "this client does not speak https; forward a port of the server instead, e.g. with \
                        `ssh -L 3000:127.0.0.1:3000 HOST`, and leave --url out";

/// A server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    /// `http://HOST:PORT`.
    pub(super) url: String,
    /// Whether it is on this machine, so that nothing that is sent to it crosses a network.
    pub(super) is_loopback: bool,
}

impl FromStr for Server {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = Url::parse(text).map_err(|_| FORM)?;
        if url.scheme() == "https" {
            return Err(NO_HTTPS);
        }
        let is_bare =
            url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else { return Err(FORM) };
        if url.scheme() != "http" || !is_bare {
            return Err(FORM);
        }
        let is_loopback = match host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        Ok(Self { url: format!("http://{host}:{port}"), is_loopback })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_on_this_machine() {
        for (text, url, is_loopback) in [
            (crate::cli::LOCAL_URL, "http://127.0.0.1:3000", true),
            ("http://localhost:3000/", "http://localhost:3000", true),
            ("http://[::1]:3000", "http://[::1]:3000", true),
            ("http://127.0.0.1.example.com:3000", "http://127.0.0.1.example.com:3000", false),
            ("http://localhost.example.com", "http://localhost.example.com:80", false),
            ("http://192.0.2.1:3000", "http://192.0.2.1:3000", false),
        ] {
            assert_eq!(text.parse(), Ok(Server { url: url.to_owned(), is_loopback }), "{text}");
        }
        for text in
            ["127.0.0.1:3000", "localhost:3000", "http://localhost@192.0.2.1:3000", "http://x:3000/chat", "ws://x"]
        {
            assert_eq!(text.parse::<Server>(), Err(FORM), "{text}");
        }
        assert_eq!("https://chat.example.com".parse::<Server>(), Err(NO_HTTPS));
    }
}
