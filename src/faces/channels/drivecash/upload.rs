//! `POST messages/` as multipart: a message with a file, which is streamed to disk in constant memory.

use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest as _, Multipart, Request};
use axum::http::StatusCode;
use bytes::Bytes;
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;
use tokio::time::timeout;

use super::messages::ToSend;
use crate::domain::Attachment;
use crate::domain::attachment::{SNIFFED, sanitised, sniff};
use crate::faces::channels::Channels;
use crate::faces::channels::reply::Problem;

/// How long a client may take for the next piece.
const PIECE: Duration = Duration::from_secs(30);

/// The longest a field other than the file may be, in bytes.
const MAX_FIELD: usize = 256 << 10;

/// The most fields.
const MAX_FIELDS: usize = 20;

/// How much of a file that is too large is read on, so that its client gets to read why, rather than a broken connection.
const MAX_DISCARDED: u64 = 4 << 30;

/// A file that was received. Unless it is kept, it is deleted.
pub(super) struct Received {
    pub(super) attachment: Attachment,
    path: PathBuf,
    is_kept: bool,
}

impl Received {
    /// The message is there, so the file stays.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if !self.is_kept {
            discard(&self.path);
        }
    }
}

/// Reads a whole form.
pub(super) async fn receive(channels: &Channels, request: Request) -> Result<(ToSend, Option<Received>), Problem> {
    let bad = |error: MultipartError| unreadable(&error);
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| bad_form())?;
    let (mut to_send, mut received) = (ToSend::default(), None);
    for _ in 0..MAX_FIELDS {
        let next = timeout(PIECE, form.next_field()).await.map_err(|_| too_slow())?.map_err(bad)?;
        let Some(field) = next else { return Ok((to_send, received)) };
        match field.name() {
            Some("room_id") => to_send.room = Some(text(field).await?),
            Some("message") => to_send.text = text(field).await?,
            Some("reply_to") => to_send.reply_to = text(field).await?.trim().parse().ok(),
            Some("attachment") if field.file_name().is_some_and(|name| !name.is_empty()) => {
                received = Some(file(channels, field).await?);
            }
            _ => drop(text(field).await?),
        }
    }
    Err(bad_form())
}

async fn text(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = piece(&mut field).await? {
        if bytes.len() + piece.len() > MAX_FIELD {
            return Err(Problem::error(StatusCode::PAYLOAD_TOO_LARGE, "A field is too long"));
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| bad_form())
}

async fn piece(field: &mut Field<'_>) -> Result<Option<Bytes>, Problem> {
    timeout(PIECE, field.chunk()).await.map_err(|_| too_slow())?.map_err(|error| unreadable(&error))
}

/// Streams a file to disk: what it is is told by its content alone, what it is called by nobody but us.
async fn file(channels: &Channels, mut field: Field<'_>) -> Result<Received, Problem> {
    let settings = &channels.settings;
    let name = sanitised(field.file_name().unwrap_or_default());
    let file = uuid::Uuid::new_v4().simple().to_string();
    let path = settings.files.join(&file);
    fs::create_dir_all(&settings.files).await.map_err(|error| not_kept(&error))?;
    let mut out = File::create_new(&path).await.map_err(|error| not_kept(&error))?;
    let attachment = Attachment { file, name, media_type: String::new(), size: 0 };
    let mut received = Received { attachment, path, is_kept: false };
    let mut head: Vec<u8> = Vec::with_capacity(SNIFFED);
    let mut size: u64 = 0;
    while let Some(piece) = piece(&mut field).await? {
        size += piece.len() as u64;
        if size > settings.max_attachment {
            return Err(too_large(&mut field, size, settings.max_attachment).await);
        }
        if head.len() < SNIFFED {
            let missing = SNIFFED - head.len();
            head.extend_from_slice(&piece[..piece.len().min(missing)]);
        }
        out.write_all(&piece).await.map_err(|error| not_kept(&error))?;
    }
    let Some(media_type) = sniff(&head) else {
        return Err(Problem::error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Files of this type are not allowed"));
    };
    out.sync_all().await.map_err(|error| not_kept(&error))?;
    media_type.clone_into(&mut received.attachment.media_type);
    received.attachment.size = size;
    Ok(received)
}

async fn too_large(field: &mut Field<'_>, mut size: u64, limit: u64) -> Problem {
    while size < MAX_DISCARDED
        && let Ok(Some(piece)) = piece(field).await
    {
        size += piece.len() as u64;
    }
    let error = format!("The attachment is larger than {} MiB", limit >> 20);
    Problem::error(StatusCode::PAYLOAD_TOO_LARGE, &error)
}

fn discard(path: &Path) {
    if let Err(error) = std::fs::remove_file(path) {
        tracing::warn!(%error, "A file that nobody needs could not be deleted");
    }
}

fn bad_form() -> Problem {
    Problem::error(StatusCode::BAD_REQUEST, "The form could not be read")
}

fn too_slow() -> Problem {
    Problem::error(StatusCode::REQUEST_TIMEOUT, "The upload took too long")
}

fn unreadable(error: &MultipartError) -> Problem {
    tracing::debug!(%error, "A form could not be read");
    bad_form()
}

fn not_kept(error: &std::io::Error) -> Problem {
    tracing::error!(%error, "A file could not be kept");
    Problem::error(StatusCode::SERVICE_UNAVAILABLE, "Server error")
}
