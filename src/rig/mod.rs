//! What the load generator and the prover are built on: servers of one's own on scratch stores, accounts, and clients
//! that are spoken by hand, with nothing hidden and nothing retried.
//!
//! Reading order: [`scratch`], [`server`], [`account`], then the clients: [`client`] and [`polling`] for Socket.IO,
//! [`channels`] for the other two dialects, [`http`] for REST.

use std::path::PathBuf;

use clap::Args;

use crate::auth::Secret;

mod account;
mod bar;
pub(crate) mod channels;
pub mod client;
pub(crate) mod http;
mod polling;
pub(crate) mod procfs;
mod scratch;
mod server;

pub(crate) use account::Account;
pub(crate) use bar::Bar;
pub(crate) use scratch::Scratch;
pub(crate) use server::{OwnServer, SECRET};

/// What server to start, and where it keeps its things.
#[derive(Args, Clone, Debug)]
pub struct RigOptions {
    /// The server to start [default: this program].
    #[arg(long, value_name = "PROGRAM")]
    pub server: Option<PathBuf>,
    /// A further argument for it; may be given several times.
    #[arg(long, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub server_arg: Vec<String>,
    /// Where scratch data files go; the system's folder for such things by default, which may be in memory.
    #[arg(long, value_name = "FOLDER")]
    pub scratch: Option<PathBuf>,
    /// Uses a scratch database on this MongoDB instead of a scratch data file. It is removed at the end.
    #[arg(long, value_name = "URI")]
    pub mongodb_uri: Option<Secret>,
}
