//! What the Channels face does differently when told to.

use std::path::PathBuf;

use clap::Args;

use crate::faces::channels::ChannelsSettings;
use crate::net::{ClientUrl, Heartbeat};

/// The largest that the largest attachment may be, in MiB: 10 GiB.
const LARGEST_ATTACHMENT: u64 = 10 * 1024;

/// The largest quota of attachments, in MiB: 1 PiB.
const LARGEST_QUOTA: u64 = 1 << 30;

/// What the Channels face does differently when told to.
#[derive(Debug, Clone, Args)]
pub struct ChannelsConfig {
    /// Lets everybody list, read, rename and write every conversation of the storefront, as the replaced server did.
    #[arg(long, env = "DESKLINE_OPEN_PUBLIC_ROOMS")]
    pub open_public_rooms: bool,
    /// What the shop's customers see as the name of whoever answers them (default: the support identity's name).
    #[arg(long, env = "DESKLINE_DESK_NAME", value_name = "NAME")]
    pub desk_name: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub files: FilesConfig,
    /// The largest attachment, in MiB.
    #[arg(long, env = "DESKLINE_MAX_ATTACHMENT", default_value_t = 25, value_name = "MIB",
        value_parser = clap::value_parser!(u64).range(1..=LARGEST_ATTACHMENT))]
    pub max_attachment: u64,
    /// How much one person may store in attachments, in MiB; 0 for any amount.
    #[arg(long, env = "DESKLINE_ATTACHMENT_QUOTA", default_value_t = 1024, value_name = "MIB",
        value_parser = clap::value_parser!(u64).range(0..=LARGEST_QUOTA))]
    pub attachment_quota: u64,
}

/// Where attachments are kept.
#[derive(Debug, Clone, Args)]
pub struct FilesConfig {
    /// The folder for attachments (default: beside the data file, `<data>.files`).
    #[arg(long, env = "DESKLINE_FILES", value_name = "FOLDER")]
    pub files: Option<PathBuf>,
}

impl FilesConfig {
    /// The folder, beside this data file unless it is named.
    #[must_use]
    pub fn folder(&self, data: Option<&PathBuf>) -> PathBuf {
        let beside = || {
            let mut files = data.map_or_else(|| "deskline".into(), |data| data.as_os_str().to_owned());
            files.push(".files");
            PathBuf::from(files)
        };
        self.files.clone().unwrap_or_else(beside)
    }
}

impl ChannelsConfig {
    /// As the face takes it, beside this data file, if there is one, for these pages, with this heartbeat.
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
            page_origins: client_urls.iter().map(ClientUrl::origin).collect(),
            heartbeat,
        }
    }
}
