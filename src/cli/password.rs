//! Passwords on standard input.

use std::io::{BufRead as _, IsTerminal as _};

use anyhow::Context as _;

/// Reads a password. A terminal does not echo it; from anything else, the first line is read.
pub(super) fn read() -> anyhow::Result<String> {
    let line = if std::io::stdin().is_terminal() {
        rpassword::prompt_password("Password: ").context("reading the password")?
    } else {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).context("reading the password")?;
        line
    };
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}
