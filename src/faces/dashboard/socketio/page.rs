//! Connection state recovery of the stock client, for pages, which outlive their connections.
//!
//! A page has a `pid`, which it gets when it first connects. The last argument of each message event is the page's *offset*: who is
//! authenticated on it (a [`Binding`](crate::auth::Binding), signed for this page), and its place in the log. When the client
//! reconnects, it sends both and continues from there. The server stores nothing, so this works after a restart, too. Only the binding
//! is signed: a client that changes its place harms only itself.
//!
//! Shape: `<binding>.<place>`. The place is a [`Place`], or `-` if it is unknown; the page then catches up instead. [`NOBODY`]
//! alone means that nobody is authenticated any more.

use std::time::Duration;

use serde_json::Value;

use crate::accounts::identify::IdentifyError;
use crate::desk::Desk;
use crate::desk::attendance::Authenticated;
use crate::domain::{EntryEvent, Place, UserId};
use crate::faces::socketio::handshake::Handshake;
use crate::store::StoreError;

/// The offset of a page on which nobody is authenticated.
pub(super) const NOBODY: &str = "-";

/// Characters of a page's id: 128 random bits in hex.
const ID: usize = 32;

/// Longest offset, in characters.
const MAX_OFFSET: usize = 512;

/// A page, as its current connection knows it.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) id: String,
    /// Who is authenticated on it; `None` for nobody.
    binding: Option<String>,
    /// Up to where it has received the log; `None` while it catches up.
    place: Option<Place>,
    /// Whether it has reconnected.
    pub(super) has_returned: bool,
}

/// What a page sends when it reconnects.
#[derive(Debug, Clone)]
pub(super) struct Returning {
    pub(super) who: Authenticated,
    pub(super) binding: String,
    /// Up to where it has received the log; `None` if unknown.
    pub(super) place: Option<Place>,
}

impl Page {
    /// A new page.
    fn new() -> Self {
        let id = hex::encode(rand::random::<[u8; ID / 2]>());
        Self { id, binding: None, place: None, has_returned: false }
    }

    /// Somebody has authenticated on the page.
    pub(super) fn bind(&mut self, binding: String) {
        self.binding = Some(binding);
    }

    /// The page is at this place, and receives live entries from there on.
    pub(super) fn set_place(&mut self, place: Option<Place>) {
        self.place = place;
    }

    /// Nobody is authenticated on the page any more.
    pub(super) fn unbind(&mut self) {
        (self.binding, self.place) = (None, None);
    }

    /// Moves past a message that is about to be sent. Returns the offset to send with it; `None` while the page catches up.
    pub(super) fn advance(&mut self, event: &EntryEvent, viewer: UserId) -> Option<String> {
        self.place = Some(self.place?.after(event, viewer));
        Some(self.offset())
    }

    /// The current offset.
    pub(super) fn offset(&self) -> String {
        match (&self.binding, self.place) {
            (Some(binding), Some(place)) => format!("{binding}.{place}"),
            (Some(binding), None) => format!("{binding}.-"),
            (None, _) => NOBODY.to_owned(),
        }
    }
}

/// Whether a client takes part in recovery: browsers, and clients that send a `pid`. In other languages, an additional argument can
/// change what a listener is called with.
fn takes_part(handshake: &Handshake, auth: Option<&Value>) -> bool {
    let has_pid = auth.is_some_and(|auth| auth["pid"].is_string());
    !handshake.is_eio3 && (handshake.is_browser || has_pid)
}

