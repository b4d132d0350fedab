//! HEAD requests.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Refuses HEAD below `/api/`, which the router would serve by running the handler of GET: that counts messages as delivered or
/// read, and a HEAD shows nobody anything.
pub async fn refuse_head(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD && request.uri().path().starts_with("/api/") {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
    }
    next.run(request).await
}
