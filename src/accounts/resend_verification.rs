//! Mails the confirmation link again.

use std::sync::Arc;

use super::Accounts;
use super::codes::MailedCode;
use crate::domain::{AccountStatus, Email};
use crate::store::UserKey;

/// A request for another link to confirm an address.
#[derive(Debug)]
pub struct ResendVerification {
    /// The address.
    pub email: Email,
}

impl Accounts {
    /// Mails a new link if the address has an unconfirmed account, and invalidates the former one.
    ///
    /// The work is done in the background, so that neither the response nor its time reveals whether the address has an
    /// account. At most 5 mails are sent to an address in ten minutes. Failures are logged.
    #[tracing::instrument(name = "accounts.resend_verification", skip_all)]
    pub fn resend_verification(self: &Arc<Self>, ask: ResendVerification) {
        let unverified = |status| status == AccountStatus::Unverified;
        self.mail_code_later(ask.email, MailedCode::VerifyLink, unverified);
    }

    /// Looks up an account in the background, and mails it a code if its status allows.
    pub(super) fn mail_code_later(
        self: &Arc<Self>,
        email: Email,
        mailed: MailedCode,
        allowed: fn(AccountStatus) -> bool,
    ) {
        if self.mails.attempt(&email, self.parts.clock.now()).is_err() {
            return;
        }
        let accounts = Arc::clone(self);
        self.mail_queue.run(async move {
            let user = match accounts.parts.users.find_user(UserKey::Email(&email)).await {
                Ok(user) => user.filter(|user| allowed(user.status)),
                Err(error) => return tracing::error!(%error, "Could not mail a code: reading the account failed"),
            };
            let Some(user) = user else { return };
            if let Err(error) = accounts.mail_new_code(&user, mailed).await {
                tracing::error!(user.id = %user.id, %error, "Could not mail a code to {}", user.id);
            }
        });
    }
}
