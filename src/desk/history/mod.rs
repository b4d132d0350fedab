//! History: reads what was written.

mod annotate;
#[expect(clippy::module_inception, reason = "about to be merged")]
mod history;
mod page;
mod room_log;

pub use annotate::AnnotatedMessages;
pub use history::History;
pub use room_log::Room;
