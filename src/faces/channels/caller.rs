//! Who makes a request: the account of a bearer token, or the visitor of a session cookie.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

use super::Channels;
use super::reply::Problem;
use crate::accounts::identify::IdentifyError;
use crate::desk::attendance::Authenticated;
use crate::domain::{Person, Role, User};
use crate::faces::http::cookies;

/// Anybody. An invalid token is rejected even where none is required.
pub(in crate::faces) struct Anybody {
    /// The account that the token belongs to.
    pub(in crate::faces) account: Option<User>,
    /// The visitor that the session cookie belongs to.
    pub(in crate::faces) visitor: Option<User>,
}

/// A caller with an account.
pub(in crate::faces) struct Caller(pub(in crate::faces) User);

/// A caller who is an agent or an admin.
pub(in crate::faces) struct Agent(pub(in crate::faces) User);

impl Anybody {
    /// The account, or else the visitor.
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
        if user.role.is_agent() { Ok(Self(user)) } else { Err(Problem::forbidden()) }
    }
}

/// A user in the form that the desk expects.
pub(in crate::faces) fn person(user: &User) -> Arc<Person> {
    Arc::new(Person::from(user))
}

/// Whether a user is a superuser of the storefront.
pub(in crate::faces) const fn is_superuser(user: &User) -> bool {
    matches!(user.role, Role::Admin)
}

fn bearer(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let value = value.to_str().map_err(|_| Problem::bad_token())?.trim();
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim().to_owned())),
        // Stricter than the dashboard: as in Django REST framework, other schemes and bare tokens are ignored.
        _ => Ok(None),
    }
}

/// The token in the URL of a websocket: `token` or `access`, with or without `Bearer `.
pub(in crate::faces) fn token_in(uri: &Uri) -> Option<String> {
    let query = Query::<HashMap<String, String>>::try_from_uri(uri).ok()?.0;
    let token = query.get("token").or_else(|| query.get("access"))?;
    let token = crate::auth::without_bearer(token);
    (!token.is_empty()).then(|| token.to_owned())
}

/// The account of a websocket's token; `None` without a valid one.
pub(in crate::faces) async fn from_token(
    channels: &Channels,
    uri: &Uri,
) -> Result<Option<Authenticated>, crate::store::StoreError> {
    let Some(token) = token_in(uri) else { return Ok(None) };
    match channels.desk.attendance.authenticate(&token).await {
        Ok(who) => Ok(Some(who)),
        Err(IdentifyError::Store(error)) => Err(error),
        Err(IdentifyError::Token(_) | IdentifyError::Blocked | IdentifyError::Banned(_) | IdentifyError::Gone) => {
            Ok(None)
        }
    }
}
