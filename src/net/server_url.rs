//! The URL at which a client reaches this server, for responses that contain links.
//!
//! A client can send any `Host`, so a configured URL takes precedence. The headers that describe the original request
//! (`X-Forwarded-Proto`, `X-Forwarded-Host`, `Forwarded`) are accepted from trusted proxies only.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap, HeaderName, header};
use url::{Position, Url};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// A URL at which pages reach this server, e.g. `https://chat.example.com`.
///
/// ```
/// use deskline::net::PublicUrl;
/// assert_eq!("https://chat.example.com/".parse::<PublicUrl>().unwrap().to_string(), "https://chat.example.com");
/// assert!("chat.example.com".parse::<PublicUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

/// A text is not a [`PublicUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a URL like https://chat.example.com")]
pub struct PublicUrlError;

impl PublicUrl {
    fn host(&self) -> &str {
        &self.0[Position::BeforeHost..Position::AfterPort]
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url = Url::parse(text).map_err(|_| PublicUrlError)?;
        let is_web = matches!(url.scheme(), "http" | "https");
        let has_more = url[..Position::BeforeHost].contains('@') || url.query().is_some() || url.fragment().is_some();
        if is_web && !has_more { Ok(Self(url)) } else { Err(PublicUrlError) }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// How a request reached the outermost trusted proxy, and the configured URLs. An extension of each request, so that [`ServerUrl`] is
/// computed only for responses with links.
#[derive(Debug, Clone, Default)]
pub(super) struct ReachedAt {
    configured: Arc<[PublicUrl]>,
    is_https: bool,
    host: Option<Box<str>>,
}

impl ReachedAt {
    pub(super) fn new(configured: &Arc<[PublicUrl]>, is_from_trusted_proxy: bool, headers: &HeaderMap) -> Self {
        let configured = configured.clone();
        if !is_from_trusted_proxy {
            return Self { configured, ..Self::default() };
        }
        let proto = last_value(headers, &X_FORWARDED_PROTO).or_else(|| forwarded(headers, "proto"));
        let host = last_value(headers, &X_FORWARDED_HOST).or_else(|| forwarded(headers, "host"));
        Self {
            configured,
            is_https: proto.is_some_and(|proto| proto.eq_ignore_ascii_case("https")),
            host: host.filter(|host| !host.is_empty()).map(Into::into),
        }
    }
}

/// The beginning of every link in the response to a request, e.g. `https://chat.example.com`: the configured URL with the requested
/// host, or else the first configured one; without any, the requested host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(Box<str>);

impl ServerUrl {
    /// The URL for a request with these headers and extensions, which has passed [`add_layers`](super::add_layers).
    #[must_use]
    pub fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let unknown = ReachedAt::default();
        let ReachedAt { configured, is_https, host } = extensions.get::<ReachedAt>().unwrap_or(&unknown);
        let requested = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let host = host.as_deref().unwrap_or(requested);
        let known = configured.iter().find(|url| url.host().eq_ignore_ascii_case(host)).or(configured.first());
        let scheme = if *is_https { "https" } else { "http" };
        Self(known.map_or_else(|| format!("{scheme}://{host}"), ToString::to_string).into())
    }

    /// Without a final slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<S: Sync> FromRequestParts<S> for ServerUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers, &parts.extensions))
    }
}

/// The last value of a header: the one that the nearest proxy has added.
fn last_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
    line.rsplit(',').next().map(str::trim)
}

fn forwarded<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let mut pairs = last_value(headers, &header::FORWARDED)?.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(configured: &[&str], is_trusted: bool, sent: &[(&'static str, &str)]) -> String {
        let configured: Arc<[PublicUrl]> = configured.iter().map(|url| url.parse().unwrap()).collect();
        let headers =
            sent.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        let mut extensions = Extensions::new();
        extensions.insert(ReachedAt::new(&configured, is_trusted, &headers));
        ServerUrl::of(&headers, &extensions).as_str().to_owned()
    }

    #[test]
    fn a_url_is_written_as_browsers_write_it() {
        for (configured, url) in [
            ("https://chat.test", "https://chat.test"),
            ("HTTPS://Chat.Test:443/", "https://chat.test"),
            ("http://10.0.0.1:3000/desk//", "http://10.0.0.1:3000/desk"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://größe.test", "https://xn--gre-6ka8i.test"),
        ] {
            assert_eq!(configured.parse::<PublicUrl>().unwrap().to_string(), url);
        }
        for text in [
            "",
            "/",
            "chat.test",
            "//chat.test",
            "chat.test:443",
            "https://",
            "ws://chat.test",
            "https://u@chat.test",
            "https://chat.test?",
            "https://chat.test#x",
            "https://a b",
            "https://<x>",
            "https://chat.test:x",
        ] {
            assert_eq!(text.parse::<PublicUrl>(), Err(PublicUrlError), "{text}");
        }
    }

    #[test]
    fn a_configured_url_takes_precedence_and_only_headers_of_trusted_proxies_are_accepted() {
        let host = ("host", "10.0.0.1:3000");
        let (proto, outer) = (("x-forwarded-proto", "https"), ("x-forwarded-host", "shop.test"));
        let forwarded = ("forwarded", r#"for=1.1.1.1;proto=http, for=2.2.2.2;host="shop.test";proto=https"#);
        for (configured, is_trusted, sent, expected) in [
            (&[][..], false, &[host][..], "http://10.0.0.1:3000"),
            (&[], false, &[host, proto, outer], "http://10.0.0.1:3000"),
            (&[], true, &[host], "http://10.0.0.1:3000"),
            (&[], true, &[host, proto], "https://10.0.0.1:3000"),
            (&[], true, &[host, proto, outer], "https://shop.test"),
            (&[], true, &[host, ("x-forwarded-proto", "http, https"), outer], "https://shop.test"),
            (&[], true, &[host, forwarded], "https://shop.test"),
            (&[], false, &[host, forwarded], "http://10.0.0.1:3000"),
            (&["https://a.test", "https://shop.test/desk"], true, &[host, outer], "https://shop.test/desk"),
            (&["https://a.test", "https://shop.test"], false, &[host, outer], "https://a.test"),
            (&[], false, &[], "http://localhost"),
        ] {
            assert_eq!(url(configured, is_trusted, sent), expected, "{configured:?} {is_trusted} {sent:?}");
        }
    }
}
