//! One-time codes: mailed in a link, stored as a digest, valid once and for a limited time.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Accounts;
use crate::domain::{AccountStatus, CodePurpose, Email, PendingCode, Timestamp, User};
use crate::mail::Mail;
use crate::store::{CodesChange, SaveUserError, StoreError, UserChange, UserCondition, UserKey};

/// Wrong attempts after which a code is invalid.
pub const MAX_FAILURES: u32 = 5;

/// Why a code was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum RedeemError {
    /// It is wrong, used, expired, or invalidated by too many wrong ones, or there is no such account. Callers cannot distinguish these.
    #[error("the code is not valid")]
    Invalid,
    /// The store failed; the code may still be valid.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A code that anybody can request; it is mailed to the account's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MailedCode {
    /// A link that confirms the address.
    VerifyLink,
    /// A link to choose a new password.
    ResetLink,
    /// Digits to choose a new password, for a field that accepts nothing else. Twelve of them: anybody may request such a code, so
    /// six could be guessed in time.
    ResetDigits,
}

impl MailedCode {
    pub(super) const fn purpose(self) -> CodePurpose {
        match self {
            Self::VerifyLink => CodePurpose::VerifyEmail,
            Self::ResetLink | Self::ResetDigits => CodePurpose::ResetPassword,
        }
    }

    /// How long it is valid.
    const fn lifetime(self) -> Duration {
        match self {
            Self::VerifyLink => Duration::from_hours(24),
            Self::ResetLink | Self::ResetDigits => Duration::from_hours(1),
        }
    }

    /// A new code, and its stored form. That of a link has 128 random bits, so that it cannot be guessed even without a limit.
    pub(super) fn generate(self, now: Timestamp) -> (String, PendingCode) {
        let code = match self {
            Self::VerifyLink | Self::ResetLink => hex::encode(rand::random::<[u8; 16]>()),
            Self::ResetDigits => rand::random_range(100_000_000_000_u64..1_000_000_000_000).to_string(),
        };
        with_stored_form(code, self.lifetime(), now)
    }
}

/// A new code of six digits, to be typed: valid for minutes only, and invalidated by [`MAX_FAILURES`] wrong ones.
pub(super) fn generate_digits(lifetime: Duration, now: Timestamp) -> (String, PendingCode) {
    with_stored_form(format!("{:06}", rand::random_range(0..1_000_000)), lifetime, now)
}

fn with_stored_form(code: String, lifetime: Duration, now: Timestamp) -> (String, PendingCode) {
    let pending = PendingCode { digest: digest(&code), expires_at: now.after(lifetime), failures: 0 };
    (code, pending)
}

/// The mail with the digits.
pub(super) fn digits_mail(to: &Email, what_for: &str, code: &str, lifetime: Duration) -> Mail {
    let minutes = lifetime.as_secs() / 60;
    let text = format!("Your code to {what_for}: {code}\n\nIt is good for {minutes} minutes.\n");
    Mail { to: to.clone(), subject: format!("Your code to {what_for}"), text }
}

impl Accounts {
    /// The mail with a code.
    pub(super) fn code_mail(&self, to: &Email, mailed: MailedCode, code: &str) -> Mail {
        let (client_url, address) = (&self.parts.client_url, percent_encoded(to.as_str()));
        let (subject, text) = match mailed {
            MailedCode::VerifyLink => (
                "Confirm your e-mail address",
                format!(
                    "Please confirm your e-mail address:\n\n\
                     {client_url}/auth/verify?email={address}&code={code}\n\n\
                     The link is good for 24 hours. If you did not register, ignore this mail.\n"
                ),
            ),
            MailedCode::ResetLink => (
                "Choose a new password",
                format!(
                    "Choose a new password here:\n\n\
                     {client_url}/auth/reset-password?email={address}&token={code}\n\n\
                     The link is good for one hour. If you did not ask for it, ignore this mail.\n"
                ),
            ),
            MailedCode::ResetDigits => return digits_mail(to, "choose a new password", code, mailed.lifetime()),
        };
        Mail { to: to.clone(), subject: subject.to_owned(), text }
    }

    /// Creates a code for an account, and mails it.
    pub(super) async fn mail_new_code(&self, user: &User, mailed: MailedCode) -> Result<(), SaveUserError> {
        let Some(email) = &user.email else { return Ok(()) };
        let now = self.parts.clock.now();
        let (code, pending) = mailed.generate(now);
        // The mail goes to this address, so the code must not be for an account that has got another one.
        let condition = UserCondition { email: Some(email.clone()), ..UserCondition::default() };
        let codes = CodesChange::Put(mailed.purpose(), pending);
        let change = UserChange { codes, condition, ..UserChange::default() };
        if self.parts.users.update_user(user.id, change, now).await?.is_some() {
            self.mail_queue.send(user.id, self.code_mail(email, mailed, &code)).await;
        }
        Ok(())
    }

    /// Redeems a code: if it is right, applies `change` and removes the code, atomically. Returns the account as it is then.
    pub(super) async fn redeem(
        &self,
        email: &Email,
        purpose: CodePurpose,
        code: &str,
        change: UserChange,
    ) -> Result<User, RedeemError> {
        let _one_at_a_time = self.redeeming.lock().await;
        let users = &self.parts.users;
        let now = self.parts.clock.now();
        let user = users.find_user(UserKey::Email(email)).await?.filter(|user| user.status != AccountStatus::Blocked);
        let Some(mut user) = user else { return Err(RedeemError::Invalid) };
        let pending = user.pending_codes.remove(&purpose);
        let pending = pending.filter(|pending| pending.failures < MAX_FAILURES && now < pending.expires_at);
        let Some(mut pending) = pending else { return Err(RedeemError::Invalid) };
        // Meanwhile, an admin may block the account, and another process may redeem the code, count a failure or mail another code.
        let condition = UserCondition {
            unless_blocked: true,
            email: Some(email.clone()),
            code: Some((purpose, pending.clone())),
            ..UserCondition::default()
        };
        let right: bool = pending.digest.as_bytes().ct_eq(digest(code).as_bytes()).into();
        let change = if right {
            let status = change.status.filter(|_| user.status == AccountStatus::Unverified);
            // A new password also cancels log-in codes that were requested with the old one.
            let sets_password = change.password_hash.is_some();
            let codes = if sets_password { CodesChange::RemoveAll } else { CodesChange::Remove(purpose) };
            UserChange { status, codes, condition, ..change }
        } else {
            pending.failures += 1;
            UserChange { codes: CodesChange::Put(purpose, pending), condition, ..UserChange::default() }
        };
        let updated = users.update_user(user.id, change, now).await.map_err(|error| match error {
            SaveUserError::Store(error) => RedeemError::Store(error),
            SaveUserError::EmailTaken | SaveUserError::UsernameTaken => RedeemError::Invalid,
        })?;
        let updated = updated.filter(|_| right).ok_or(RedeemError::Invalid)?;
        self.announce_change(user.id);
        Ok(updated)
    }
}

/// SHA-256 in hex: the stored form of secrets that their owners present again.
pub(crate) fn digest(code: &str) -> String {
    hex::encode(Sha256::digest(code.as_bytes()))
}

/// Characters that have to be encoded in any part of a URL (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a text for any part of a URL.
pub(crate) fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_digest_of_a_code_is_stored() {
        let (code, pending) = MailedCode::ResetLink.generate(Timestamp::from_millis(0));
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
