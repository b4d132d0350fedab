//! One-time codes: mailed in a link, stored as a digest, valid once and for a limited time.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Accounts;
use crate::domain::{AccountStatus, CodePurpose, Email, PendingCode, Timestamp, User};
use crate::mail::Mail;
use crate::store::{CodesChange, SaveUserError, StoreError, UserChange, UserKey};

/// How many wrong codes spoil the right one.
pub const MAX_FAILURES: u32 = 5;

/// Why a code opened nothing.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// Wrong, used, expired, spoilt by wrong ones, or for nobody: which of them is not told.
    #[error("the code is not valid")]
    Invalid,
    /// The store failed; the code may still be good.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How long a code is good.
const fn lifetime(purpose: CodePurpose) -> Duration {
    match purpose {
        CodePurpose::VerifyEmail => Duration::from_hours(24),
        CodePurpose::ResetPassword => Duration::from_hours(1),
        CodePurpose::LogIn => Duration::from_mins(5),
    }
}

/// A fresh code: what is mailed, and what is kept. 128 random bits, so that guessing is hopeless even without a limit.
pub(super) fn fresh(purpose: CodePurpose, now: Timestamp) -> (String, PendingCode) {
    kept(hex::encode(rand::random::<[u8; 16]>()), lifetime(purpose), now)
}

/// What a mailed code is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeForm {
    /// A link to a page.
    Link,
    /// A field that takes digits alone. Twelve of them: anybody may ask for such a code, so six would be guessed some day.
    Digits,
}

/// A fresh code of twelve digits, none of which is lost if it is taken for a number.
fn fresh_long_digits(purpose: CodePurpose, now: Timestamp) -> (String, PendingCode) {
    let code = rand::random_range(100_000_000_000_u64..1_000_000_000_000);
    kept(code.to_string(), lifetime(purpose), now)
}

/// Six digits, for those who have to type them: good for minutes only, and spoilt by [`MAX_FAILURES`] wrong ones.
pub(super) fn fresh_digits(lifetime: Duration, now: Timestamp) -> (String, PendingCode) {
    kept(format!("{:06}", rand::random_range(0..1_000_000)), lifetime, now)
}

/// A code, and what is kept of it.
fn kept(code: String, lifetime: Duration, now: Timestamp) -> (String, PendingCode) {
    let pending = PendingCode { digest: digest(&code), expires_at: now.after(lifetime), failures: 0 };
    (code, pending)
}

/// The letter with the digits.
pub(super) fn digits_mail(to: &Email, what_for: &str, code: &str, lifetime: Duration) -> Mail {
    let minutes = lifetime.as_secs() / 60;
    let text = format!("Your code to {what_for}: {code}\n\nIt is good for {minutes} minutes.\n");
    Mail { to: to.clone(), subject: format!("Your code to {what_for}"), text }
}

impl Accounts {
    /// The letter with the link that carries a code.
    pub(super) fn code_mail(&self, to: &Email, purpose: CodePurpose, code: &str) -> Mail {
        let (client_url, address) = (&self.parts.client_url, percent_encoded(to.as_str()));
        let (subject, text) = match purpose {
            CodePurpose::VerifyEmail => (
                "Confirm your e-mail address",
                format!(
                    "Please confirm your e-mail address:\n\n\
                     {client_url}/auth/verify?email={address}&code={code}\n\n\
                     The link is good for 24 hours. If you did not register, ignore this mail.\n"
                ),
            ),
            CodePurpose::ResetPassword => (
                "Choose a new password",
                format!(
                    "Choose a new password here:\n\n\
                     {client_url}/auth/reset-password?email={address}&token={code}\n\n\
                     The link is good for one hour. If you did not ask for it, ignore this mail.\n"
                ),
            ),
            CodePurpose::LogIn => ("Your code to log in", format!("Your code to log in: {code}\n")),
        };
        Mail { to: to.clone(), subject: subject.to_owned(), text }
    }

