//! The query string of a request to the endpoint.

use std::hash::{DefaultHasher, Hasher as _};

use socketioxide::socket::Sid;

/// The parameters of a request.
#[derive(Clone, Copy, Default)]
pub(in crate::faces) struct Query {
    pub(in crate::faces) is_polling: bool,
    pub(in crate::faces) is_websocket: bool,
    pub(in crate::faces) is_eio3: bool,
    pub(in crate::faces) session: Option<Sid>,
    /// A hash of `t`, which clients in browsers change with each request, so that no cache responds to it.
    pub(in crate::faces) cache_buster: Option<u64>,
}

impl Query {
    /// The CLOSE packet.
    pub(in crate::faces) fn closing_packet(self) -> &'static str {
        if self.is_eio3 { "1:1" } else { "1" }
    }

    pub(in crate::faces) fn of(query: Option<&str>) -> Self {
        let mut found = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("transport", "polling")) => found.is_polling = true,
                Some(("transport", "websocket")) => found.is_websocket = true,
                Some(("EIO", "3")) => found.is_eio3 = true,
                Some(("sid", session)) => found.session = session.parse().ok(),
                Some(("t", value)) => found.cache_buster = Some(hash(value)),
                Some(_) | None => {}
            }
        }
        found
    }
}

fn hash(value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(value.as_bytes());
    hasher.finish()
}
