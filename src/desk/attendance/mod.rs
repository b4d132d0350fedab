//! Attendance: who is connected, and what others see of it.

mod announce_absence;
mod announce_presence;
mod connect;
mod drain;
mod revalidate;
mod typing;

pub(super) use announce_absence::Visits;
pub(super) use announce_presence::DueNews;
pub use connect::{Authenticated, Begun};
pub(super) use revalidate::Expiries;
pub(super) use typing::TypingBoard;
