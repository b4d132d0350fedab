//! The command line: parse, then run one command.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::config::{self, Config};

mod check_config;
mod demo;
mod health;
mod import;
mod import_django;
mod logging;
mod opening;
mod progress;
mod serve;
mod token;
mod user;
mod verify;

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
    Import(import::Import),
    /// Recomputes what follows from the logs, and says where what is kept differs.
    Verify(verify::Verify),
    /// Asks a server on this machine whether it runs.
    Health(health::Health),
    /// Prints the settings in force, without secrets, and checks them.
    CheckConfig(Box<Config>),
}

/// What the program's `main` is.
#[must_use]
pub fn main() -> ExitCode {
    let result = config::load_env_file().context("reading the .env file").and_then(|()| run(Cli::parse()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = std::io::stderr().lock();
            // With no stderr to write to there is nobody to tell.
            drop(writeln!(stderr, "deskline: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("starting the runtime")?;
    runtime.block_on(async {
        match cli.command {
            None => serve::serve(cli.config).await,
            Some(Command::Serve(config)) => serve::serve(*config).await,
            Some(Command::User(user)) => user.run().await,
            Some(Command::Token(token)) => token.run().await,
            Some(Command::Import(import)) => import.run().await,
            Some(Command::Verify(verify)) => verify.run().await,
            Some(Command::Health(health)) => health.run().await,
            Some(Command::CheckConfig(config)) => check_config::check(*config),
        }
    })
}

/// Writes a line for the user.
fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}").context("writing to the terminal")
}