/// The page of a client that connects, and what it sent if it reconnects; `None` if it does not take part in recovery.
///
/// # Errors
/// [`StoreError`] if its account could not be read.
pub(super) async fn page_of(
    desk: &Desk,
    handshake: &Handshake,
    auth: Option<&Value>,
    within: Duration,
) -> Result<Option<(Page, Option<Returning>)>, StoreError> {
    if within.is_zero() || !takes_part(handshake, auth) {
        return Ok(None);
    }
    let returning = match auth.and_then(read_offset) {
        Some((id, binding, place)) => match desk.attendance.identify_page(id, binding, within).await {
            Ok(who) => Some((id, Returning { who, binding: binding.to_owned(), place })),
            Err(IdentifyError::Store(error)) => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "Refused to recover a page");
                None
            }
        },
        None => None,
    };
    Ok(Some(match returning {
        Some((id, returning)) => (Page { id: id.to_owned(), ..Page::new() }, Some(returning)),
        None => (Page::new(), None),
    }))
}

/// The id, the binding and the place in a CONNECT packet: `{"pid": ..., "offset": ...}`.
fn read_offset(auth: &Value) -> Option<(&str, &str, Option<Place>)> {
    let (id, offset) = (auth["pid"].as_str()?, auth["offset"].as_str()?);
    if id.len() != ID || offset.len() > MAX_OFFSET {
        return None;
    }
    let (binding, place) = offset.rsplit_once('.')?;
    let place = if place == "-" { None } else { Some(place.parse().ok()?) };
    Some((id, binding, place))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use axum::http::header::USER_AGENT;
    use serde_json::json;

    use super::*;
    use crate::domain::Seq;
    use crate::faces::socketio::query::Query;

    #[test]
    fn browsers_and_clients_with_a_pid_take_part() {
        let handshake = |agent: &str, query: &str| {
            let request = Request::get(format!("/socket.io/?transport=websocket&{query}")).header(USER_AGENT, agent);
            let request = request.body(Body::empty()).unwrap();
            Handshake::read(&Query::of(request.uri().query()), &request)
        };
        let with_pid = json!({"pid": "x"});
        assert!(takes_part(&handshake("Mozilla/5.0 (X11)", "EIO=4"), None));
        assert!(!takes_part(&handshake("Mozilla/5.0 (X11)", "EIO=3"), None));
        assert!(!takes_part(&handshake("okhttp/4", "EIO=4"), Some(&json!({"token": "x"}))));
        assert!(takes_part(&handshake("okhttp/4", "EIO=4"), Some(&with_pid)));
    }

    #[test]
    fn an_offset_is_parsed_as_it_was_written() {
        let mut page = Page::new();
        assert_eq!(page.offset(), NOBODY);
        page.bind("signed_text".into());
        let read = |page: &Page| {
            let auth = json!({"pid": page.id, "offset": page.offset()});
            read_offset(&auth).map(|(id, binding, place)| (id.to_owned(), binding.to_owned(), place))
        };
        assert_eq!(read(&page), Some((page.id.clone(), "signed_text".into(), None)));
        for (place, written) in [(Place::InAll(7), "signed_text.7"), (Place::InOwn(Seq::new(8)), "signed_text.s8")] {
            page.set_place(Some(place));
            assert_eq!(page.offset(), written);
            assert_eq!(read(&page), Some((page.id.clone(), "signed_text".into(), Some(place))));
        }
        page.unbind();
        assert_eq!(read(&page), None);
    }

    #[test]
    fn malformed_offsets_are_ignored() {
        let id = Page::new().id;
        for offset in [
            "",
            ".",
            "x",
            "x.y",
            "x.-1",
            "x.99999999999999999999",
            "x.1.",
            "x.s",
            "x.s-1",
            "x.t1",
            &"x".repeat(MAX_OFFSET + 1),
        ] {
            assert!(
                read_offset(&json!({"pid": id, "offset": offset})).is_none_or(|(_, _, place)| place.is_none()),
                "{offset}"
            );
        }
        assert!(read_offset(&json!({"pid": 7, "offset": "x.1"})).is_none());
        assert!(read_offset(&json!({"pid": "short", "offset": "x.1"})).is_none());
        assert!(read_offset(&json!("text")).is_none());
    }
}
