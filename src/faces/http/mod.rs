//! HTTP code that all dialects share. The format of errors is up to each dialect.
//!
//! * [`body`]: reads a request's body, up to a limit;
//! * [`cookies`]: those that identify browsers;
//! * [`credentials`]: the token in a request;
//! * [`head`]: rejects HEAD below `/api/`;
//! * [`reply`]: statuses and refusals that all dialects share.

pub(super) mod body;
pub(super) mod cookies;
pub(super) mod credentials;
pub(super) mod head;
pub(super) mod reply;
