//! Recognizes requests that a browser repeats.
//!
//! When a kept-alive connection closes before the response, a browser sends the request again on another one, also a POST, and neither the
//! page nor the client notices. Clients in browsers use a new `t` for each request, so a repeated request has the `t` of the previous
//! one:
//!
//! * a repeated poll proves that the response to the first one was lost. The session ends, and the client reconnects for what it
//!   missed;
//! * a repeated POST was handled already, and must not be handled again.
//!
//! Other clients repeat nothing, and some of them use the time in seconds as `t`, so they are not checked.

use axum::http::HeaderMap;

use super::is_browser;
use super::query::Query;

/// The last requests of one browser, by their `t`.
#[derive(Debug)]
pub(super) struct Repeats {
    /// The `t` of the handshake. If later requests have the same one, the client does not change it, so repetitions cannot be recognized.
    handshake: Option<u64>,
    poll: Option<u64>,
    post: Option<u64>,
}

impl Repeats {
    /// Tracks the session opened by `handshake`. `None` unless a browser opened it with long-polling.
    pub(super) fn since(handshake: &Query, headers: &HeaderMap) -> Option<Self> {
        let polls = handshake.is_polling && is_browser(headers);
        polls.then_some(Self { handshake: handshake.cache_buster, poll: None, post: None })
    }

    /// Whether a poll repeats the last one.
    pub(super) fn polls_again(&mut self, poll: &Query) -> bool {
        let Some(new) = poll.cache_buster.filter(|new| Some(*new) != self.handshake) else { return false };
        self.poll.replace(new) == Some(new)
    }

    /// Whether a POST repeats the last one that was handled.
    pub(super) fn posts_again(&self, post: &Query) -> bool {
        post.cache_buster.is_some() && post.cache_buster != self.handshake && post.cache_buster == self.post
    }

    /// Notes that a POST was handled.
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
    fn the_same_request_twice_is_recognized() {
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
    fn a_client_without_t_or_with_a_constant_one_is_not_checked() {
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
    fn clients_other_than_browsers_are_not_checked() {
        assert!(since("okhttp/4.9", "t=a").is_none());
        assert!(Repeats::since(&request("t=a"), &HeaderMap::new()).is_none());
    }
}
