//! The command line: parse, then run one command.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::bench::{self, BenchOptions};
use crate::config::{self, Config};
use crate::prove::{self, ProveOptions};

mod check_config;
mod demo;
mod health;
mod import;
mod import_django;
mod log_writer;
mod logging;
mod opening;
mod serve;
mod throttle;
mod token;
mod user;
mod verify;

/// How long blocking work may take to finish after everything else has.
const BLOCKING: Duration = Duration::from_secs(4);

/// A self-hosted realtime support-chat server.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves; what happens without a command, too.
    Serve(Box<Config>),
    /// Adds, lists, blocks and unblocks accounts, and sets their passwords.
    User(user::User),
    /// Prints a token for an account.
    Token(token::Token),
    /// Moves everything from one store into another, and compares them; or takes in a Django dump.
    Import(Box<import::Import>),
    /// Recomputes what follows from the logs, and says where what is kept differs.
    Verify(verify::Verify),
    /// Loads a server, and reports what it did with every message.
    Bench(Box<BenchOptions>),
    /// Kills a server under load again and again, and compares what was acknowledged, kept and heard.
    Prove(Box<ProveOptions>),
    /// Asks a server on this machine whether it runs.
    Health(health::Health),
    /// Prints the settings in force, without secrets, and checks them.
    CheckConfig(Box<Config>),
}

/// What the program's `main` is.
///
/// The exit code is 1 if something went wrong; of `bench`, 1 says that a promise was broken and 2 that the run could not be
/// done.
#[must_use]
pub fn main() -> ExitCode {
    if let Err(error) = config::load_env_file() {
        return fail(&anyhow::Error::from(error).context("reading the .env file"), 1);
    }
    let Cli { command, config } = Cli::parse();
    match command {
        None => run(serve::serve(config)),
        Some(Command::Serve(config)) => run(serve::serve(*config)),
        Some(Command::User(user)) => run(user.run()),
        Some(Command::Token(token)) => run(token.run()),
        Some(Command::Import(import)) => run(import.run()),
        Some(Command::Verify(verify)) => run(verify.run()),
        Some(Command::Health(health)) => run(health.run()),
        Some(Command::CheckConfig(config)) => run(async { check_config::check(*config) }),
        Some(Command::Prove(options)) => judged(block_on(prove::run(&options))),
        // It keeps itself to one CPU, which has to be done before there is a second thread.
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
    // Work on blocking threads may hang with the disk, and must not keep the process.
    runtime.shutdown_timeout(BLOCKING);
    done
}

/// The exit code of a trial, which tells what it has found from that it could not be held.
fn judged(trial: anyhow::Result<bool>) -> ExitCode {
    match trial {
        Ok(has_passed) => ExitCode::from(u8::from(!has_passed)),
        Err(error) => fail(&error, 2),
    }
}

fn fail(error: &anyhow::Error, code: u8) -> ExitCode {
    let mut stderr = std::io::stderr().lock();
    // With no stderr to write to there is nobody to tell.
    drop(writeln!(stderr, "deskline: {error:#}"));
    ExitCode::from(code)
}

/// Writes a line for the user.
fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("writing to the terminal")
}
