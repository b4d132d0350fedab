//! HEAD requests.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Rejects HEAD below `/api/` with 405. axum would run the handler of GET, which counts messages as delivered or read, although the
/// response to a HEAD contains none.
pub async fn refuse_head(request: Request, next: Next) -> Response {
    if request.method() == Method::HEAD && is_api(request.uri().path()) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
    }
    next.run(request).await
}

/// Whether a path is below `/api/`. Ignores letter case, since some routes there do.
pub(crate) fn is_api(path: &str) -> bool {
    path.get(..5).is_some_and(|top| top.eq_ignore_ascii_case("/api/"))
}
