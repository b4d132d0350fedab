//! The mailer if no mail server is set.

use async_trait::async_trait;

use super::{Mail, MailError, Mailer};

/// Sends and logs nothing: a mail may contain a code that gives access to an account.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMailer;

#[async_trait]
impl Mailer for NoMailer {
    async fn send(&self, _: Mail) -> Result<(), MailError> {
        Err(MailError::NoServer)
    }
}
