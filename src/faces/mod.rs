//! Faces: the protocols towards clients. Each decodes, calls one use-case, and encodes; none names another.

pub mod channels;
pub mod console;
mod limits;
pub mod ops;
pub mod rest;
pub mod socketio;

pub use limits::{RequestLimits, limit_requests};
