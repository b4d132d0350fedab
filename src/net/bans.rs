//! Addresses that are shut out for a time: their requests are refused on every face, and what they have open is closed.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use parking_lot::Mutex;

use super::refusal::refusal;
use super::{ClientAddress, HangUp, TrustedProxies};
use crate::limits::{Bans, StillBanned};

/// Something that a client has open, and that is closed when its address is banned.
pub trait Closable: Send + Sync {
    /// Whether there is anything to close.
    fn is_open(&self) -> bool;
    /// Closes it.
    fn close(&self);
}

impl Closable for HangUp {
    fn is_open(&self) -> bool {
        Self::is_open(self)
    }

    fn close(&self) {
        self.now();
    }
}

/// What an address has open.
type Open = (IpAddr, Box<dyn Closable>);

/// Keeps banned addresses out. Clones share one.
#[derive(Clone)]
pub struct ShutOut {
    bans: Arc<Bans>,
    /// Never shut out: everybody behind them would be.
    proxies: TrustedProxies,
    /// Websockets and polling sessions, by the address that each was opened from.
    open: Arc<Mutex<Vec<Open>>>,
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

    /// Closes this as soon as the address is banned, which it may be already.
    pub fn close_when_banned(&self, address: IpAddr, what: Box<dyn Closable>) {
        let mut open = self.open.lock();
        if open.len() == open.capacity() {
            open.retain(|(_, what)| what.is_open());
        }
        // Judged under the lock, so that a ban that comes at this moment finds it here or is seen here.
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

    /// Closes what addresses have open as these are shut out; goes on for ever.
    pub async fn enforce(self) {
        let mut changes = self.bans.changes();
        loop {
            self.close_banned();
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The refusal of a request from a banned address: 403.
    #[must_use]
    pub fn refuse(&self, request: &Request) -> Option<Response> {
        self.check(ClientAddress::of(request.extensions()).ip()).err().map(refused)
    }

    /// Lets a request pass. If its address is banned meanwhile, the request is refused and its websocket closed, also while it waits
    /// for something to happen.
    pub async fn run(&self, request: Request, next: Next) -> Response {
        let address = ClientAddress::of(request.extensions()).ip();
        let socket = request.extensions().get::<HangUp>().cloned();
        let response = tokio::select! {
            response = next.run(request) => response,
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

fn refused(banned: StillBanned) -> Response {
    refusal(StatusCode::FORBIDDEN, "banned", "This address is banned for a time.", Some(banned.0))
}
