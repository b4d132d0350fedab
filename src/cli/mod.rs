//! The command line: parses the arguments and runs one command.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{self, Config};
use crate::lab::bench::{self, BenchOptions};
use crate::lab::prove::{self, ProveOptions};

mod backup;
mod ban;
mod chat;
mod check_config;
mod demo;
mod health;
mod import;
mod import_django;
mod log_writer;
mod logging;
mod opening;
mod password;
mod plain;
mod progress;
mod restore;
mod serve;
mod throttle;
mod token;
mod user;
mod verify;

pub(crate) use progress::Progress;

/// How long to wait at the end for work on blocking threads.
const BLOCKING: Duration = Duration::from_secs(4);

/// URL of a server with default settings.
const LOCAL_URL: &str = "http://127.0.0.1:3000";

/// A self-hosted realtime support-chat server.
///
/// Settings can also be given in the environment or in a `.env` file; flags win. docs/SETTINGS.md describes them.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (the default command).
    Serve(Box<Config>),
    /// Manage accounts: add, list, block, unblock, log out, set a password.
    User(user::User),
    /// Ban an address, an account or a visitor for a time.
    Ban(ban::Ban),
    /// Print a token for an account.
    Token(token::Token),
    /// Copy one store into another, or import a Django dump.
    Import(Box<import::Import>),
    /// Check stored data against the logs of the conversations.
    Verify(verify::Verify),
    /// Save everything that a server on a data file has, also while it runs.
    Backup(backup::Backup),
    /// Unpack what `backup` has saved.
    Restore(restore::Restore),
    /// Measure a server under load.
    Bench(Box<BenchOptions>),
    /// Kill a server under load repeatedly and check that no message is lost or duplicated.
    Prove(Box<ProveOptions>),
    /// Chat from the terminal.
    Chat(chat::Chat),
    /// Check that a server on this machine is running.
    Health(health::Health),
    /// Check the settings and print them, without secrets.
    CheckConfig(Box<Config>),
}

impl Cli {
    /// Parses the arguments. Global settings may be given before or after a command. Any other setting before a command would have
    /// no effect, so it is refused.
    fn parse_checked(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut program = Self::command();
        let matches = program.try_get_matches_from_mut(arguments)?;
        if let Some(command) = matches.subcommand_name() {
            let before = |argument: &&clap::Arg| {
                let source = matches.value_source(argument.get_id().as_str());
                !argument.is_global_set() && source == Some(ValueSource::CommandLine)
            };
            let flag = program.get_arguments().find(before).and_then(clap::Arg::get_long).map(str::to_owned);
            if let Some(name) = flag {
                let why =
                    format!("--{name} has no effect before `{command}`; put it after `{command}`, if that takes it");
                return Err(program.error(ErrorKind::ArgumentConflict, why));
            }
        }
        Self::from_arg_matches(&matches)
    }
}

/// The environment variables of all commands.
fn env_names(program: &clap::Command) -> Vec<String> {
    let own = program.get_arguments().filter_map(|argument| Some(argument.get_env()?.to_string_lossy().into_owned()));
    own.chain(program.get_subcommands().flat_map(env_names)).collect()
}

/// Runs the program.
///
/// The exit code is 1 if something failed. For `bench` and `prove`, 1 means that a check failed, and 2 that the run itself failed.
#[must_use]
pub fn main() -> ExitCode {
    let from_file = match config::load_env_file() {
        Ok(names) => names,
        Err(error) => return fail(&anyhow::Error::from(error).context("reading the .env file"), 1),
    };
    if let Err(error) = config::check_env_names(&from_file, &env_names(&Cli::command())) {
        return fail(&error.into(), 1);
    }
    let Cli { command, config } = Cli::parse_checked(std::env::args_os()).unwrap_or_else(|error| error.exit());
    match command {
        None => run(serve::serve(config)),
        Some(Command::Serve(config)) => run(serve::serve(*config)),
        Some(Command::User(user)) => run(user.run()),
        Some(Command::Ban(ban)) => run(ban.run()),
        Some(Command::Token(token)) => run(token.run()),
        Some(Command::Import(import)) => run(import.run()),
        Some(Command::Verify(verify)) => run(verify.run()),
        Some(Command::Backup(backup)) => run(backup.run()),
        Some(Command::Restore(restore)) => run(restore.run()),
        Some(Command::Chat(chat)) => run(chat.run()),
        Some(Command::Health(health)) => run(health.run()),
        Some(Command::CheckConfig(config)) => run(async { check_config::check(*config) }),
        Some(Command::Prove(options)) => judged(block_on(prove::run(&options))),
        // It pins itself to one CPU, which must happen before a second thread exists.
        Some(Command::Bench(options)) => judged(bench::run(&options)),
    }
}

/// Runs a command.
fn run(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    match block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error, 1),
    }
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    let done = runtime.block_on(work);
    // Blocking threads may hang on a failed disk; they must not keep the process alive.
    runtime.shutdown_timeout(BLOCKING);
    done
}

/// The exit code of `bench` and `prove`: a failed check differs from a failed run.
fn judged(trial: anyhow::Result<bool>) -> ExitCode {
    match trial {
        Ok(has_passed) => ExitCode::from(u8::from(!has_passed)),
        Err(error) => fail(&error, 2),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    // If stderr cannot be written, there is nowhere to report it.
    drop(writeln!(stderr, "deskline: {error:#}"));
    ExitCode::from(code)
}

/// Prints a line on stdout.
fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("writing to the terminal")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Cli, String> {
        let arguments = line.split(' ').map(OsString::from);
        Cli::parse_checked(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn store_settings_are_accepted_before_and_after_the_command() {
        for line in [
            "deskline --data x.db user list",
            "deskline user --data x.db list",
            "deskline user list --data x.db",
            "deskline --data x.db verify",
            "deskline verify --data x.db",
            "deskline --data x.db",
            "deskline serve --data x.db",
            "deskline --data x.db serve",
        ] {
            let Cli { command, config } = parsed(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            let data = match command {
                None => config.store.data,
                Some(Command::Serve(config)) => config.store.data,
                Some(Command::User(user)) => user.data(),
                Some(Command::Verify(verify)) => verify.data(),
                Some(_) => panic!("{line}"),
            };
            assert_eq!(data.as_deref(), Some(std::path::Path::new("x.db")), "{line}");
        }
        let refused = parsed("deskline --demo user list").unwrap_err();
        assert!(refused.contains("--demo has no effect before `user`"), "{refused}");
    }

    #[test]
    fn a_misspelt_variable_of_the_env_file_is_named() {
        let known = env_names(&Cli::command());
        let check = |name: &str| config::check_env_names(&[name.to_owned()], &known).map_err(|error| error.to_string());
        for good in ["DESKLINE_DATA", "DESKLINE_MONGODB_URI", "PORT", "OTHER", "DESKLINE_TEST_MONGO_URI"] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        let misspelt = check("DESKLINE_MONGO_URI").unwrap_err();
        assert!(misspelt.contains("did you mean DESKLINE_MONGODB_URI?"), "{misspelt}");
        let unknown = check("DESKLINE_QQQ").unwrap_err();
        assert!(unknown.contains("unknown setting DESKLINE_QQQ in the .env file"), "{unknown}");
    }
}
