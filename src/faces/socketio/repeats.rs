//! Requests that a browser sends again on its own.
//!
//! A browser whose kept connection closes before the answer came sends the request once more on another one, a POST like any
//! other, and neither the page nor the client notices. A client makes a new `t` for each request, so a repeated request has the
//! `t` of the one before:
//!
//! * a repeated poll shows that the answer to the first one was lost. The session ends, and the client comes back for what it missed;
//! * a repeated POST has been handled already, and must not be handled again.

use super::query::Query;

/// The requests that one client sent last, by their `t`.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    /// That of the handshake. A client that sends the same one again does not make new ones, so nothing can be said of it.
    handshake: Option<u64>,
    poll: Option<u64>,
    post: Option<u64>,
}

impl Repeats {
    /// Of a client whose session was opened by this request.
    pub(super) fn since(handshake: &Query) -> Self {
        Self { handshake: handshake.cache_buster, poll: None, post: None }
    }

    /// Whether this poll is the last one again.
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
    use super::*;

    fn request(t: &str) -> Query {
        Query::of(Some(&format!("EIO=4&transport=polling&{t}")))
    }

    #[test]
    fn the_same_request_twice_is_a_repetition() {
        let mut repeats = Repeats::since(&request("t=a"));
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
            let mut repeats = Repeats::since(&request("t=a"));
            for _ in 0..3 {
                assert!(!repeats.polls_again(&request(t)));
                assert!(!repeats.posts_again(&request(t)));
                repeats.handled(&request(t));
            }
        }
    }
}
