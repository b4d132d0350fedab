//! Confirms an e-mail address by the mailed link.

use super::Accounts;
use super::codes::RedeemError;
use crate::domain::{AccountStatus, CodePurpose, Email};
use crate::store::UserChange;

/// A request to confirm an address with its mailed code.
#[derive(Debug)]
pub struct VerifyEmail {
    /// The address.
    pub email: Email,
    /// The code.
    pub code: String,
}

impl Accounts {
    /// Confirms the address and activates the account.
    ///
    /// # Errors
    /// [`RedeemError`].
    #[tracing::instrument(name = "accounts.verify_email", skip_all)]
    pub async fn verify_email(&self, ask: VerifyEmail) -> Result<(), RedeemError> {
        let change = UserChange { status: Some(AccountStatus::Active), ..UserChange::default() };
        self.redeem(&ask.email, CodePurpose::VerifyEmail, &ask.code, change).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accounts::fields::{Name, NewPassword};
    use crate::accounts::register::{Details, Proof, Register};
    use crate::accounts::resend_verification::ResendVerification;
    use crate::accounts::testing::Fixture;

    async fn registered() -> Fixture {
        let desk = Fixture::new();
        let name = Name::parse("Ann").unwrap();
        let password = NewPassword::parse("secret1".into()).unwrap();
        desk.accounts
            .register(Register { name, email: email(), password, details: Details::default(), proof: Proof::Link })
            .await
            .unwrap();
        desk
    }

    fn email() -> Email {
        "ann@x.test".parse().unwrap()
    }

    async fn verify(desk: &Fixture, code: &str) -> Result<(), RedeemError> {
        desk.accounts.verify_email(VerifyEmail { email: email(), code: code.to_owned() }).await
    }

    async fn status(desk: &Fixture) -> AccountStatus {
        desk.by_email("ann@x.test").await.status
    }

    #[tokio::test]
    async fn the_mailed_code_activates_the_account_once() {
        let mut desk = registered().await;
        let code = desk.mailed("code=").await;
        assert_eq!(status(&desk).await, AccountStatus::Unverified);
        verify(&desk, &code).await.unwrap();
        let ann = desk.by_email("ann@x.test").await;
        assert_eq!((ann.status, ann.pending_codes.len()), (AccountStatus::Active, 0));
        assert_eq!(desk.changed.try_recv(), Ok(ann.id));
        assert!(matches!(verify(&desk, &code).await, Err(RedeemError::Invalid)));
    }

    #[tokio::test]
    async fn five_wrong_codes_void_the_right_one() {
        let mut desk = registered().await;
        let code = desk.mailed("code=").await;
        for _ in 0..5 {
            assert!(matches!(verify(&desk, "wrong").await, Err(RedeemError::Invalid)));
        }
        assert!(matches!(verify(&desk, &code).await, Err(RedeemError::Invalid)));
        assert_eq!(status(&desk).await, AccountStatus::Unverified);
    }

    #[tokio::test]
    async fn a_code_expires_and_another_one_can_be_requested() {
        let mut desk = registered().await;
        let code = desk.mailed("code=").await;
        desk.clock.advance(Duration::from_hours(24));
        assert!(matches!(verify(&desk, &code).await, Err(RedeemError::Invalid)));
        desk.accounts.resend_verification(ResendVerification { email: email() });
        let code = desk.mailed("code=").await;
        verify(&desk, &code).await.unwrap();
    }

    #[tokio::test]
    async fn a_code_is_valid_for_its_own_purpose_only() {
        let mut desk = registered().await;
        let code = desk.mailed("code=").await;
        let redeemed = desk.accounts.redeem(&email(), CodePurpose::ResetPassword, &code, UserChange::default()).await;
        assert!(matches!(redeemed, Err(RedeemError::Invalid)));
    }
}
