//! The cookies by which browsers are known that show no token.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::Response;
use cookie::SameSite;

use crate::auth::token::REFRESH_LIFETIME;
use crate::net::{ServerUrl, cookie_value};

/// A visitor's session: its secret.
pub(in crate::faces) const SESSION: Cookie =
    Cookie { name: "sessionid", path: "/", age: Duration::from_hours(14 * 24) };

/// An agents' panel, known by the refresh token of who signed in; see [`panel`](super::storefront).
pub(in crate::faces) const PANEL: Cookie = Cookie { name: "panel", path: "/ws/", age: REFRESH_LIFETIME };

/// Whoever asks for a file after its link has expired, known by their refresh token.
pub(in crate::faces) const MEDIA: Cookie = Cookie { name: "media", path: "/media/", age: REFRESH_LIFETIME };

/// A kind of cookie. Scripts cannot read it, and other sites' forms do not send it.
#[derive(Debug, Clone, Copy)]
pub(in crate::faces) struct Cookie {
    name: &'static str,
    /// Where browsers send it.
    path: &'static str,
    /// How long they keep it.
    age: Duration,
}

impl Cookie {
    /// What it says, if it came with a request and is not empty.
    pub(in crate::faces) fn of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie_value(headers, self.name).filter(|value| !value.is_empty())
    }

    /// Has a browser keep it, over TLS alone if pages find this server there.
    pub(in crate::faces) fn set(&self, response: &mut Response, value: &str, server: &ServerUrl) {
        self.append(response, value, self.age, server.as_str().starts_with("https://"));
    }

    /// Has a browser forget it.
    pub(in crate::faces) fn remove(&self, response: &mut Response) {
        self.append(response, "", Duration::ZERO, false);
    }

    fn append(&self, response: &mut Response, value: &str, age: Duration, secure: bool) {
        let cookie = cookie::Cookie::build((self.name, value))
            .path(self.path)
            .max_age(age.try_into().unwrap_or(time::Duration::MAX))
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(secure);
        if let Ok(cookie) = cookie.to_string().parse() {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
    }
}
