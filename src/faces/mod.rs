//! Faces: protocols towards clients. Each decodes a request or an event, calls one use case, and encodes the result.
//!
//! By dialect, one for each replaced product: [`dashboard`], [`storefront`] and [`drivecash`] (the portal). Dialects do not
//! depend on each other. They share [`http`], [`socketio`] (the transport of the dashboard) and [`channels`] (plain websockets and
//! Django-like REST of the other two, which [`storefront_and_portal`] joins).
//!
//! Also here: [`console`] (a page for agents), [`ops`] (health checks), and the checks on all requests (bans, origins, rate limits).

pub mod channels;
mod checks;
pub mod console;
pub mod dashboard;
mod drivecash;
mod history_limit;
mod http;
mod limits;
pub mod ops;
pub mod socketio;
mod storefront;
pub mod storefront_and_portal;

pub use checks::{Checks, check_request};
pub use history_limit::limit_histories;
pub use http::head::refuse_head;
pub use limits::RequestLimits;
