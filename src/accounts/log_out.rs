//! Revokes one token, or all tokens of an account. Every server notices within half a second.

use super::Accounts;
use super::identify::{Identified, IdentifyError};
use super::store_error;
use crate::domain::{Timestamp, TokenStamp, UserId};
use crate::store::{SessionsChange, StoreError, UserChange};

impl Accounts {
    /// Revokes a token, and the refresh token that was issued with it. A refresh token of somebody else, or an invalid one, is ignored.
    ///
    /// # Errors
    /// [`IdentifyError`] if the token is not valid.
    #[tracing::instrument(name = "accounts.log_out", skip_all)]
    pub async fn log_out(&self, token: &str, refresh: Option<&str>) -> Result<(), IdentifyError> {
        let Identified { user, token, expires_at } = self.identify(token).await?;
        self.end_token(user.id, token, expires_at).await?;
        let refresh = refresh.and_then(|token| self.parts.tokens.verify_refresh(token, self.parts.clock.now()).ok());
        if let Some(refresh) = refresh
            && refresh.subject.is_of(&user)
        {
            self.end_token(user.id, refresh.token, refresh.expires_at).await?;
        }
        Ok(())
    }

    /// Revokes all tokens of an account. Returns false if there is no such account.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails.
    #[tracing::instrument(name = "accounts.log_out_everywhere", skip_all, fields(user.id = %user))]
    pub async fn log_out_everywhere(&self, user: UserId) -> Result<bool, StoreError> {
        self.end(user, SessionsChange::EndAll).await
    }

    async fn end_token(&self, user: UserId, token: TokenStamp, until: Timestamp) -> Result<(), StoreError> {
        self.end(user, SessionsChange::EndOne(token.digest, until)).await.map(drop)
    }

