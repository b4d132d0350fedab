//! What browsers are told of the pages that may use the server.

use std::time::Duration;

use anyhow::Context;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::Origins;

/// How long a browser may remember the answer: without this it asks before every request.
const REMEMBERED: Duration = Duration::from_hours(24);

/// Lets pages of these origins in, with credentials.
///
/// # Errors
/// If an origin cannot be one.
pub(super) fn cors(origins: &Origins) -> anyhow::Result<CorsLayer> {
    // A single one is named in every answer, as the replaced server did; a browser compares.
    let allowed = if let Some(only) = origins.only() {
        AllowOrigin::exact(only.parse::<HeaderValue>().with_context(|| format!("--client-url {only:?}"))?)
    } else {
        let origins = origins.clone();
        AllowOrigin::predicate(move |origin, _| origin.to_str().is_ok_and(|origin| origins.names(origin)))
    };
    let methods = [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::POST, Method::DELETE];
    Ok(CorsLayer::new()
        .allow_origin(allowed)
        .allow_credentials(true)
        .allow_methods(methods)
        .allow_headers(AllowHeaders::mirror_request())
        .max_age(REMEMBERED))
}

/// Whether a browser asks what a page of another origin may request.
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers a preflight with 204 in place of 200, as the replaced server did.
pub(super) fn leave_out_content(response: &mut Response) {
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
}
