//! Settings: command-line flags, then environment variables, then a `.env` file, in this order of precedence.
//!
//! This is the only module that reads the environment. Each concern has its own struct; `docs/SETTINGS.md` and `--help` are
//! both made from the doc comments of their fields.
//!
//! A few variables of the replaced servers work as aliases: `PORT`, `JWT_SECRET`, `MONGODB_URI` and `CLIENT_URL`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

use crate::net::ClientUrlError;

mod auth;
mod channels;
mod desk;
mod duration;
mod heartbeat;
mod limits;
mod listen;
mod log;
mod mail;
mod store;

pub use auth::{AuthConfig, SecretError, secret_file};
pub use channels::{ChannelsConfig, FilesConfig};
pub use desk::{DeskConfig, SocketioConfig};
pub use heartbeat::HeartbeatConfig;
pub use limits::LimitsConfig;
pub(crate) use limits::network;
pub use listen::ListenConfig;
pub use log::{LogConfig, LogFormat};
pub use mail::MailConfig;
pub use store::{DEMO_DATA, StoreConfig};

/// All settings of `deskline serve`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Demo")]
pub struct Config {
    /// Start with demo accounts.
    ///
    /// Their passwords are public, so the server listens on loopback addresses only and uses its own data file,
    /// `deskline-demo.db`, unless `--data` names another.
    #[arg(long, env = "DESKLINE_DEMO")]
    pub demo: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub listen: ListenConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub store: StoreConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub auth: AuthConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub desk: DeskConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub heartbeat: HeartbeatConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub socketio: SocketioConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub channels: ChannelsConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub limits: LimitsConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub mail: MailConfig,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented by its type")]
    pub log: LogConfig,
}

/// Settings that contradict each other or cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The demo accounts must not be reachable from other machines.
    #[error("--demo cannot listen on {0}, only on loopback addresses\nhint: remove --listen, or --demo")]
    DemoInPublic(SocketAddr),
    /// The demo accounts are not written to a database.
    #[error("--demo cannot be used with MongoDB\nhint: remove --mongodb-uri, or --demo")]
    DemoOnMongo,
    /// The alias `CLIENT_URL` has a value that cannot be used.
    #[error("CLIENT_URL is {value:?}: {error}")]
    ClientUrl {
        /// The value.
        value: String,
        /// What is wrong with it.
        error: ClientUrlError,
    },
    /// Another alias has a value that cannot be used.
    #[error("{name} must be {what}, not {value:?}")]
    Alias {
        /// The variable.
        name: &'static str,
        /// What it must be.
        what: &'static str,
        /// The value.
        value: String,
    },
}

impl Config {
    /// Applies the aliases and defaults to settings that are not given, and checks the result.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting.
    pub fn complete(mut self) -> Result<Self, ConfigError> {
        self.listen.complete()?;
        if self.demo {
            self.store.complete_for_demo()?;
        } else {
            self.store.complete();
        }
        self.auth.complete();
        if self.demo {
            let public = self.listen.addresses.iter().find(|address| !address.ip().is_loopback());
            if let Some(public) = public {
                return Err(ConfigError::DemoInPublic(*public));
            }
        }
        Ok(self)
    }
}

/// Loads the `.env` file of the working directory into the environment; variables that are already set win. Call it before
/// any other thread runs. Returns the names of the variables in the file.
///
/// # Errors
/// If the file exists and cannot be read.
pub fn load_env_file() -> Result<Vec<String>, dotenvy::Error> {
    match dotenvy::dotenv() {
        Ok(file) => dotenvy::from_path_iter(file)?.map(|line| line.map(|(name, _)| name)).collect(),
        Err(error) if error.not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A variable in a `.env` file that looks like a setting, but is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown setting {name} in the .env file\nhint: {hint}")]
pub struct UnknownVariable {
    name: String,
    hint: String,
}

/// Checks the variables of a `.env` file against the known settings. Only names that begin with `DESKLINE_` are checked, except
/// those of the tests, `DESKLINE_TEST_`.
///
/// # Errors
/// [`UnknownVariable`], for the first unknown one.
pub fn check_env_names(given: &[String], known: &[String]) -> Result<(), UnknownVariable> {
    let is_ours = |name: &&String| name.starts_with("DESKLINE_") && !name.starts_with("DESKLINE_TEST_");
    let Some(name) = given.iter().filter(is_ours).find(|name| !known.contains(name)) else { return Ok(()) };
    let likeness = |other: &&String| strsim::jaro_winkler(name, other);
    let nearest = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let hint = match nearest.filter(|nearest| likeness(nearest) > 0.9) {
        Some(nearest) => format!("did you mean {nearest}? Otherwise remove the line"),
        None => "remove the line; `deskline --help` lists all settings".to_owned(),
    };
    Err(UnknownVariable { name: name.clone(), hint })
}

/// The value of an alias; an empty one counts as not set.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the environment directly")]
fn alias(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[cfg(test)]
mod tests;
