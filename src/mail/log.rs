//! Letters of the demo: written to the log.

use async_trait::async_trait;

use super::{Mail, MailError, Mailer};

/// Sends nothing; writes each letter to the log instead, at level `info` of the target `deskline::mail`.
///
/// Logs never hold one-time codes anywhere else. Here they must, since without a mail server there is nowhere else to see
/// them; so this adapter is for the demo and for tests only, and `deskline::mail=warn` silences it.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogMailer;

#[async_trait]
impl Mailer for LogMailer {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        tracing::info!(
            target: "deskline::mail",
            to = mail.to.as_str(),
            subject = mail.subject,
            "Mail that would be sent if a mail server were set:\n{}",
            mail.text
        );
        Ok(())
    }
}
