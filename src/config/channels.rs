//! What the Channels face does differently when told to.

use clap::Args;

use crate::faces::channels::ChannelsSettings;

/// What the Channels face does differently when told to.
#[derive(Debug, Clone, Args)]
pub struct ChannelsConfig {
    /// Lets everybody list, read, rename and write every conversation of the storefront, as the replaced server did.
    #[arg(long, env = "DESKLINE_OPEN_PUBLIC_ROOMS")]
    pub open_public_rooms: bool,
}

impl ChannelsConfig {
    /// As the face takes it.
    #[must_use]
    pub const fn settings(&self) -> ChannelsSettings {
        ChannelsSettings { open_public_rooms: self.open_public_rooms }
    }
}
