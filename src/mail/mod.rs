//! The mail port.
//!
//! Adapters: [`smtp`], [`none`] if no mail server is set, [`log`] for the demo.

use std::fmt;

use async_trait::async_trait;

use crate::domain::Email;

pub mod log;
pub mod none;
pub mod smtp;

pub use log::LogMailer;
pub use none::NoMailer;
pub use smtp::{SmtpError, SmtpMailer};

/// A mail in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Recipient.
    pub to: Email,
    /// Subject, in one line.
    pub subject: String,
    /// Body.
    pub text: String,
}

/// Shows the subject only: mails contain addresses and one-time codes.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a mail was not sent.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No mail server is set.
    #[error("no mail server is set (--smtp-url)")]
    NoServer,
    /// The mail cannot be composed, because the recipient's address is not valid for mail.
    #[error("the mail could not be composed: {0}")]
    Invalid(String),
    /// The mail server could not be reached, or rejected the mail. A retry may succeed.
    #[error("the mail server did not accept the mail: {0}")]
    NotAccepted(String),
}

/// Sends mail.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Sends a mail. When this returns `Ok`, the mail server has accepted it.
    async fn send(&self, mail: Mail) -> Result<(), MailError>;
}
