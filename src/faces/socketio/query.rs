//! What a request to the transport says in its address.

use socketioxide::socket::Sid;

/// What a request says of its transport.
#[derive(Default)]
pub(super) struct Query {
    pub(super) is_polling: bool,
    pub(super) is_websocket: bool,
    pub(super) is_eio3: bool,
    pub(super) session: Option<Sid>,
}

impl Query {
    pub(super) fn of(query: Option<&str>) -> Self {
        let mut found = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            match pair.split_once('=') {
                Some(("transport", "polling")) => found.is_polling = true,
                Some(("transport", "websocket")) => found.is_websocket = true,
                Some(("EIO", "3")) => found.is_eio3 = true,
                Some(("sid", session)) => found.session = session.parse().ok(),
                Some(_) | None => {}
            }
        }
        found
    }
}
