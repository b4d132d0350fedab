//! Which pages may use the server.

use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser may remember the answer: without this it asks before every request.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Where a browser's part is served, e.g. `https://shop.example.com`: its pages may use the server, and mailed links lead there.
///
/// ```
/// use deskline::net::ClientUrl;
/// let url: ClientUrl = " https://Shop.Example.com:443/desk/".parse().unwrap();
/// assert_eq!((url.as_str(), url.origin()), ("https://Shop.Example.com:443/desk", "https://shop.example.com".to_owned()));
/// assert!("*".parse::<ClientUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientUrl(String);

/// A text was given that is no such address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientUrlError {
    /// Every origin at once.
    #[error("pages send credentials, so no browser takes `*`\nhint: name each origin, like https://shop.example.com")]
    Everybody,
    /// All else.
    #[error("not an address like https://shop.example.com")]
    NoAddress,
}

impl ClientUrl {
    /// As it was given, without a final slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a browser says of a page there: no path, no port that goes without saying.
    #[must_use]
    pub fn origin(&self) -> String {
        let (scheme, rest) = self.0.split_once("://").unwrap_or_default();
        let host = rest.split('/').next().unwrap_or_default();
        let port = if scheme.eq_ignore_ascii_case("https") { ":443" } else { ":80" };
        format!("{scheme}://{}", host.strip_suffix(port).unwrap_or(host)).to_ascii_lowercase()
    }
}

impl FromStr for ClientUrl {
    type Err = ClientUrlError;

    fn from_str(text: &str) -> Result<Self, ClientUrlError> {
        let text = text.trim().trim_end_matches('/');
        if text == "*" {
            return Err(ClientUrlError::Everybody);
        }
        let uri: Uri = text.parse().map_err(|_| ClientUrlError::NoAddress)?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_plain = uri.query().is_none() && uri.authority().is_some_and(|host| !host.as_str().contains('@'));
        if is_web && is_plain { Ok(Self(text.to_owned())) } else { Err(ClientUrlError::NoAddress) }
    }
}

/// Lets pages of these origins in, with credentials.
///
/// # Errors
/// If an origin cannot be one.
pub(super) fn cors(urls: &[ClientUrl]) -> anyhow::Result<CorsLayer> {
    let origins = urls
        .iter()
        .map(|url| url.origin().parse::<HeaderValue>().with_context(|| format!("--client-url {:?}", url.as_str())))
        .collect::<anyhow::Result<Vec<_>>>()?;
    // A single one is named in every answer, as the replaced server did; a browser compares.
    let allowed = match origins.as_slice() {
        [only] => AllowOrigin::exact(only.clone()),
        _ => AllowOrigin::list(origins),
    };
    let methods = [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::POST, Method::DELETE];
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_credentials(true)
        .allow_methods(methods)
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(REMEMBERED))
}

/// Preflights are answered with 204, as the replaced server did.
pub(super) async fn preflight_without_content(request: Request, next: Next) -> Response {
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = next.run(request).await;
    if is_preflight && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_would_say() {
        for (given, origin) in [
            ("http://localhost:5173", "http://localhost:5173"),
            (" https://shop.test/ ", "https://shop.test"),
            ("https://SHOP.test:443/desk/", "https://shop.test"),
            ("http://shop.test:80", "http://shop.test"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("https://shop.test:80", "https://shop.test:80"),
        ] {
            assert_eq!(given.parse::<ClientUrl>().unwrap().origin(), origin);
        }
    }

    #[test]
    fn what_no_page_comes_from_is_refused() {
        assert_eq!("*".parse::<ClientUrl>(), Err(ClientUrlError::Everybody));
        for text in
            ["", "/", "null", "shop.test", "ftp://shop.test", "https://", "https://a b", "https://a?b", "https://u@a"]
        {
            assert_eq!(text.parse::<ClientUrl>(), Err(ClientUrlError::NoAddress), "{text}");
        }
    }
}
