//! The REST face: plain requests of the dashboards.
//!
//! Routes: [`auth`] (log in, register, codes), [`admin`] (who keeps the accounts). Shared: [`body`] (what may be sent),
//! [`caller`] (who asks), [`reply`] (how it is answered).

use std::sync::Arc;

use crate::accounts::Accounts;

pub mod admin;
pub mod auth;
pub mod body;
pub mod caller;
pub mod reply;
#[cfg(test)]
mod tests;

pub use body::ApiJson;
pub use caller::{AdminCaller, Caller};
pub use reply::Refusal;

/// What the routes about accounts need of a router's state.
#[derive(Clone)]
pub struct AccountsState(pub Arc<Accounts>);
