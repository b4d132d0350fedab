//! Mail of the demo: written to the log.

use async_trait::async_trait;

use super::{Mail, MailError, Mailer};

/// Sends nothing. Writes each mail to the log instead, at level `info` of the target `deskline::mail`.
///
/// This is the only place where one-time codes are logged, because without a mail server there is no other way to see them. For
/// the demo and for tests only; `deskline::mail=warn` silences it.
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
