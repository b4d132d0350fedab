//! Who asks: a bearer token, or a visitor's session cookie.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri, header};

use super::reply::Problem;
use super::{Channels, cookies};
use crate::accounts::identify::IdentifyError;
use crate::desk::connect::Authenticated;
use crate::domain::{Person, Role, User};

/// Whoever asks. A bad token is refused everywhere, also where none is needed.
pub(super) struct Anybody {
    /// The account of the token.
    pub(super) account: Option<User>,
    /// The visitor of the cookie.
    pub(super) visitor: Option<User>,
}

/// Somebody with an account.
pub(super) struct Caller(pub(super) User);

/// Somebody who answers customers.
pub(super) struct Agent(pub(super) User);

impl Anybody {
    /// The account, else the visitor.
    pub(super) fn user(&self) -> Option<&User> {
        self.account.as_ref().or(self.visitor.as_ref())
    }
}

impl FromRequestParts<Channels> for Anybody {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, channels: &Channels) -> Result<Self, Problem> {
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

impl FromRequestParts<Channels> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, channels: &Channels) -> Result<Self, Problem> {
        let anybody = Anybody::from_request_parts(parts, channels).await?;
        anybody.account.map(Self).ok_or_else(Problem::no_credentials)
    }
}

impl FromRequestParts<Channels> for Agent {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, channels: &Channels) -> Result<Self, Problem> {
        let Caller(user) = Caller::from_request_parts(parts, channels).await?;
        if user.role.is_agent() { Ok(Self(user)) } else { Err(Problem::not_for_you()) }
    }
}

/// Somebody as the desk knows them.
pub(super) fn person(user: &User) -> Arc<Person> {
    Arc::new(Person::from(user))
}

/// Whether somebody is the storefront's superuser.
pub(super) const fn is_superuser(user: &User) -> bool {
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
pub(super) fn token_in(uri: &Uri) -> Option<String> {
    let query = Query::<HashMap<String, String>>::try_from_uri(uri).ok()?.0;
    let token = query.get("token").or_else(|| query.get("access"))?;
    let token = crate::auth::without_bearer(token);
    (!token.is_empty()).then(|| token.to_owned())
}

/// Whoever a websocket's token names; `Ok(None)` if it names nobody.
pub(super) async fn from_token(
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
