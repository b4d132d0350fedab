//! Who makes a request: the account of its bearer token.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::{AccountsState, Refusal};
use crate::accounts::identify::{Identified, IdentifyError};
use crate::auth::TokenError;
use crate::domain::{Role, User};
use crate::faces::http::credentials::header_token;

/// The account of the bearer token, as it is in the store now.
///
/// Errors are 401 with `No token provided`, `Token expired` or `Invalid token`; the last also for an account that is
/// blocked or deleted. The dashboard logs out on each of them, so a failure of the store is never reported as one.
#[derive(Debug, Clone)]
pub struct Caller(pub User);

/// A [`Caller`] who is an admin; others get 403 `Access denied`.
#[derive(Debug, Clone)]
pub struct AdminCaller(pub User);

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    AccountsState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let AccountsState(accounts) = AccountsState::from_ref(state);
        let Identified { user, .. } = accounts.identify(bare_token(&parts.headers)?).await?;
        Ok(Self(user))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AdminCaller
where
    AccountsState: FromRef<S>,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let Caller(user) = Caller::from_request_parts(parts, state).await?;
        if user.role == Role::Admin { Ok(Self(user)) } else { Err(Refusal::forbidden("Access denied")) }
    }
}

/// The token in the `Authorization` header; empty if there is none.
pub(super) fn bare_token(headers: &HeaderMap) -> Result<&str, TokenError> {
    Ok(header_token(headers)?.unwrap_or_default())
}

impl From<TokenError> for Refusal {
    fn from(error: TokenError) -> Self {
        Self::unauthorized(match error {
            TokenError::Missing => "No token provided",
            TokenError::Expired => "Token expired",
            TokenError::Invalid => "Invalid token",
        })
    }
}

impl From<IdentifyError> for Refusal {
    fn from(error: IdentifyError) -> Self {
        match error {
            IdentifyError::Token(error) => error.into(),
            IdentifyError::Blocked | IdentifyError::Gone => TokenError::Invalid.into(),
            IdentifyError::Banned(banned) => Self::from(TokenError::Invalid).banned(banned),
            IdentifyError::Store(error) => error.into(),
        }
    }
}
