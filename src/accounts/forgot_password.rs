//! Mails a link or code to choose a new password.

use std::sync::Arc;

use super::Accounts;
use super::codes::CodeForm;
use crate::domain::{AccountStatus, CodePurpose, Email};

/// Somebody asks for a link to choose a new password.
#[derive(Debug)]
pub struct ForgotPassword {
    /// The address.
    pub email: Email,
}

impl Accounts {
    /// Mails a link to choose a new password, if the address has an account that is not blocked.
    ///
    /// Whether it has is not told, neither by the answer nor by its time: everything happens after it. At most 5 mails go to
    /// an address in ten minutes; failures are logged.
    #[tracing::instrument(name = "accounts.forgot_password", skip_all)]
    pub fn forgot_password(self: &Arc<Self>, ask: ForgotPassword) {
        self.mail_reset_code(ask, CodeForm::Link);
    }

    /// The same for a page that has a field for the code instead of an address for a link: mails twelve digits.
    #[tracing::instrument(name = "accounts.forgot_password_digits", skip_all)]
    pub fn forgot_password_digits(self: &Arc<Self>, ask: ForgotPassword) {
        self.mail_reset_code(ask, CodeForm::Digits);
    }

    fn mail_reset_code(self: &Arc<Self>, ask: ForgotPassword, form: CodeForm) {
        let in_use = |status| status != AccountStatus::Blocked;
        self.mail_code_later(ask.email, CodePurpose::ResetPassword, form, in_use);
    }
}
