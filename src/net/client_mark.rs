//! Recognizes a client that has not authenticated yet.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use axum::extract::Request;
use axum::http::{HeaderValue, header};

use super::ClientAddress;

/// A digest of a client's route and of the headers that a browser sends with every request. Two clients behind one address may
/// have the same one, so it must not grant access to anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientMark(u64);

impl From<u64> for ClientMark {
    fn from(digest: u64) -> Self {
        Self(digest)
    }
}

/// Headers that stay the same while a page is open.
const HEADERS: [header::HeaderName; 4] =
    [header::USER_AGENT, header::ACCEPT_LANGUAGE, header::ORIGIN, header::AUTHORIZATION];

impl ClientMark {
    /// The mark of the client that sent a request.
    pub(super) fn of(request: &Request) -> Self {
        let mut digest = DefaultHasher::new();
        ClientAddress::of(request.extensions()).route().hash(&mut digest);
        for name in HEADERS {
            request.headers().get(name).map(HeaderValue::as_bytes).hash(&mut digest);
        }
        Self(digest.finish())
    }
}
