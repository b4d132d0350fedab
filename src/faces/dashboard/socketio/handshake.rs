//! The token that a client sends while it connects. Frontends put it in several places. Those that send it here expect a
//! `connect_error` if it is invalid.

use serde_json::Value;

use crate::accounts::identify::IdentifyError;
use crate::auth::TokenError;
use crate::desk::Desk;
use crate::faces::dashboard::wire::read_authenticate;
use crate::faces::socketio::handshake::Handshake;
use crate::limits::StillBanned;

/// Namespaces. The dashboard uses the first; the others are aliases, for other frontends.
pub(super) const NAMESPACES: [&str; 4] = ["/", "/chat", "/admin", "/support"];

/// A token that the page sends itself: in the `auth` of the CONNECT packet, in the URL, or in an `Authorization` header.
pub(super) fn explicit_token(handshake: &Handshake, auth: Option<&Value>) -> Option<String> {
    let in_payload = auth.and_then(|auth| read_authenticate(auth).token);
    in_payload.or_else(|| handshake.token.as_deref().map(str::to_owned))
}

/// The token that replaces a first `authenticate`.
pub(super) fn token(handshake: &Handshake, auth: Option<&Value>) -> Option<String> {
    explicit_token(handshake, auth).or_else(|| handshake.cookie.as_deref().map(str::to_owned))
}

/// Why a connection is refused: the `message` of `connect_error`.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("Token expired")]
    Expired,
    #[error("Account is blocked.")]
    Blocked,
    #[error("Account is banned for another {} s", .0.0.retry_after_secs())]
    Banned(StillBanned),
    #[error("Invalid token")]
    Invalid,
}

/// Checks the token that a client sends while it connects.
///
/// A client without a token is accepted, and authenticates later. So is one with only a cookie: the browser adds it, and the page may
/// be about to authenticate with another token. If the store fails, the client is accepted and gets the error when it authenticates.
pub(super) async fn check(desk: &Desk, token: Option<String>) -> Result<(), Refused> {
    let Some(token) = token else { return Ok(()) };
    match desk.attendance.authenticate(&token).await {
        Ok(_) | Err(IdentifyError::Store(_)) => Ok(()),
        Err(IdentifyError::Token(TokenError::Expired)) => Err(Refused::Expired),
        Err(IdentifyError::Blocked) => Err(Refused::Blocked),
        Err(IdentifyError::Banned(banned)) => Err(Refused::Banned(banned)),
        Err(IdentifyError::Token(_) | IdentifyError::Gone) => Err(Refused::Invalid),
    }
}
