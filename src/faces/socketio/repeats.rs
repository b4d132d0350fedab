//! Requests that a browser sends again on its own.
//!
//! A browser whose kept connection closes before the response came sends the request once more on another one, a POST like any
//! other, and neither the page nor the client notices. In browsers, a client makes a new `t` for each request, so a repeated
//! request has the `t` of the one before:
//!
//! * a repeated poll shows that the response to the first one was lost. The session ends, and the client reconnects for what it
//!   missed;
//! * a repeated POST has been handled already, and must not be handled again.
//!
//! Other clients are left alone. They repeat nothing, and for some of them `t` is a clock of whole seconds.

use axum::http::HeaderMap;

use super::is_browser;
use super::query::Query;

/// The requests that one browser sent last, by their `t`.
#[derive(Debug)]
pub(super) struct Repeats {
    /// That of the handshake. A client that sends the same one again does not make new ones, so nothing can be said of it.
    handshake: Option<u64>,
    poll: Option<u64>,
    post: Option<u64>,
}

impl Repeats {
    /// Of a session that this request opens; `None` if it does not poll, or does not come from a browser.
    pub(super) fn since(handshake: &Query, headers: &HeaderMap) -> Option<Self> {
        let polls = handshake.is_polling && is_browser(headers);
        polls.then_some(Self { handshake: handshake.cache_buster, poll: None, post: None })
    }

    /// Whether this is the last poll again.
    pub(super) fn polls_again(&mut self, poll: &Query) -> bool {
        let Some(new) = poll.cache_buster.filter(|new| Some(*new) != self.handshake) else { return false };
        self.poll.replace(new) == Some(new)
    }

    /// Whether this is the last POST that was handled, again.
    pub(super) fn posts_again(&self, post: &Query) -> bool {
        post.cache_buster.is_some() && post.cache_buster != self.handshake && post.cache_buster == self.post
    }

    /// This POST has been handled.
    pub(super) fn handled(&mut self, post: &Query) {
        self.post = post.cache_buster;
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    fn request(t: &str) -> Query {
        Query::of(Some(&format!("EIO=4&transport=polling&{t}")))
    }

    fn since(agent: &'static str, handshake: &str) -> Option<Repeats> {
        let headers = HeaderMap::from_iter([(header::USER_AGENT, HeaderValue::from_static(agent))]);
        Repeats::since(&request(handshake), &headers)
    }

    #[test]
    fn the_same_request_twice_is_a_repetition() {
        let mut repeats = since("Mozilla/5.0", "t=a").unwrap();
        assert!(!repeats.polls_again(&request("t=b")));
        assert!(repeats.polls_again(&request("t=b")));
        assert!(!repeats.polls_again(&request("t=c")));
        assert!(!repeats.posts_again(&request("t=c")), "polls and posts are counted apart");
        repeats.handled(&request("t=d"));
        assert!(repeats.posts_again(&request("t=d")));
        assert!(!repeats.posts_again(&request("t=e")));
    }

    #[test]
    fn a_client_that_names_no_request_or_all_alike_is_left_alone() {
        for t in ["", "t=a"] {
            let mut repeats = since("Mozilla/5.0", "t=a").unwrap();
            for _ in 0..3 {
                assert!(!repeats.polls_again(&request(t)));
                assert!(!repeats.posts_again(&request(t)));
                repeats.handled(&request(t));
            }
        }
    }

    #[test]
    fn other_clients_than_browsers_are_left_alone() {
        assert!(since("okhttp/4.9", "t=a").is_none());
        assert!(Repeats::since(&request("t=a"), &HeaderMap::new()).is_none());
    }
}
