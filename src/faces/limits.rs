//! Rate limits on the routes of all faces, by address and by person.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;

use super::http::credentials::header_token;
use super::http::head::is_api;
use super::http::reply::too_many;
use crate::accounts::Accounts;
use crate::limits::{Action, Limits};
use crate::net::ClientAddress;

/// Routes of POST requests with a rate limit, without a final slash. A GET that opens a room is counted where it does
/// (`storefront/public.rs`).
const ROUTES: &[(&str, &[Action])] = &[
    ("/api/auth/login", &[Action::LogIn]),
    ("/api/login", &[Action::LogIn]),
    ("/api/api/auth/login", &[Action::LogIn]),
    ("/api/accounts/login", &[Action::LogIn]),
    ("/api/accounts/admin/login/step1", &[Action::LogIn]),
    ("/api/token", &[Action::LogIn]),
    ("/api/auth/register", &[Action::Registration, Action::Mail]),
    ("/api/register", &[Action::Registration, Action::Mail]),
    ("/api/accounts/register", &[Action::Registration, Action::Mail]),
    ("/api/auth/resend-verification", &[Action::Mail]),
    ("/api/auth/forgot-password", &[Action::Mail]),
    ("/api/accounts/password-reset-request", &[Action::Mail]),
    ("/api/auth/verify-email", &[Action::Code]),
    ("/api/auth/reset-password", &[Action::Code]),
    ("/api/auth/confirm-email", &[Action::Code]),
    ("/api/accounts/verify-otp", &[Action::Code]),
    ("/api/accounts/password-reset", &[Action::Code]),
    ("/api/accounts/admin/login/step2", &[Action::Code]),
    ("/api/public/chat-rooms", &[Action::Room]),
    ("/api/public/user-chat", &[Action::Room]),
];

/// The rate limits of the routes.
#[derive(Clone)]
pub struct RequestLimits {
    /// Counters.
    pub limits: Arc<Limits>,
    /// Finds the account of a token.
    pub accounts: Arc<Accounts>,
}

impl RequestLimits {
    /// Counts a costly request, by address and by person. Returns 429 if there were too many.
    pub(super) fn refuse(&self, request: &Request) -> Option<Response> {
        let source = ClientAddress::of(request.extensions()).source();
        for action in actions(request) {
            let person =
                action.by_person().and_then(|_| self.accounts.subject_of(header_token(request.headers()).ok()??));
            if let Err(limited) = self.limits.take_for(*action, source, person) {
                tracing::debug!(%source, action = action.name(), "Rate limit reached");
                return Some(too_many(limited));
            }
        }
        None
    }
}

fn actions(request: &Request) -> &'static [Action] {
    let path = request.uri().path().trim_end_matches('/');
    let is_api = is_api(path);
    if request.method() == Method::GET {
        let is_search = is_api && request.uri().query().is_some_and(searches);
        return if is_search { &[Action::Search] } else { &[] };
    }
    if request.method() != Method::POST {
        return &[];
    }
    let is_form = || request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/"));
    match ROUTES.iter().find(|(route, _)| route.eq_ignore_ascii_case(path)) {
        Some((_, actions)) => actions,
        None if is_api && is_form() => &[Action::Upload],
        None => &[],
    }
}

fn searches(query: &str) -> bool {
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    pairs.any(|(name, value)| matches!(name, "search" | "q") && !value.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    fn counted(method: &str, path: &str, kind: &str) -> &'static [Action] {
        let request = Request::builder().method(method).uri(path).header(CONTENT_TYPE, kind);
        actions(&request.body(Body::empty()).unwrap())
    }

    #[test]
    fn costly_requests_are_counted() {
        let json = "application/json";
        assert_eq!(counted("POST", "/api/auth/Register", json), [Action::Registration, Action::Mail]);
        assert_eq!(counted("POST", "/api/accounts/register/", json), [Action::Registration, Action::Mail]);
        assert_eq!(counted("POST", "/api/chat/messages/", "multipart/form-data; boundary=x"), [Action::Upload]);
        assert_eq!(counted("GET", "/api/admin/chat-rooms/?page=1&search=ann", json), [Action::Search]);
        assert_eq!(counted("GET", "/API/Chat/conversations?search=ann", json), [Action::Search]);
        assert_eq!(counted("POST", "/API/Chat/upload", "multipart/form-data; boundary=x"), [Action::Upload]);
        for (method, path) in [
            ("GET", "/api/public/chat-rooms/"),
            ("GET", "/api/admin/chat-rooms/?search="),
            ("POST", "/api/chat/messages/"),
            ("POST", "/socket.io/?search=x"),
            ("GET", "/"),
        ] {
            assert_eq!(counted(method, path, json), [], "{method} {path}");
        }
    }
}
