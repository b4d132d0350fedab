//! Building blocks of the load generator, the prover and the tests: child servers on scratch stores, accounts, and clients that
//! show every frame and retry nothing.
//!
//! Reading order: [`scratch`], [`server`], [`account`], then the clients: [`socketio`] and [`polling`] for Socket.IO,
//! [`channels`] for the other two dialects, [`http`] for REST.

use std::path::PathBuf;

use clap::Args;

use crate::auth::Secret;

mod account;
pub(crate) mod channels;

pub(crate) mod http;
mod polling;
pub(crate) mod procfs;
mod scratch;
mod server;
pub mod socketio;

pub(crate) use account::Account;
pub(crate) use scratch::Scratch;
pub(crate) use server::{ChildServer, SECRET};

/// The server to start, and where its data is stored.
#[derive(Args, Clone, Debug)]
pub struct ServerOptions {
    /// Server program to start [default: this program].
    #[arg(long, value_name = "PROGRAM")]
    pub server: Option<PathBuf>,
    /// Additional argument for the server; may be given several times.
    #[arg(long, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub server_arg: Vec<String>,
    /// Folder for scratch data files [default: the system's temporary folder, which may be in memory].
    #[arg(long, value_name = "FOLDER")]
    pub scratch: Option<PathBuf>,
    /// Use a scratch database on this MongoDB instead of a data file; it is dropped at the end.
    #[arg(long, value_name = "URI")]
    pub mongodb_uri: Option<Secret>,
}