    /// Gives an account a fresh code, and mails it.
    pub(super) async fn mail_fresh_code(
        &self,
        user: &User,
        purpose: CodePurpose,
        form: CodeForm,
    ) -> Result<(), SaveUserError> {
        let Some(email) = &user.email else { return Ok(()) };
        let now = self.parts.clock.now();
        let (code, pending) = match form {
            CodeForm::Link => fresh(purpose, now),
            CodeForm::Digits => fresh_long_digits(purpose, now),
        };
        let change = UserChange { codes: CodesChange::Put(purpose, pending), ..UserChange::default() };
        if self.parts.users.update_user(user.id, change, now).await?.is_some() {
            let mail = match form {
                CodeForm::Link => self.code_mail(email, purpose, &code),
                CodeForm::Digits => digits_mail(email, "choose a new password", &code, lifetime(purpose)),
            };
            self.mail_queue.send(user.id, mail).await;
        }
        Ok(())
    }

    /// Spends a code: if it is the right one, `change` is made and the code is gone, in one step.
    pub(super) async fn redeem(
        &self,
        email: &Email,
        purpose: CodePurpose,
        code: &str,
        change: UserChange,
    ) -> Result<(), RedeemError> {
        let _one_at_a_time = self.redeeming.lock().await;
        let users = &self.parts.users;
        let now = self.parts.clock.now();
        let user = users.find_user(UserKey::Email(email)).await?.filter(|user| user.status != AccountStatus::Blocked);
        let Some(mut user) = user else { return Err(RedeemError::Invalid) };
        let pending = user.pending_codes.remove(&purpose);
        let pending = pending.filter(|pending| pending.failures < MAX_FAILURES && now < pending.expires_at);
        let Some(mut pending) = pending else { return Err(RedeemError::Invalid) };
        let right: bool = pending.digest.as_bytes().ct_eq(digest(code).as_bytes()).into();
        let change = if right {
            // A block set by an admin at this very moment must stand, so only what is unconfirmed is opened.
            let status = change.status.filter(|_| user.status == AccountStatus::Unverified);
            // Digits that were mailed to whoever knew the former password are no good with another.
            let sets_password = change.password_hash.is_some();
            let codes = if sets_password { CodesChange::RemoveAll } else { CodesChange::Remove(purpose) };
            UserChange { status, codes, ..change }
        } else {
            pending.failures += 1;
            UserChange { codes: CodesChange::Put(purpose, pending), ..UserChange::default() }
        };
        let kept = users.update_user(user.id, change, now).await.map_err(|error| match error {
            SaveUserError::Store(error) => RedeemError::Store(error),
            SaveUserError::EmailTaken | SaveUserError::UsernameTaken => RedeemError::Invalid,
        })?;
        if !right || kept.is_none() {
            return Err(RedeemError::Invalid);
        }
        self.tell_changed(user.id);
        Ok(())
    }
}

/// SHA-256 in hex: how secrets are kept that their holders show again.
pub(crate) fn digest(code: &str) -> String {
    hex::encode(Sha256::digest(code.as_bytes()))
}

/// What may not stand in any part of an address as it is (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as it may stand in any part of an address, reserved characters in the form `%XX`.
pub(crate) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_digest_of_a_code_is_kept() {
        let (code, pending) = fresh(CodePurpose::ResetPassword, Timestamp::from_millis(0));
        assert_eq!((code.len(), pending.digest.len()), (32, 64));
        assert_eq!(pending.digest, digest(&code));
        assert_eq!(pending.expires_at, Timestamp::from_millis(3_600_000));
        assert_eq!(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn addresses_are_encoded_for_links() {
        for (text, encoded) in [
            ("a+b&c@x.test", "a%2Bb%26c%40x.test"),
            ("", ""),
            ("azAZ09-._~", "azAZ09-._~"),
            ("%41 %zz", "%2541%20%25zz"),
            ("\0\r\n\x7f", "%00%0D%0A%7F"),
            ("\"<>\\^`{|}", "%22%3C%3E%5C%5E%60%7B%7C%7D"),
            ("!#$&'()*+,/:;=?@[]", "%21%23%24%26%27%28%29%2A%2B%2C%2F%3A%3B%3D%3F%40%5B%5D"),
            ("\u{e9}\u{1f600}", "%C3%A9%F0%9F%98%80"),
        ] {
            assert_eq!(percent_encoded(text), encoded, "{text:?}");
        }
    }
}
