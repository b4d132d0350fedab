//! Whole addresses of this server, for answers that name one.
//!
//! What a client says of the way it came (`Host`, `X-Forwarded-Proto`) could be made up, and behind a proxy that ends TLS
//! the server knows no better. So the addresses are a setting; without it they are those of a server without a proxy.

use std::fmt;
use std::str::FromStr;

use axum::http::{HeaderMap, header};

/// Where pages find this server, e.g. `https://chat.example.com`.
///
/// ```
/// use deskline::faces::channels::PublicUrl;
/// assert_eq!("https://chat.example.com/".parse::<PublicUrl>().unwrap().to_string(), "https://chat.example.com");
/// assert!("chat.example.com".parse::<PublicUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

/// A text was given that is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an address like https://chat.example.com")]
pub struct PublicUrlError;

impl PublicUrl {
    fn host(&self) -> &str {
        let rest = self.0.split_once("://").map_or("", |(_, rest)| rest);
        rest.split('/').next().unwrap_or_default()
    }
}

impl FromStr for PublicUrl {
    type Err = PublicUrlError;

    fn from_str(text: &str) -> Result<Self, PublicUrlError> {
        let url = Self(text.trim_end_matches('/').to_owned());
        let is_web = url.0.starts_with("https://") || url.0.starts_with("http://");
        let is_plain = url.0.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\"<>".contains(&byte));
        if is_web && is_plain && !url.host().is_empty() { Ok(url) } else { Err(PublicUrlError) }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What addresses begin with in the answer to this request: of several settings the one whose host was asked for, else the
/// first.
pub(super) fn base(public_urls: &[PublicUrl], headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let asked_for = public_urls.iter().find(|url| url.host().eq_ignore_ascii_case(host));
    asked_for.or(public_urls.first()).map_or_else(|| format!("http://{host}"), ToString::to_string)
}
