//! What the Channels face does differently when told to.

use std::path::Path;

use clap::Args;

use crate::faces::channels::ChannelsSettings;

/// What the Channels face does differently when told to.
#[derive(Debug, Clone, Args)]
pub struct ChannelsConfig {
    /// Lets everybody list, read, rename and write every conversation of the storefront, as the replaced server did.
    #[arg(long, env = "DESKLINE_OPEN_PUBLIC_ROOMS")]
    pub open_public_rooms: bool,
    /// The largest attachment, in MiB. They are kept in the folder `<data>.files`.
    #[arg(long, env = "DESKLINE_MAX_ATTACHMENT", default_value_t = 25, value_name = "MIB")]
    pub max_attachment: u64,
}

impl ChannelsConfig {
    /// As the face takes it, beside this data file.
    #[must_use]
    pub fn settings(&self, data: &Path) -> ChannelsSettings {
        let mut files = data.as_os_str().to_owned();
        files.push(".files");
        ChannelsSettings {
            open_public_rooms: self.open_public_rooms,
            files: files.into(),
            max_attachment: self.max_attachment.saturating_mul(1 << 20),
        }
    }
}
