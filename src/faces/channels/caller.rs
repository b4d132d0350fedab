//! Who asks: a bearer token, or a visitor's session cookie.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

use super::reply::Problem;
use super::{Channels, cookies};
use crate::accounts::identify::IdentifyError;
use crate::desk::attendance::Authenticated;
use crate::domain::{Person, Role, User};

/// Whoever asks. A bad token is refused everywhere, also where none is needed.
pub(in crate::faces) struct Anybody {
    /// The account of the token.
    pub(in crate::faces) account: Option<User>,
    /// The visitor of the cookie.
    pub(in crate::faces) visitor: Option<User>,
}

/// Somebody with an account.
pub(in crate::faces) struct Caller(pub(in crate::faces) User);

/// Somebody who answers customers.
pub(in crate::faces) struct Agent(pub(in crate::faces) User);

impl Anybody {
    /// The account, else the visitor.
    pub(in crate::faces) fn user(&self) -> Option<&User> {
        self.account.as_ref().or(self.visitor.as_ref())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Anybody
where
    Channels: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let channels = Channels::from_ref(state);
        let account = match bearer(&parts.headers)? {
            None => None,
            Some(token) => match channels.accounts.identify(&token).await {
                Ok(identified) => Some(identified.user),
                Err(IdentifyError::Store(error)) => return Err(error.into()),
                Err(IdentifyError::Banned(banned)) => return Err(Problem::bad_token().banned(banned)),
                Err(IdentifyError::Token(_) | IdentifyError::Blocked | IdentifyError::Gone) => {
                    return Err(Problem::bad_token());
                }
            },
        };
        let visitor = match cookies::SESSION.of(&parts.headers) {
            Some(secret) => channels.accounts.visitor(secret).await?,
            None => None,
        };
        Ok(Self { account, visitor })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller
where
    Channels: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let anybody = Anybody::from_request_parts(parts, state).await?;
        anybody.account.map(Self).ok_or_else(Problem::no_credentials)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Agent
where
    Channels: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Caller(user) = Caller::from_request_parts(parts, state).await?;
        if user.role.is_agent() { Ok(Self(user)) } else { Err(Problem::not_for_you()) }
    }
}

/// Somebody as the desk knows them.
pub(in crate::faces) fn person(user: &User) -> Arc<Person> {
    Arc::new(Person::from(user))
}

/// Whether somebody is the storefront's superuser.
pub(in crate::faces) const fn is_superuser(user: &User) -> bool {
    matches!(user.role, Role::Admin)
}

fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| Problem::bad_token())?.trim();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
        // Other schemes are none of ours.
        _ => Ok(None),
    }
}

/// The token in a websocket's address: `token` or `access`, with or without `Bearer `.
pub(in crate::faces) fn token_in(uri: &Uri) -> Option<String> {
    let query = Query::<HashMap<String, String>>::try_from_uri(uri).ok()?.0;
    let token = query.get("token").or_else(|| query.get("access"))?;
    let token = crate::auth::without_bearer(token);
    (!token.is_empty()).then(|| token.to_owned())
}

/// Whoever a websocket's token names; `Ok(None)` if it names nobody.
pub(in crate::faces) async fn from_token(
    channels: &Channels,
    uri: &Uri,
) -> Result<Option<Authenticated>, crate::store::StoreError> {
    let Some(token) = token_in(uri) else { return Ok(None) };
    match channels.desk.authenticate(&token).await {
        Ok(who) => Ok(Some(who)),
        Err(IdentifyError::Store(error)) => Err(error),
        Err(IdentifyError::Token(_) | IdentifyError::Blocked | IdentifyError::Banned(_) | IdentifyError::Gone) => {
            Ok(None)
        }
    }
}
