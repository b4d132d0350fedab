//! Helpers of this suite: servers in this process or as child processes, and clients.

use std::time::Duration;

mod client;
mod polls;
mod server;
mod site;
mod wire;

pub(crate) use client::{enter, send_message, settle};
pub(crate) use polls::Polls;
pub(crate) use server::TestServer;
pub(crate) use site::{Site, run};
pub(crate) use wire::Wire;

pub(crate) use crate::shared::process::STOP;
pub(crate) use crate::shared::{
    Account, PROGRAM, SECRET, ServerProcess, all_logs, email_of, how_long, make_account, number, seed, text,
};

/// Timeout of anything that should happen at once.
pub(crate) const SOON: Duration = Duration::from_secs(10);
