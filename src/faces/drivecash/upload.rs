//! `POST messages/` as multipart: a message with a file, which is streamed to disk in constant memory.
//!
//! The name of a file ends in `.part` until its message is about to be stored. [`sweep`] deletes what interrupted uploads leave.

use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde_json::json;
use tokio::fs;
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::bounded_body::BoundedBody;
use super::messages::ToSend;
use super::requested_room::access_room_to_send;
use crate::domain::attachment::{SNIFFED, sanitised, sniff};
use crate::domain::{Attachment, Timestamp, User};
use crate::faces::channels::Channels;
use crate::faces::channels::reply::Problem;
use crate::net::BodyDeadline;
use crate::store::files;

/// How long a client may take for the next chunk, and for the whole form.
const CHUNK: Duration = Duration::from_secs(30);
const WHOLE: Duration = Duration::from_mins(30);

/// Longest field other than the file, in bytes.
const MAX_FIELD: usize = 256 << 10;

/// Most fields of a form.
const MAX_FIELDS: u64 = 20;

/// Age at which an unfinished file counts as abandoned. Other servers may be writing to the same folder.
const ABANDONED: Duration = Duration::from_hours(1);

/// A file that was received. Deleted when dropped, unless [`publish`](Self::publish) was called.
pub(super) struct Received {
    pub(super) attachment: Attachment,
    whole: PathBuf,
    is_published: bool,
}

impl Received {
    /// Moves the file to its final name, because its message is about to be stored.
    pub(super) async fn publish(mut self) -> Result<Published, Problem> {
        files::publish(&self.whole).await.map_err(|error| not_stored(&error))?;
        self.is_published = true;
        Ok(Published(self.whole.clone()))
    }
}

/// A file under its final name.
pub(super) struct Published(PathBuf);

impl Published {
    /// Deletes the file, because its message was not stored.
    pub(super) async fn delete(self) {
        if let Err(error) = fs::remove_file(&self.0).await {
            tracing::warn!(%error, "Could not delete an unused file");
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.is_published
            && let Err(error) = std::fs::remove_file(files::part_of(&self.whole))
        {
            tracing::warn!(%error, "Could not delete an unused file");
        }
    }
}

/// Reads a whole form. A rejected one is drained, so that its client receives the response.
pub(super) async fn receive(
    channels: &Channels,
    user: &User,
    request: Request,
) -> Result<(ToSend, Option<Received>), Problem> {
    let largest = channels.settings.max_attachment;
    let limit = Limit { largest, left: left(channels, user).await? };
    let (parts, body) = request.into_parts();
    if let Some(deadline) = parts.extensions.get::<BodyDeadline>() {
        deadline.allow_upload();
    }
    let body = BoundedBody::new(body);
    let received = if length(&parts.headers).is_some_and(|length| length > largest + MAX_FIELDS * MAX_FIELD as u64) {
        Err(too_large(largest))
    } else {
        let request = Request::from_parts(parts, Body::from_stream(body.stream()));
        timeout(WHOLE, read(channels, user, limit, request, &body)).await.unwrap_or_else(|_| Err(too_slow()))
    };
    if received.is_err() {
        body.drain().await;
    }
    received
}

fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn read(
    channels: &Channels,
    user: &User,
    limit: Limit,
    request: Request,
    body: &BoundedBody,
) -> Result<(ToSend, Option<Received>), Problem> {
    let bad = |error: MultipartError| unreadable(&error);
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| bad_form())?;
    let (mut to_send, mut received) = (ToSend::default(), None);
    for _ in 0..MAX_FIELDS {
        let next = timeout(CHUNK, form.next_field()).await.map_err(|_| too_slow())?.map_err(bad)?;
        body.progressed();
        let Some(field) = next else { return Ok((to_send, received)) };
        match field.name() {
            Some("room_id") => {
                let room = text(field, body).await?;
                // Checked before a file further on in the form is read.
                access_room_to_send(channels, user, &room).await?;
                to_send.room = Some(room);
            }
            Some("message") => to_send.text = text(field, body).await?,
            Some("reply_to") => to_send.reply_to = text(field, body).await?.trim().parse().ok(),
            Some("attachment") if field.file_name().is_some_and(|name| !name.is_empty()) => {
                received = Some(file(channels, limit, field, body).await?);
            }
            _ => drop(text(field, body).await?),
        }
    }
    Err(bad_form())
}

