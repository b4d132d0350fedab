//! Where no mail server is set.

use async_trait::async_trait;

use super::{Mail, MailError, Mailer};

/// Sends nothing. A letter holds a code that opens an account, so what it says is shown nowhere.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoMailer;

#[async_trait]
impl Mailer for NoMailer {
    async fn send(&self, _: Mail) -> Result<(), MailError> {
        Err(MailError::NoServer)
    }
}
