//! Somebody does not know their password any more.

use std::sync::Arc;

use super::Accounts;
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
        self.mail_code_later(ask.email, CodePurpose::ResetPassword, |status| status != AccountStatus::Blocked);
    }
}
