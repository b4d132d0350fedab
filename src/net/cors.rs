//! CORS headers for the pages that may use the server.

use std::time::Duration;

use anyhow::Context;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use super::Origins;

/// How long a browser may cache the response to a preflight. Without this, it sends one before every request.
const MAX_AGE: Duration = Duration::from_hours(24);

/// Allows requests with credentials from pages of these origins.
///
/// # Errors
/// If an origin is not a valid header value.
pub(super) fn cors(origins: &Origins) -> anyhow::Result<CorsLayer> {
    // A single one is sent in every response, as by the replaced server; the browser compares it.
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
        .max_age(MAX_AGE))
}

/// Whether a request is a CORS preflight.
pub(super) fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Changes the status of a preflight's response from 200 to 204, the one of the replaced server.
pub(super) fn set_no_content(response: &mut Response) {
    if response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NO_CONTENT;
    }
}
