//! Checks on every request before it reaches a face: bans, origins and rate limits.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::future::{Either, ready};

use super::limits::RequestLimits;
use crate::net::{BanEnforcer, Origins};

/// State of [`check_request`].
#[derive(Clone)]
pub struct Checks {
    /// Banned addresses.
    pub ban_enforcer: BanEnforcer,
    /// Origins of the pages that may use the server.
    pub origins: Origins,
    /// Rate limits of costly requests.
    pub limits: RequestLimits,
}

/// Middleware that rejects requests. A single layer for all checks, because a waiting request holds memory for each layer that it has
/// passed.
pub fn check_request(
    State(checks): State<Checks>,
    request: Request,
    next: Next,
) -> impl Future<Output = Response> + Send {
    let refusal = checks.ban_enforcer.refuse(&request).or_else(|| checks.origins.refuse(&request));
    match refusal.or_else(|| checks.limits.refuse(&request)) {
        Some(refusal) => Either::Left(ready(refusal)),
        None => Either::Right(checks.ban_enforcer.run(request, next)),
    }
}
