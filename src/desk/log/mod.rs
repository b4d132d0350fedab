//! The log: the only way in, and how entries reach the people whom they concern.

mod follow_log;
mod ingest;
mod journal;
mod publish;

pub use journal::Answer;
pub(super) use journal::{Journal, Submission, Waiting};
