//! What a client shows while it connects. Frontends put their token in many places, and those who put it here wait for
//! `connect_error` to learn that it is no good.

use serde_json::Value;

use crate::accounts::identify::IdentifyError;
use crate::auth::TokenError;
use crate::desk::Desk;
use crate::faces::dashboard::wire::read_authenticate;
use crate::faces::socketio::handshake::Handshake;
use crate::limits::StillBanned;

/// Where clients connect. The first is the dashboard's; the others are its aliases, under the names that frontends use.
pub(super) const NAMESPACES: [&str; 4] = ["/", "/chat", "/admin", "/support"];

/// The token that is shown on purpose: in the connect packet's `auth`, in the address, or in an `Authorization` header.
pub(super) fn explicit_token(handshake: &Handshake, auth: Option<&Value>) -> Option<String> {
    let in_payload = auth.and_then(|auth| read_authenticate(auth).token);
    in_payload.or_else(|| handshake.token.as_deref().map(str::to_owned))
}

/// The token that stands in for a first `authenticate`.
pub(super) fn token(handshake: &Handshake, auth: Option<&Value>) -> Option<String> {
    explicit_token(handshake, auth).or_else(|| handshake.cookie.as_deref().map(str::to_owned))
}

/// Why a client is refused: the `message` of its `connect_error`.
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

/// Judges the token that a client shows while it connects.
///
/// A client without one is let in, and says later who it is. So is one with a cookie alone: the browser sends that unasked, and the
/// page may be about to authenticate with another token. If the store fails, the client is let in, too, and told so then.
pub(super) async fn check(desk: &Desk, token: Option<String>) -> Result<(), Refused> {
    let Some(token) = token else { return Ok(()) };
    match desk.authenticate(&token).await {
        Ok(_) | Err(IdentifyError::Store(_)) => Ok(()),
        Err(IdentifyError::Token(TokenError::Expired)) => Err(Refused::Expired),
        Err(IdentifyError::Blocked) => Err(Refused::Blocked),
        Err(IdentifyError::Banned(banned)) => Err(Refused::Banned(banned)),
        Err(IdentifyError::Token(_) | IdentifyError::Gone) => Err(Refused::Invalid),
    }
}
