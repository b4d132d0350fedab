//! Mails a link or code to choose a new password.

use std::sync::Arc;

use super::Accounts;
use super::codes::MailedCode;
use crate::domain::{AccountStatus, Email};

/// A request for a link or code to choose a new password.
#[derive(Debug)]
pub struct ForgotPassword {
    /// The address.
    pub email: Email,
}

impl Accounts {
    /// Mails a link to choose a new password, if the address has an account that is not blocked.
    ///
    /// The work is done in the background, so that neither the response nor its time reveals whether the address has an account. At most 5
    /// mails are sent to an address in ten minutes. Failures are logged.
    #[tracing::instrument(name = "accounts.forgot_password", skip_all)]
    pub fn forgot_password(self: &Arc<Self>, ask: ForgotPassword) {
        self.mail_reset_code(ask, MailedCode::ResetLink);
    }

    /// Mails twelve digits instead of a link, for pages with a field for the code.
    #[tracing::instrument(name = "accounts.forgot_password_digits", skip_all)]
    pub fn forgot_password_digits(self: &Arc<Self>, ask: ForgotPassword) {
        self.mail_reset_code(ask, MailedCode::ResetDigits);
    }

    fn mail_reset_code(self: &Arc<Self>, ask: ForgotPassword, mailed: MailedCode) {
        let in_use = |status| status != AccountStatus::Blocked;
        self.mail_code_later(ask.email, mailed, in_use);
    }
}
