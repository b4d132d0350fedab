//! Messages: the verbs that add to a conversation.

mod change_status;
mod edit_message;
mod mark_read;
mod own_marks;
mod send_message;

pub use change_status::ChangeStatusError;
pub use edit_message::{ReviseError, Revised};
pub use mark_read::{MarkRead, MarkReadError};
pub(super) use own_marks::OwnMarks;
pub use send_message::{Addressee, SendMessage, SendMessageError, Sent};
