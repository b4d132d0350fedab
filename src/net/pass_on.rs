//! Passes a request on to the inner layers, without holding it.

use std::convert::Infallible;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use tower::Service as _;

/// Like [`Next::run`], but the future is small: that of `run` has a copy of the request, in each layer, for as long as the request waits.
pub fn pass_on(request: Request, mut next: Next) -> impl Future<Output = Response> + Send + use<> {
    next.call(request).map(|response: Result<_, Infallible>| response.unwrap_or_else(|never| match never {}))
}
