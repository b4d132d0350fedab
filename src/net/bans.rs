//! Enforces address bans: requests are refused on every face, and open connections are closed.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;

use super::pass_on::pass_on;
use super::refusal::refusal;
use super::{ClientAddress, ConnectionHandle, TrustedProxies};
use crate::limits::{Bans, StillBanned};

/// A connection that can be closed when its address is banned.
pub trait Closable: Send + Sync {
    /// Whether there is anything to close.
    fn is_open(&self) -> bool;
    /// Closes it.
    fn close(&self);
}

impl Closable for ConnectionHandle {
    fn is_open(&self) -> bool {
        Self::is_open(self)
    }

    fn close(&self) {
        self.abort();
    }
}

/// An open connection, and the address that it came from.
type Open = (IpAddr, Box<dyn Closable>);

/// Enforces address bans. Clones share state.
#[derive(Clone)]
pub struct BanEnforcer {
    bans: Arc<Bans>,
    /// Exempt, since banning a proxy would ban every client behind it.
    proxies: TrustedProxies,
    /// Websockets and polling sessions, by the address that each was opened from.
    open: Arc<Mutex<Vec<Open>>>,
}

impl BanEnforcer {
    /// Enforces `bans` for all addresses except `proxies` and loopback.
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

    /// Waits until `address` is banned.
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

    /// Closes `what` when `address` is banned, immediately if it already is.
    pub fn close_when_banned(&self, address: IpAddr, what: Box<dyn Closable>) {
        let mut open = self.open.lock();
        if open.len() == open.capacity() {
            open.retain(|(_, what)| what.is_open());
        }
        // Checked under the lock: a concurrent ban is either seen by this check, or finds the entry in `open`.
        if self.check(address).is_err() {
            what.close();
        } else {
            open.push((address, what));
        }
    }

    fn close_banned(&self) {
        let mut open = self.open.lock();
        open.retain(|(address, what)| {
            let is_banned = self.check(*address).is_err();
            if is_banned {
                what.close();
            }
            !is_banned && what.is_open()
        });
    }

    /// Closes the connections of addresses as they are banned. Returns when the bans are dropped.
    pub async fn enforce(self) {
        let mut changes = self.bans.changes();
        loop {
            self.close_banned();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Returns a 403 response if the request's address is banned.
    #[must_use]
    pub fn refuse(&self, request: &Request) -> Option<Response> {
        self.check(ClientAddress::of(request.extensions()).ip()).err().map(refused)
    }

    /// Runs a request. If its address is banned first, returns 403, also for a waiting poll. A websocket that it opens is closed
    /// when the address is banned.
    pub fn run(self, request: Request, next: Next) -> impl Future<Output = Response> + Send {
        let address = ClientAddress::of(request.extensions()).ip();
        let socket = request.extensions().get::<ConnectionHandle>().cloned();
        let responding = pass_on(request, next);
        async move {
            let response = tokio::select! {
                response = responding => response,
                banned = self.banned(address) => return refused(banned),
            };
            if response.status() == StatusCode::SWITCHING_PROTOCOLS
                && let Some(socket) = socket
            {
                self.close_when_banned(address, Box::new(socket));
            }
            response
        }
    }
}

fn refused(banned: StillBanned) -> Response {
    refusal(StatusCode::FORBIDDEN, "banned", "This address is temporarily banned.", Some(banned.0))
}
