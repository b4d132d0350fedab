//! Settings: by flag, by environment, by a `.env` file, in this order of precedence. The only place that reads the
//! environment. Each concern has a struct of its own.
//!
//! A few names of the servers that Deskline replaces are understood as well: `PORT`, `JWT_SECRET`, `MONGODB_URI` and
//! `CLIENT_URL`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use clap::Args;

use crate::net::ClientUrlError;

mod auth;
mod channels;
mod desk;
mod heartbeat;
mod limits;
mod listen;
mod log;
mod mail;
mod store;

pub use auth::{AuthConfig, SecretError};
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
pub struct Config {
    /// Starts with demo accounts whose passwords everybody knows, on this machine alone, in a data file of its own.
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

/// Settings that contradict each other.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The demo accounts are for this machine alone.
    #[error("--demo listens on this machine alone, not on {0}\nhint: leave --listen out, or --demo")]
    DemoInPublic(SocketAddr),
    /// The demo accounts are for a data file of their own.
    #[error("--demo keeps its accounts in a data file\nhint: leave --mongodb-uri out, or --demo")]
    DemoOnMongo,
    /// The replaced server's name for where pages come from has a value that cannot be used.
    #[error("CLIENT_URL, {value:?}: {error}")]
    ClientUrl {
        /// What it is.
        value: String,
        /// Why not.
        error: ClientUrlError,
    },
    /// A name of the replaced server has a value that cannot be used.
    #[error("{name} must be {what}, not {value:?}")]
    Alias {
        /// The variable.
        name: &'static str,
        /// What it must be.
        what: &'static str,
        /// What it is.
        value: String,
    },
}

impl Config {
    /// Fills in what the replaced server's names say, where Deskline's own say nothing, and checks the whole.
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

/// Loads a `.env` file of the working folder into the environment, unless a variable is set already. To be called before
/// any other thread runs. Gives the names of the variables that the file sets.
///
/// # Errors
/// If there is such a file and it cannot be read.
pub fn load_env_file() -> Result<Vec<String>, dotenvy::Error> {
    match dotenvy::dotenv() {
        Ok(file) => dotenvy::from_path_iter(file)?.map(|line| line.map(|(name, _)| name)).collect(),
        Err(error) if error.not_found() => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// A variable of a `.env` file that looks like a setting and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} in the .env file is no setting\nhint: {hint}")]
pub struct UnknownVariable {
    name: String,
    hint: String,
}

/// Checks the names that a `.env` file sets against those that there are. Names of other programs are none of ours, nor are
/// those that tests take.
///
/// # Errors
/// [`UnknownVariable`], for the first one.
pub fn check_env_names(given: &[String], known: &[String]) -> Result<(), UnknownVariable> {
    let is_ours = |name: &&String| name.starts_with("DESKLINE_") && !name.starts_with("DESKLINE_TEST_");
    let Some(name) = given.iter().filter(is_ours).find(|name| !known.contains(name)) else { return Ok(()) };
    let likeness = |other: &&String| strsim::jaro_winkler(name, other);
    let nearest = known.iter().max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let hint = match nearest.filter(|nearest| likeness(nearest) > 0.9) {
        Some(nearest) => format!("write {nearest}, or take the line out"),
        None => "take the line out; `deskline --help` names all settings".to_owned(),
    };
    Err(UnknownVariable { name: name.clone(), hint })
}

/// A variable under a name of the replaced server; empty counts as not set.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment by hand")]
fn alias(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[cfg(test)]
mod tests;
