//! Copies attachments from the old server's `MEDIA_ROOT` to the folder for attachments.

use std::path::{Component, Path, PathBuf};

use tokio::fs;
use tokio::io::AsyncReadExt as _;

use super::rows::MessageFields;
use super::{DjangoError, Note, Taking};
use crate::domain::attachment::{SNIFFED, sanitised, sniff};
use crate::domain::{Attachment, MessageExtras, MessageId};
use crate::store::files;

/// The media type of files whose type is unknown. Attachments are only downloaded, never displayed.
const UNKNOWN: &str = "application/octet-stream";

impl Taking<'_> {
    /// Copies the file of a message, and returns it as an attachment; if the file is missing, its name only.
    pub(super) async fn attachment(
        &mut self,
        pk: u64,
        fields: &MessageFields,
    ) -> Result<Option<Attachment>, DjangoError> {
        let Some(path) = fields.attachment() else { return Ok(None) };
        let name = fields.attachment_name.as_deref().filter(|name| !name.is_empty());
        let mut attachment = Attachment {
            file: self.ids.file(pk),
            name: sanitised(name.unwrap_or(path)),
            media_type: UNKNOWN.to_owned(),
            size: 0,
        };
        match self.copy(path, &attachment.file).await? {
            Some((media_type, size)) => {
                media_type.clone_into(&mut attachment.media_type);
                attachment.size = size;
            }
            None => self.report.note(&self.dump.labels.message, Note::NoFile, pk),
        }
        Ok(Some(attachment))
    }

    /// Copies a file that an earlier run has not found.
    pub(super) async fn copy_later(
        &mut self,
        pk: u64,
        id: MessageId,
        fields: &MessageFields,
    ) -> Result<(), DjangoError> {
        if fields.attachment().is_none() || self.options.media.is_none() {
            return Ok(());
        }
        let conversations = &self.to.stores.conversations;
        let Some(entry) = conversations.message(id).await? else { return Ok(()) };
        let Some(kept) = entry.message() else { return Ok(()) };
        if kept.attachment().is_none_or(|kept| kept.size == 0) {
            let attachment = self.attachment(pk, fields).await?;
            let extras = MessageExtras { reply_to: kept.reply_to(), attachment };
            self.to.maintenance.replace_extras(id, extras).await?;
        }
        Ok(())
    }

    /// Copies a file. Returns its media type and size; `None` if it is missing.
    async fn copy(&self, path: &str, to: &str) -> Result<Option<(&'static str, u64)>, DjangoError> {
        let Some(from) = self.options.media.as_deref().and_then(|media| inside(media, path)) else { return Ok(None) };
        let Ok(mut file) = fs::File::open(&from).await else { return Ok(None) };
        let failed = |error| DjangoError::Copy(from.clone(), error);
        if !file.metadata().await.map_err(failed)?.is_file() {
            return Ok(None);
        }
        let mut head = Vec::with_capacity(SNIFFED);
        (&mut file).take(SNIFFED as u64).read_to_end(&mut head).await.map_err(failed)?;
        let size = files::copy(&from, &self.options.files.join(to)).await.map_err(failed)?;
        Ok(Some((sniff(&head).unwrap_or(UNKNOWN), size)))
    }
}

/// A path of the dump, below this folder; `None` if it leads out of it.
fn inside(folder: &Path, path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    let stays = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    stays.then(|| folder.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_reads_no_file_outside_of_the_media_folder() {
        let media = Path::new("/media");
        assert_eq!(inside(media, "chat/a.txt"), Some("/media/chat/a.txt".into()));
        for path in ["/etc/passwd", "../secret", "chat/../../secret"] {
            assert_eq!(inside(media, path), None, "{path}");
        }
    }
}
