//! How mail goes out.

use clap::Args;

use crate::auth::Secret;

/// How mail goes out.
#[derive(Debug, Clone, Args)]
pub struct MailConfig {
    /// Mail server, e.g. `smtps://user:password@mail.example:465` [default: none; no mail goes out, with --demo they are written to the log].
    #[arg(long, env = "DESKLINE_SMTP_URL", hide_env_values = true, value_name = "URL")]
    pub smtp_url: Option<Secret>,
    /// Sender of mails.
    #[arg(long, env = "DESKLINE_MAIL_FROM", default_value = "Deskline <deskline@localhost>", value_name = "ADDRESS")]
    pub mail_from: String,
}
