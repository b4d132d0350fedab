//! Recognizes the sockets of agents' panels by a cookie.
//!
//! The panel of one generation opens each room by its id alone, without its agent's token. Such a socket would belong to nobody, and would
//! still receive the room's messages after the agent was blocked, demoted or logged out everywhere. So an agent's log-in sets a cookie
//! that browsers send with websocket handshakes only. The cookie alone opens no room, and gives no right to write as the agent.

use std::sync::Once;

use axum::http::{HeaderMap, Uri, header};

use crate::accounts::refresh::RefreshError;
use crate::desk::attendance::Authenticated;
use crate::faces::channels::{Channels, caller};
use crate::faces::http::cookies;
use crate::store::StoreError;

/// The panel that a handshake comes from.
pub(super) enum Panel {
    /// None, or one that cannot be recognized.
    None,
    /// The panel of this agent.
    Of(Authenticated),
    /// The panel of somebody who has no access any more.
    Revoked,
}

/// Finds the panel that a handshake comes from.
pub(super) async fn of(channels: &Channels, headers: &HeaderMap) -> Result<Panel, StoreError> {
    let Some(token) = cookies::PANEL.of(headers) else { return Ok(Panel::None) };
    match channels.accounts.holder_of(token).await {
        Ok(holder) if holder.user.role.is_agent() => Ok(Panel::Of(Authenticated {
            person: caller::person(&holder.user),
            expires_at: holder.expires_at,
            token: Some(holder.token),
        })),
        Ok(_) | Err(RefreshError::Invalid | RefreshError::Banned(_)) => Ok(Panel::Revoked),
        Err(RefreshError::Store(error)) => Err(error),
    }
}

/// Warns, once, that a page on another host opens rooms by their id alone. Its browser sends no cookies, so a panel cannot be
/// distinguished from a customer's page.
pub(super) fn warn_of_other_host(headers: &HeaderMap, server_url: &str) {
    static WARNED: Once = Once::new();
    let Some(origin) = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok()) else { return };
    if is_other_host(origin, server_url) {
        WARNED.call_once(|| {
            tracing::warn!(
                "A page at {origin} opens rooms at {server_url}. Browsers send no cookies from one host to another: visitors get a new \
                 room after a reload, and an open panel still receives messages after its agent was blocked. Serve both under one host \
                 (docs/MOVING.md)"
            );
        });
    }
}

/// Whether a page and this server have different hosts. Ports do not count.
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
    fn hosts_are_compared_without_port_and_letter_case() {
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
