//! The cookie by which the sockets of an agents' panel are told from customers'.
//!
//! One generation's panel opens each room by its id alone, without the token that it signed in with. Such a socket would be nobody's: it
//! would go on hearing the room after its agent was blocked, demoted or logged out everywhere. So an agent's sign-in leaves a cookie
//! that browsers send with websocket handshakes and with nothing else. It opens no room whose id is not known, and gives no right to
//! write as the agent.

use axum::http::HeaderMap;

use crate::accounts::refresh::RefreshError;
use crate::desk::connect::Authenticated;
use crate::faces::channels::{Channels, caller};
use crate::store::StoreError;

/// The name of the cookie; it holds a refresh token.
const COOKIE: &str = "panel";

/// As long as a refresh token is good, in seconds.
const COOKIE_AGE: u32 = 7 * 24 * 3600;

/// Whose panel it is.
pub(super) enum Panel {
    /// No panel, as far as can be told.
    None,
    /// The panel of this agent.
    Of(Authenticated),
    /// The panel of somebody who may not use it any more.
    Shut,
}

/// The header that marks a browser as this agent's, over TLS alone if pages find this server there.
pub(super) fn cookie(refresh_token: &str, server_url: &str) -> String {
    let secure = if server_url.starts_with("https://") { "; Secure" } else { "" };
    format!("{COOKIE}={refresh_token}; HttpOnly; Max-Age={COOKIE_AGE}; Path=/ws/; SameSite=Lax{secure}")
}

/// Whose panel a handshake comes from.
pub(super) async fn of(channels: &Channels, headers: &HeaderMap) -> Result<Panel, StoreError> {
    let Some(token) = caller::cookie(headers, COOKIE).filter(|token| !token.is_empty()) else { return Ok(Panel::None) };
    match channels.accounts.holder_of(token).await {
        Ok(holder) if holder.user.role.is_agent() => Ok(Panel::Of(Authenticated {
            person: caller::person(&holder.user),
            expires_at: holder.expires_at,
            token: Some(holder.token),
        })),
        Ok(_) | Err(RefreshError::Invalid | RefreshError::Banned(_)) => Ok(Panel::Shut),
        Err(RefreshError::Store(error)) => Err(error),
    }
}
