//! Files that came with messages, given out.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use crate::accounts::codes::percent_encoded;
use crate::faces::channels::Channels;
use crate::faces::channels::reply::Problem;

pub(super) fn routes() -> Router<Channels> {
    Router::new().route("/media/{link}", get(file))
}

/// A signed link, good for a while: an `<img>` sends no header, so the address itself says who let one in.
async fn file(State(channels): State<Channels>, Path(link): Path<String>) -> Result<Response, Problem> {
    let attachment = channels.desk.linked_attachment(&link).await?.ok_or_else(Problem::not_found)?;
    let file = File::open(channels.settings.files.join(&attachment.file)).await.map_err(|error| {
        tracing::error!(%error, "A file is missing");
        Problem::detail(StatusCode::NOT_FOUND, "Not found.")
    })?;
    let headers = [
        (header::CONTENT_TYPE, attachment.media_type.clone()),
        (header::CONTENT_LENGTH, attachment.size.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{}", percent_encoded(&attachment.name))),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
        (header::CACHE_CONTROL, "private, max-age=300".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
    ];
    Ok((headers, Body::from_stream(ReaderStream::new(file))).into_response())
}
