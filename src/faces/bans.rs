//! Addresses that are shut out for a time: their requests are refused on every face, and what they have open is closed.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;
use serde_json::json;

use crate::limits::{Bans, StillBanned};
use crate::net::{ClientAddress, HangUp, TrustedProxies};

/// Keeps banned addresses out. Clones share one.
#[derive(Clone)]
pub struct ShutOut {
    bans: Arc<Bans>,
    /// Never shut out: everybody behind them would be.
    proxies: TrustedProxies,
    /// The websockets, by the address that each was opened from.
    open: Arc<Mutex<Vec<(IpAddr, HangUp)>>>,
}

impl ShutOut {
    /// Keeps out whoever these bans name, but for these proxies themselves.
    #[must_use]
    pub fn new(bans: Arc<Bans>, proxies: TrustedProxies) -> Self {
        Self { bans, proxies, open: Arc::default() }
    }

    fn check(&self, address: IpAddr) -> Result<(), StillBanned> {
        if self.proxies.trusts(address) || address.is_loopback() {
            return Ok(());
        }
        self.bans.check_address(address)
    }

    /// Waits until an address is shut out.
    async fn banned(&self, address: IpAddr) -> StillBanned {
        let mut changes = self.bans.changes();
        loop {
            if let Err(banned) = self.check(address) {
                return banned;
            }
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    fn opened(&self, address: IpAddr, socket: HangUp) {
        let mut open = self.open.lock();
        if open.len() == open.capacity() {
            open.retain(|(_, socket)| socket.is_open());
        }
        open.push((address, socket));
    }

    fn close_banned(&self) {
        let mut open = self.open.lock();
        open.retain(|(address, socket)| {
            let is_banned = self.check(*address).is_err();
            if is_banned {
                socket.now();
            }
            !is_banned && socket.is_open()
        });
    }

    /// Closes the websockets of addresses as these are shut out; goes on for ever.
    pub async fn enforce(self) {
        let mut changes = self.bans.changes();
        loop {
            self.close_banned();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// A layer that refuses what comes from a banned address with 403. What is being answered when an address is banned, such as a poll
/// that waits for something to happen, ends in the same way.
pub async fn refuse_banned(State(shut_out): State<ShutOut>, request: Request, next: Next) -> Response {
    let address = ClientAddress::of(request.extensions()).ip();
    if let Err(banned) = shut_out.check(address) {
        return refusal(banned);
    }
    let socket = request.extensions().get::<HangUp>().cloned();
    let response = tokio::select! {
        response = next.run(request) => response,
        banned = shut_out.banned(address) => return refusal(banned),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(socket) = socket
    {
        shut_out.opened(address, socket.clone());
        // It may have been banned just before.
        if shut_out.check(address).is_err() {
            socket.now();
        }
    }
    response
}

/// 403 in the words of every dialect at once, with `code` and `retryAfterMs` for programs.
fn refusal(banned: StillBanned) -> Response {
    let message = "This address is banned for a time.";
    let body = json!({
        "success": false,
        "message": message,
        "detail": message,
        "error": message,
        "code": "banned",
        "retryAfterMs": banned.0.retry_after_ms(),
    });
    let seconds = HeaderValue::from(banned.0.retry_after_secs());
    (StatusCode::FORBIDDEN, [(RETRY_AFTER, seconds)], Json(body)).into_response()
}
