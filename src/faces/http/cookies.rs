//! Cookies that identify browsers where their pages send no token.

use std::time::Duration;

use axum::http::{HeaderMap, header};
use axum::response::Response;
use cookie::SameSite;

use crate::auth::token::REFRESH_LIFETIME;
use crate::net::{ServerUrl, cookie_value};

/// The secret of a visitor's session.
pub(in crate::faces) const SESSION: Cookie =
    Cookie { name: "sessionid", path: "/", age: Duration::from_hours(14 * 24) };

/// Marks the sockets of an agents' panel. Holds the refresh token of the agent; see `storefront/panel.rs`.
pub(in crate::faces) const PANEL: Cookie = Cookie { name: "panel", path: "/ws/", age: REFRESH_LIFETIME };

/// Lets a browser fetch a file whose link has expired. Holds a refresh token.
pub(in crate::faces) const MEDIA: Cookie = Cookie { name: "media", path: "/media/", age: REFRESH_LIFETIME };

/// A kind of cookie. Scripts cannot read it (`HttpOnly`), and forms of other sites do not send it (`SameSite=Lax`).
#[derive(Debug, Clone, Copy)]
pub(in crate::faces) struct Cookie {
    name: &'static str,
    /// Path for which browsers send it.
    path: &'static str,
    /// How long browsers keep it.
    age: Duration,
}

impl Cookie {
    /// Its value in a request; `None` if it is missing or empty.
    pub(in crate::faces) fn of<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        cookie_value(headers, self.name).filter(|value| !value.is_empty())
    }

    /// Sets it in a response; `Secure` if the server's public URL uses HTTPS.
    pub(in crate::faces) fn set(&self, response: &mut Response, value: &str, server_url: &ServerUrl) {
        self.append(response, value, self.age, server_url.as_str().starts_with("https://"));
    }

    /// Removes it from the browser.
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
