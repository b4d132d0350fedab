//! The cookies by which browsers are known that show no token.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::Response;

use crate::auth::token::REFRESH_LIFETIME;
use crate::net::ServerUrl;

/// A visitor's session: its secret.
pub(super) const SESSION: Cookie = Cookie { name: "sessionid", path: "/", age: Duration::from_hours(14 * 24) };

/// An agents' panel, known by the refresh token of who signed in; see [`panel`](super::storefront).
pub(super) const PANEL: Cookie = Cookie { name: "panel", path: "/ws/", age: REFRESH_LIFETIME };

/// Whoever asks for a file after its link has expired, known by their refresh token.
pub(super) const MEDIA: Cookie = Cookie { name: "media", path: "/media/", age: REFRESH_LIFETIME };

/// A kind of cookie. Scripts cannot read it, and other sites' forms do not send it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cookie {
    name: &'static str,
    /// Where browsers send it.
    path: &'static str,
    /// How long they keep it.
    age: Duration,
}

impl Cookie {
    /// What it says, if it came with a request and is not empty.
    pub(super) fn of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        value(headers, self.name).filter(|value| !value.is_empty())
    }

    /// Has a browser keep it, over TLS alone if pages find this server there.
    pub(super) fn set(&self, response: &mut Response, value: &str, server: &ServerUrl) {
        let secure = if server.as_str().starts_with("https://") { "; Secure" } else { "" };
        self.append(response, value, self.age, secure);
    }

    /// Has a browser forget it.
    pub(super) fn remove(&self, response: &mut Response) {
        self.append(response, "", Duration::ZERO, "");
    }

    fn append(&self, response: &mut Response, value: &str, age: Duration, secure: &str) {
        let Self { name, path, .. } = self;
        let cookie = format!("{name}={value}; HttpOnly; Max-Age={}; Path={path}; SameSite=Lax{secure}", age.as_secs());
        if let Ok(cookie) = cookie.parse() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}

/// The value of the cookie of this name that came with a request.
pub(super) fn value<'a>(headers: &'a HeaderMap, wanted: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == wanted).map(|(_, value)| value)
}