    async fn end(&self, user: UserId, sessions: SessionsChange) -> Result<bool, StoreError> {
        let change = UserChange { sessions, ..UserChange::default() };
        let ended = self.parts.users.update_user(user, change, self.parts.clock.now()).await.map_err(store_error)?;
        self.announce_change(user);
        Ok(ended.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::accounts::fields::NewPassword;
    use crate::accounts::forgot_password::ForgotPassword;
    use crate::accounts::log_in::LogIn;
    use crate::accounts::reset_password::ResetPassword;
    use crate::accounts::sign_in::SignIn;
    use crate::accounts::testing::Fixture;
    use crate::accounts::update_user::UpdateUser;
    use crate::auth::{TokenError, TokenPair};
    use crate::domain::{AccountStatus, Role, User};

    struct Ann {
        desk: Fixture,
        user: User,
        token: String,
        pair: TokenPair,
    }

    async fn ann() -> Ann {
        let desk = Fixture::new();
        let user = desk.account("ann@x.test", Role::Customer, AccountStatus::Active).await;
        let (token, pair) = enter(&desk, "secret1").await;
        Ann { desk, user, token, pair }
    }

    async fn enter(desk: &Fixture, password: &str) -> (String, TokenPair) {
        let ask = LogIn { email: "ann@x.test".parse().unwrap(), password: password.into(), from: None };
        let token = desk.accounts.log_in(ask).await.unwrap().token;
        let ask = SignIn { login: "ann@x.test".into(), password: password.into(), from: None };
        (token, desk.accounts.sign_in(ask).await.unwrap().tokens)
    }

    async fn opens(desk: &Fixture, token: &str) -> bool {
        match desk.accounts.identify(token).await {
            Ok(_) => true,
            Err(IdentifyError::Token(TokenError::Invalid) | IdentifyError::Blocked) => false,
            Err(other) => panic!("{other}"),
        }
    }

    async fn all_ended(Ann { desk, token, pair, .. }: &Ann) {
        assert!(!opens(desk, token).await && !opens(desk, &pair.access).await);
        assert!(desk.accounts.refresh(&pair.refresh).await.is_err());
    }

    /// The clock does not advance, so the new tokens are issued in the same second as the old ones.
    async fn only_new_ones_count(ann: &Ann, password: &str) {
        all_ended(ann).await;
        let (token, pair) = enter(&ann.desk, password).await;
        assert!(opens(&ann.desk, &token).await && opens(&ann.desk, &pair.access).await);
        ann.desk.accounts.refresh(&pair.refresh).await.unwrap();
    }

    #[tokio::test]
    async fn changing_a_password_ends_all_sessions_and_issues_new_tokens() {
        let mut ann = ann().await;
        let new = NewPassword::parse("another1".into()).unwrap();
        let changed = ann.desk.accounts.change_password(&ann.user, "secret1".into(), new).await.unwrap();
        assert_eq!(ann.desk.changed.try_recv(), Ok(ann.user.id), "live sockets are looked at");
        assert!(opens(&ann.desk, &changed.tokens.access).await);
        only_new_ones_count(&ann, "another1").await;
    }

    #[tokio::test]
    async fn a_reset_by_mail_ends_all_sessions() {
        let mut ann = ann().await;
        ann.desk.accounts.forgot_password(ForgotPassword { email: "ann@x.test".parse().unwrap() });
        let code = ann.desk.mailed("token=").await;
        let password = NewPassword::parse("another1".into()).unwrap();
        let ask = ResetPassword { email: "ann@x.test".parse().unwrap(), code, password };
        ann.desk.accounts.reset_password(ask).await.unwrap();
        only_new_ones_count(&ann, "another1").await;
    }

    fn by_admin(ann: &Ann, password: Option<&str>, status: Option<AccountStatus>) -> UpdateUser {
        let password = password.map(|password| NewPassword::parse(password.into()).unwrap());
        let by = UserId::generate(Timestamp::from_millis(0));
        UpdateUser { by, id: ann.user.id, name: None, email: None, password, role: None, status }
    }

    #[tokio::test]
    async fn an_admin_who_sets_a_password_ends_all_sessions() {
        let ann = ann().await;
        ann.desk.accounts.update_user(by_admin(&ann, Some("another1"), None)).await.unwrap();
        only_new_ones_count(&ann, "another1").await;
    }

    #[tokio::test]
    async fn an_unblocked_account_has_to_log_in_again() {
        let ann = ann().await;
        for status in [AccountStatus::Blocked, AccountStatus::Active] {
            ann.desk.accounts.update_user(by_admin(&ann, None, Some(status))).await.unwrap();
            all_ended(&ann).await;
        }
        only_new_ones_count(&ann, "secret1").await;
    }

    #[tokio::test]
    async fn a_page_recovers_only_while_its_token_is_valid() {
        let ann = ann().await;
        let accounts = &ann.desk.accounts;
        let bind = async |page: &str, token: &str| {
            let shown = accounts.identify(token).await.unwrap();
            accounts.bind_page(page, shown.user.id, shown.token, shown.expires_at)
        };
        let (one, other) = (bind("one", &ann.token).await, bind("other", &ann.pair.access).await);
        let is_let_in =
            async |page: &str, bound: &str| accounts.identify_page(page, bound, Duration::from_mins(2)).await.is_ok();
        accounts.log_out(&ann.token, None).await.unwrap();
        assert!(!is_let_in("one", &one).await && is_let_in("other", &other).await);
        accounts.log_out_everywhere(ann.user.id).await.unwrap();
        assert!(!is_let_in("other", &other).await);
    }

    #[tokio::test]
    async fn logging_out_everywhere_ends_all_sessions() {
        let ann = ann().await;
        assert!(ann.desk.accounts.log_out_everywhere(ann.user.id).await.unwrap());
        only_new_ones_count(&ann, "secret1").await;
        assert!(!ann.desk.accounts.log_out_everywhere(UserId::generate(Timestamp::from_millis(0))).await.unwrap());
    }

    #[tokio::test]
    async fn logging_out_ends_one_session_with_its_refresh_token_and_no_other() {
        let ann = ann().await;
        let accounts = &ann.desk.accounts;
        ann.desk.clock.advance(Duration::from_secs(1));
        let (token, pair) = enter(&ann.desk, "secret1").await;
        accounts.log_out(&pair.access, Some(&pair.refresh)).await.unwrap();
        assert!(!opens(&ann.desk, &pair.access).await);
        assert!(accounts.refresh(&pair.refresh).await.is_err());
        assert!(accounts.log_out(&pair.access, None).await.is_err(), "ended already");
        accounts.log_out(&token, Some("nonsense")).await.unwrap();
        assert!(!opens(&ann.desk, &token).await);
        assert!(opens(&ann.desk, &ann.token).await && opens(&ann.desk, &ann.pair.access).await);
        accounts.refresh(&ann.pair.refresh).await.unwrap();
    }

    #[tokio::test]
    async fn a_log_in_within_a_second_of_a_log_out_is_valid() {
        let ann = ann().await;
        let (mut ended, mut token) = (Vec::new(), ann.token.clone());
        for _ in 0..3 {
            ann.desk.accounts.log_out(&token, None).await.unwrap();
            ended.push(token);
            token = enter(&ann.desk, "secret1").await.0;
            assert!(opens(&ann.desk, &token).await);
        }
        for ended in &ended {
            assert!(!opens(&ann.desk, ended).await);
        }
        // All of it in one second.
        ann.desk.accounts.log_out_everywhere(ann.user.id).await.unwrap();
        ended.push(token);
        for ended in &ended {
            assert!(!opens(&ann.desk, ended).await, "none outlives the end of all sessions");
        }
        only_new_ones_count(&ann, "secret1").await;
    }

    #[tokio::test]
    async fn nobody_is_logged_out_by_somebody_elses_token() {
        let ann = ann().await;
        ann.desk.account("bob@x.test", Role::Customer, AccountStatus::Active).await;
        let ask = SignIn { login: "bob@x.test".into(), password: "secret1".into(), from: None };
        let bob = ann.desk.accounts.sign_in(ask).await.unwrap().tokens;
        ann.desk.accounts.log_out(&ann.token, Some(&bob.refresh)).await.unwrap();
        ann.desk.accounts.refresh(&bob.refresh).await.unwrap();
    }
}
