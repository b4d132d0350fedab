//! Settings of the Channels face: the storefront and the portal.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::disk;
use crate::faces::channels::ChannelsSettings;
use crate::net::{ClientUrl, Heartbeat};

/// Upper bound of `--max-attachment`, in MiB: 10 GiB.
const LARGEST_ATTACHMENT: u64 = 10 * 1024;

/// Upper bound of `--attachment-quota`, in MiB: 1 PiB.
const LARGEST_QUOTA: u64 = 1 << 30;

/// Settings of the Channels face: the storefront and the portal.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storefront and portal")]
pub struct ChannelsConfig {
    /// Let anybody list, read, rename and write all conversations of the storefront.
    ///
    /// The replaced server did so. Only for programs that rely on it: everything that customers wrote is then public.
    #[arg(long, env = "DESKLINE_OPEN_PUBLIC_ROOMS")]
    pub open_public_rooms: bool,
    /// Name shown to storefront customers on agents' messages [default: the name of the support identity].
    #[arg(long, env = "DESKLINE_DESK_NAME", value_name = "NAME")]
    pub desk_name: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub files: FilesConfig,
    /// Largest attachment, in MiB (1 to 10240).
    #[arg(long, env = "DESKLINE_MAX_ATTACHMENT", default_value_t = 25, value_name = "MIB",
        value_parser = clap::value_parser!(u64).range(1..=LARGEST_ATTACHMENT))]
    pub max_attachment: u64,
    /// Attachments that one person may store, in MiB in total; 0 for no limit.
    #[arg(long, env = "DESKLINE_ATTACHMENT_QUOTA", default_value_t = 1024, value_name = "MIB",
        value_parser = clap::value_parser!(u64).range(0..=LARGEST_QUOTA))]
    pub attachment_quota: u64,
}

/// Where attachments are stored.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Storefront and portal")]
pub struct FilesConfig {
    /// Folder for attachments [default: the data file with `.files` appended; with MongoDB `deskline.files`].
    #[arg(long, env = "DESKLINE_FILES", value_name = "FOLDER")]
    pub files: Option<PathBuf>,
}

impl FilesConfig {
    /// The folder for attachments: the one that is set, or one beside this data file.
    #[must_use]
    pub fn folder(&self, data: Option<&PathBuf>) -> PathBuf {
        let beside = || disk::beside(data.map_or(Path::new("deskline"), PathBuf::as_path), ".files");
        self.files.clone().unwrap_or_else(beside)
    }
}

impl ChannelsConfig {
    /// The settings in the form that the face takes.
    #[must_use]
    pub fn settings(
        &self,
        data: Option<&PathBuf>,
        client_urls: &[ClientUrl],
        heartbeat: Heartbeat,
    ) -> ChannelsSettings {
        ChannelsSettings {
            open_public_rooms: self.open_public_rooms,
            files: self.files.folder(data),
            max_attachment: self.max_attachment.saturating_mul(1 << 20),
            attachment_quota: (self.attachment_quota > 0).then_some(self.attachment_quota << 20),
            desk_name: self.desk_name.clone(),
            page_origins: client_urls.iter().map(|url| url.origin().to_owned()).collect(),
            heartbeat,
        }
    }
}
