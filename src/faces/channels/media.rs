//! `/media/...`: attachments.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::fs::File;
use tokio_util::io::ReaderStream;

use super::reply::Problem;
use super::{Channels, caller};
use crate::accounts::codes::percent_encoded;
use crate::accounts::identify::IdentifyError;
use crate::accounts::refresh::RefreshError;
use crate::domain::Person;
use crate::faces::http::cookies;
use crate::faces::http::credentials::{cookie_token, header_token};

pub(in crate::faces) fn routes() -> Router<Channels> {
    Router::new().route("/media/{link}", get(file))
}

/// The accounts and visitors of all tokens and cookies in a request.
async fn callers(channels: &Channels, headers: &HeaderMap) -> Result<Vec<Arc<Person>>, Problem> {
    let mut people = Vec::new();
    for token in header_token(headers).ok().flatten().into_iter().chain(cookie_token(headers)) {
        match channels.accounts.identify(token).await {
            Ok(identified) => people.push(caller::person(&identified.user)),
            Err(IdentifyError::Store(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    if let Some(token) = cookies::MEDIA.of(headers) {
        match channels.accounts.holder_of(token).await {
            Ok(holder) => people.push(caller::person(&holder.user)),
            Err(RefreshError::Store(error)) => return Err(error.into()),
            Err(_) => {}
        }
    }
    if let Some(secret) = cookies::SESSION.of(headers)
        && let Some(visitor) = channels.accounts.visitor(secret).await?
    {
        people.push(caller::person(&visitor));
    }
    Ok(people)
}

/// Serves an attachment by a signed link. The signature is in the URL because an `<img>` sends no headers. A link that has expired
/// redirects to a fresh one if a cookie or token of the request belongs to somebody who may see the message.
async fn file(
    State(channels): State<Channels>,
    Path(link): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Some(attachment) = channels.desk.conversations.linked_attachment(&link).await? else {
        let people = callers(&channels, &headers).await?;
        let renewed = channels.desk.conversations.renewed_path(&link, &people).await?.ok_or_else(Problem::not_found)?;
        return Ok((StatusCode::FOUND, [(header::LOCATION, renewed), (header::CACHE_CONTROL, "no-store".to_owned())])
            .into_response());
    };
    let file = File::open(channels.settings.files.join(&attachment.file)).await.map_err(|error| {
        tracing::error!(%error, "An attachment's file is missing");
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