async fn text(mut field: Field<'_>, body: &BoundedBody) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(chunk) = chunk(&mut field, body).await? {
        if bytes.len() + chunk.len() > MAX_FIELD {
            return Err(Problem::error(StatusCode::PAYLOAD_TOO_LARGE, "A field is too long"));
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|_| bad_form())
}

async fn chunk(field: &mut Field<'_>, body: &BoundedBody) -> Result<Option<Bytes>, Problem> {
    let chunk = timeout(CHUNK, field.chunk()).await.map_err(|_| too_slow())?.map_err(|error| unreadable(&error))?;
    body.progressed();
    Ok(chunk)
}

/// Streams a file to disk. Its type is detected from its content, and its name on disk is our own.
async fn file(
    channels: &Channels,
    limit: Limit,
    mut field: Field<'_>,
    body: &BoundedBody,
) -> Result<Received, Problem> {
    let settings = &channels.settings;
    let name = sanitised(field.file_name().unwrap_or_default());
    let file = uuid::Uuid::new_v4().simple().to_string();
    let whole = settings.files.join(&file);
    let mut out = files::create(&whole).await.map_err(|error| not_stored(&error))?;
    let attachment = Attachment { file, name, media_type: String::new(), size: 0 };
    let mut received = Received { attachment, whole, is_published: false };
    let mut head: Vec<u8> = Vec::with_capacity(SNIFFED);
    let mut size: u64 = 0;
    while let Some(chunk) = chunk(&mut field, body).await? {
        size += chunk.len() as u64;
        if size > limit.largest {
            return Err(too_large(limit.largest));
        }
        if size > limit.left {
            return Err(over_quota());
        }
        if head.len() < SNIFFED {
            let missing = SNIFFED - head.len();
            head.extend_from_slice(&chunk[..chunk.len().min(missing)]);
        }
        out.write_all(&chunk).await.map_err(|error| not_stored(&error))?;
    }
    let Some(media_type) = sniff(&head) else {
        return Err(Problem::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Files of this type are not allowed"));
    };
    out.flush().await.map_err(|error| not_stored(&error))?;
    media_type.clone_into(&mut received.attachment.media_type);
    received.attachment.size = size;
    Ok(received)
}

/// Limits on a file's size.
#[derive(Clone, Copy)]
struct Limit {
    /// For everybody, in bytes.
    largest: u64,
    /// For this person, in bytes: what is left of their quota.
    left: u64,
}

/// What is left of a person's quota, in bytes. Uploads at the same time may exceed it together.
async fn left(channels: &Channels, user: &User) -> Result<u64, Problem> {
    let Some(quota) = channels.settings.attachment_quota else { return Ok(u64::MAX) };
    Ok(quota.saturating_sub(channels.desk.conversations.stored_by(user.id).await?))
}

fn over_quota() -> Problem {
    let error = "Your quota for attachments is used up";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, json!({ "error": error, "code": "quota_exceeded" }))
}

fn too_large(limit: u64) -> Problem {
    let error = format!("The attachment is larger than {} MiB", limit >> 20);
    Problem::error(StatusCode::PAYLOAD_TOO_LARGE, &error)
}

/// Deletes unfinished files that a stopped server has left.
pub(in crate::faces) async fn sweep(files: &Path, now: Timestamp) -> std::io::Result<()> {
    let mut entries = match fs::read_dir(files).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    while let Some(entry) = entries.next_entry().await? {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == files::PART) {
            let changed = entry.metadata().await?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            let changed = Timestamp::from_millis(i64::try_from(changed.as_millis()).unwrap_or(i64::MAX));
            if changed.until(now) >= ABANDONED {
                fs::remove_file(&path).await?;
                tracing::info!("Deleted the file of an interrupted upload");
            }
        }
    }
    Ok(())
}

fn bad_form() -> Problem {
    Problem::error(StatusCode::BAD_REQUEST, "The form could not be read")
}

fn too_slow() -> Problem {
    Problem::error(StatusCode::REQUEST_TIMEOUT, "The upload took too long")
}

fn unreadable(error: &MultipartError) -> Problem {
    tracing::debug!(%error, "Could not read a form");
    bad_form()
}

fn not_stored(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "Could not store a file");
    Problem::error(StatusCode::SERVICE_UNAVAILABLE, "Server error")
}
