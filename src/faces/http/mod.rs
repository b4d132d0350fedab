//! HTTP that all dialects have in common. What an error looks like is a dialect's own business.
//!
//! * [`body`]: reads a request's body, up to a limit;
//! * [`credentials`]: the token that came with a request;
//! * [`head`]: refuses HEAD below `/api/`;
//! * [`reply`]: statuses of responses.

pub(super) mod body;
pub(super) mod credentials;
pub(super) mod head;
pub(super) mod reply;
