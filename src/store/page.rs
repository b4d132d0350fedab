//! Limits on how much one call returns.

use crate::domain::Entry;

/// The most rows that one call returns, whatever it was asked for.
pub const MAX_PAGE: usize = 1000;

/// The bytes of text after which a page of messages ends, however few they are: a message may be long.
pub const MAX_PAGE_BYTES: usize = 16 << 20;

/// The bytes of text in a page.
#[must_use]
pub fn page_bytes(page: &[Entry]) -> usize {
    page.iter().map(text_bytes).sum()
}

/// The bytes of text that an entry brings to a page.
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
    /// Adds an entry; tells whether its text fills the page.
    pub(crate) fn ends_with(&mut self, entry: Entry) -> bool {
        self.bytes += text_bytes(&entry);
        self.entries.push(entry);
        self.bytes >= MAX_PAGE_BYTES
    }
}

/// Whether nothing follows this page, of which so many entries were asked for: it ended neither at that number nor at
/// [`MAX_PAGE_BYTES`].
pub(crate) fn is_last_page(page: &[Entry], limit: usize) -> bool {
    page.len() < limit && page_bytes(page) < MAX_PAGE_BYTES
}
