//! The mail port: how a link reaches a person outside the chat.
//!
//! Adapters: [`smtp`] for real, [`none`] where no server is set, [`log`] for the demo.

use std::fmt;

use async_trait::async_trait;

use crate::domain::Email;

pub mod log;
pub mod none;
pub mod smtp;

pub use log::LogMailer;
pub use none::NoMailer;
pub use smtp::{SmtpError, SmtpMailer};

/// One letter in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: Email,
    /// What about, in one line.
    pub subject: String,
    /// What it says.
    pub text: String,
}

/// Letters carry addresses and one-time codes, so the debug form shows the subject alone.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a letter was not handed over.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// No mail server is set.
    #[error("no mail server is set (--smtp-url)")]
    NoServer,
    /// It cannot be written: the address is not one that mail servers take.
    #[error("the mail cannot be written: {0}")]
    Unwritable(String),
    /// The mail server could not be reached, or refused it. A later try may succeed.
    #[error("the mail server did not take the mail: {0}")]
    NotTaken(String),
}

/// Hands letters over to whoever delivers them.
#[async_trait]
pub trait Mailer: Send + Sync + 'static {
    /// Hands one letter over; when this returns, somebody else is responsible for it.
    async fn send(&self, mail: Mail) -> Result<(), MailError>;
}
