//! Delivery: what each person and each side has received, and how missed entries are replayed.

mod acknowledge;
mod catch_up;
mod cursors;
mod receipts;
mod recover;
mod resume;

pub use acknowledge::AcknowledgeError;
pub(super) use catch_up::PAGE;
pub(super) use cursors::Cursors;
pub use receipts::Reaches;
pub(super) use receipts::Receipts;
pub(super) use recover::PublishedUpTo;
pub use resume::{ResumeError, Resumed};
