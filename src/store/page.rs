//! Limits on the size of one page.

use crate::domain::Entry;

/// The maximum number of rows that one call returns.
pub const MAX_PAGE: usize = 1000;

/// A page of messages ends with the message that brings its texts to this many bytes.
pub const MAX_PAGE_BYTES: usize = 16 << 20;

/// The size of the texts of a page, in bytes.
#[must_use]
pub fn page_bytes(page: &[Entry]) -> usize {
    page.iter().map(text_bytes).sum()
}

/// The size of the text of an entry, in bytes.
fn text_bytes(entry: &Entry) -> usize {
    entry.message().and_then(|message| message.text()).map_or(0, |text| text.as_str().len())
}

/// A page that is being read.
#[derive(Default)]
pub(crate) struct Page {
    pub(crate) entries: Vec<Entry>,
    bytes: usize,
}

impl Page {
    /// Adds an entry. Returns whether its text fills the page.
    pub(crate) fn ends_with(&mut self, entry: Entry) -> bool {
        self.bytes += text_bytes(&entry);
        self.entries.push(entry);
        self.bytes >= MAX_PAGE_BYTES
    }
}

/// Whether this is the last page: it ended neither at `limit` entries nor at [`MAX_PAGE_BYTES`].
pub(crate) fn is_last_page(page: &[Entry], limit: usize) -> bool {
    page.len() < limit && page_bytes(page) < MAX_PAGE_BYTES
}
