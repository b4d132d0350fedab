//! The cookie by which the sockets of an agents' panel are told from customers'.
//!
//! One generation's panel opens each room by its id alone, without the token that it signed in with. Such a socket would be nobody's: it
//! would go on hearing the room after its agent was blocked, demoted or logged out everywhere. So an agent's sign-in leaves a cookie
//! that browsers send with websocket handshakes and with nothing else. It opens no room whose id is not known, and gives no right to
//! write as the agent.

use std::sync::Once;

use axum::http::{HeaderMap, Uri, header};

use crate::accounts::refresh::RefreshError;
use crate::desk::attendance::Authenticated;
use crate::faces::channels::{Channels, caller, cookies};
use crate::store::StoreError;

/// Whose panel it is.
pub(super) enum Panel {
    /// No panel, as far as can be told.
    None,
    /// The panel of this agent.
    Of(Authenticated),
    /// The panel of somebody who may not use it any more.
    Shut,
}

/// Whose panel a handshake comes from.
pub(super) async fn of(channels: &Channels, headers: &HeaderMap) -> Result<Panel, StoreError> {
    let Some(token) = cookies::PANEL.of(headers) else { return Ok(Panel::None) };
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

/// Tells the operator, once, that a page opens rooms by their id alone from another host than this server's: no cookie can come
/// along from there, so nobody can tell a panel from a customer.
pub(super) fn warn_of_other_host(headers: &HeaderMap, server_url: &str) {
    static TOLD: Once = Once::new();
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return };
    if is_other_host(origin, server_url) {
        TOLD.call_once(|| {
            tracing::warn!(
                "A page at {origin} opens rooms at {server_url}, which is another host, so that no cookie comes along: visitors get a new room \
                 after a reload, and a panel that is open goes on receiving after its agent was blocked. Open both under one host (docs/MOVING.md)"
            );
        });
    }
}

/// Whether a page and this server have different hosts, whatever the ports.
fn is_other_host(origin: &str, server_url: &str) -> bool {
    let host = |url: &str| Some(url.parse::<Uri>().ok()?.host()?.to_ascii_lowercase());
    match (host(origin), host(server_url)) {
        (Some(page), Some(server)) => page != server,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_other_host;

    #[test]
    fn ports_and_letter_case_make_no_other_host() {
        for (origin, server, is_other) in [
            ("http://127.0.0.1:5174", "http://127.0.0.1:8001", false),
            ("https://Shop.test", "https://shop.test:8443", false),
            ("http://localhost:5174", "http://127.0.0.1:8001", true),
            ("http://shop.test", "http://api.shop.test", true),
            ("null", "http://127.0.0.1:8001", true),
            ("", "http://127.0.0.1:8001", false),
        ] {
            assert_eq!(is_other_host(origin, server), is_other, "{origin} {server}");
        }
    }
}
