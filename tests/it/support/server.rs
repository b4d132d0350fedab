//! Servers and accounts of this suite.

use std::sync::Arc;

use deskline::domain::{Clock, Role, SystemClock};
use deskline::lab::testkit::socketio::Client;

use super::{Account, enter, make_account};
pub(crate) use crate::shared::server::TestServer;

impl TestServer {
    /// A server with these flags and no rate limit.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::start_at(flags, Arc::new(SystemClock)).await
    }

    /// The same, with another clock.
    pub(crate) async fn start_at(flags: &[&str], clock: Arc<dyn Clock>) -> Self {
        let flags = [&["--send-rate", "0"], flags].concat();
        Self::open(tempfile::tempdir().unwrap(), &flags, clock).await
    }

    /// Creates an account.
    pub(crate) async fn account(&self, name: &str, role: Role) -> Account {
        make_account(&*self.stores.users, &self.tokens, &*self.clock, name, role).await
    }

    /// Creates a customer.
    pub(crate) async fn customer(&self, name: &str) -> Account {
        self.account(name, Role::Customer).await
    }

    /// Creates an admin, who answers customers.
    pub(crate) async fn agent(&self, name: &str) -> Account {
        self.account(name, Role::Admin).await
    }

    /// A client of this account: connected and authenticated.
    pub(crate) async fn enter(&self, account: &Account) -> Client {
        enter(&self.url, account).await
    }
}
