//! `deskline check-config`

use std::path::PathBuf;

use super::say;
use crate::config::Config;

pub(super) fn check(config: Config) -> anyhow::Result<()> {
    let config = config.complete()?;
    // `Debug` of a secret does not show it.
    say(format_args!("{config:#?}"))?;
    config.auth.secret(config.store.location().file().map(PathBuf::as_path), config.demo)?;
    say("The settings are valid.")
}
