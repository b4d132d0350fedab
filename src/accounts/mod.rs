//! Use cases of accounts: authentication and account management.
//!
//! One verb per file: [`log_in`], [`sign_in`], [`refresh`], [`identify`], [`recover`], [`visitors`]; [`register`], [`verify_email`],
//! [`resend_verification`]; [`forgot_password`], [`reset_password`]; for admins [`list_customers`], [`create_user`], [`update_user`],
//! [`delete_user`]. Each has its request, its errors, and its behaviour. Shared by them: [`fields`] (names and passwords), [`codes`]
//! (mailed one-time codes) and [`throttle`].
//!
//! Only `register` reveals whether an address has an account, which it cannot avoid.

use std::sync::Arc;

use tokio::sync::{Mutex, broadcast};

use crate::auth::{Passwords, Tokens};
use crate::domain::{Clock, UserId};
use crate::limits::Bans;
use crate::mail::Mailer;
use crate::store::{SaveUserError, StoreError, UserStore};

pub mod change_email;
pub mod codes;
pub mod create_user;
pub mod delete_user;
pub mod fields;
mod file_links;
pub mod forgot_password;
pub mod identify;
pub mod list_customers;
mod lock_out;
pub mod log_in;
pub mod log_out;
mod mail_queue;
pub mod one_time_code;
pub mod profile;
pub mod recover;
pub mod refresh;
pub mod register;
pub mod resend_verification;
pub mod reset_password;
pub mod sign_in;
#[cfg(test)]
pub(crate) mod testing;
pub mod throttle;
pub mod update_user;
pub mod verify_email;
pub mod visitors;

use lock_out::LockOut;
use mail_queue::MailQueue;
use throttle::Throttle;

/// What [`Accounts`] needs.
pub struct AccountParts {
    /// The stored accounts.
    pub users: Arc<dyn UserStore>,
    /// Sends mails.
    pub mailer: Arc<dyn Mailer>,
    /// Hashes and checks passwords.
    pub passwords: Passwords,
    /// Issues and verifies tokens.
    pub tokens: Arc<Tokens>,
    /// The current time.
    pub clock: Arc<dyn Clock>,
    /// Temporary bans.
    pub bans: Arc<Bans>,
    /// The URL of the frontend, without a trailing slash: mailed links start with it.
    pub client_url: String,
    /// Receives the id of every account that was changed or deleted, so that its open connections are revalidated at once.
    pub changed: broadcast::Sender<UserId>,
}

/// The use cases of accounts.
pub struct Accounts {
    parts: AccountParts,
    log_ins: LockOut,
    mails: Throttle,
    digits: Throttle,
    mail_queue: MailQueue,
    /// Held while a code is redeemed, so that two concurrent requests cannot both use it.
    redeeming: Mutex<()>,
}

impl Accounts {
    /// The use cases over these parts.
    #[must_use]
    pub fn new(mut parts: AccountParts) -> Arc<Self> {
        parts.client_url.truncate(parts.client_url.trim_end_matches('/').len());
        let mail_queue = MailQueue::new(Arc::clone(&parts.mailer));
        let (log_ins, mails, digits) = (LockOut::default(), Throttle::of_mails(), Throttle::of_mails());
        Arc::new(Self { parts, log_ins, mails, digits, mail_queue, redeeming: Mutex::new(()) })
    }

    /// The URL of the frontend, without a trailing slash.
    #[must_use]
    pub fn client_url(&self) -> &str {
        &self.parts.client_url
    }

    /// Temporary bans.
    #[must_use]
    pub fn bans(&self) -> &Bans {
        &self.parts.bans
    }

    /// Waits until all queued mails are sent, and accepts no more. Called when the server stops.
    pub async fn close(&self) {
        self.mail_queue.close().await;
    }

    fn announce_change(&self, id: UserId) {
        if self.parts.changed.send(id).is_err() {
            tracing::trace!(user.id = %id, "No listener for a change of account {id}");
        }
    }
}

/// For changes that cannot clash with another account.
fn store_error(error: SaveUserError) -> StoreError {
    match error {
        SaveUserError::Store(error) => error,
        SaveUserError::EmailTaken | SaveUserError::UsernameTaken => {
            StoreError::Corrupt("an unrelated change clashes with another account".into())
        }
    }
}
