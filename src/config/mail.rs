//! Mail settings.

use clap::Args;

use crate::auth::Secret;

/// Mail settings.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Mail")]
pub struct MailConfig {
    /// Mail server, e.g. `smtps://user:password@mail.example:465` [default: no mail is sent].
    ///
    /// Without one, nobody can confirm an address, reset a password, or log in to the portal as an agent. `--demo` writes mails
    /// to the log instead.
    #[arg(long, env = "DESKLINE_SMTP_URL", hide_env_values = true, value_name = "URL")]
    pub smtp_url: Option<Secret>,
    /// Sender address of mails.
    #[arg(long, env = "DESKLINE_MAIL_FROM", default_value = "Deskline <deskline@localhost>", value_name = "ADDRESS")]
    pub mail_from: String,
}
