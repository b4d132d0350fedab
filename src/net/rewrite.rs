//! Replaces byte strings in what a connection sends, each once.
//!
//! For a packet that socketioxide writes and offers no way to change. The caller knows the exact bytes, and requests the replacement
//! before they can be written. If they do not appear in a single write within the next 16 KiB, nothing is replaced.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Bytes that are searched before the replacement is dropped.
const SEARCHED: usize = 16 << 10;

/// The replacements of a connection, if any.
#[derive(Debug, Default)]
pub(super) struct Rewrite {
    wanted: Mutex<Vec<Replacement>>,
    /// Whether there are any. Writes check only this, without taking the lock.
    is_wanted: AtomicBool,
}

#[derive(Debug)]
struct Replacement {
    from: Vec<u8>,
    to: Vec<u8>,
    /// Bytes that remain to be searched.
    left: usize,
}

impl Rewrite {
    /// Replaces the next occurrence of `from` by `to`.
    pub(super) fn replace_once(&self, from: Vec<u8>, to: Vec<u8>) {
        self.wanted.lock().push(Replacement { from, to, left: SEARCHED });
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Whether a replacement is still waiting for its bytes.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// If `buf` contains bytes to replace: how much of it is consumed, and what to send in its place. The first ones in it are
    /// replaced; the rest of it is to be written next.
    pub(super) fn apply(&self, buf: &[u8]) -> Option<(usize, Vec<u8>)> {
        let mut wanted = self.wanted.lock();
        let found =
            |replacement: &Replacement| buf.windows(replacement.from.len()).position(|part| part == replacement.from);
        let first = wanted.iter().enumerate().filter_map(|(index, wanted)| Some((found(wanted)?, index))).min();
        let applied = if let Some((at, index)) = first {
            let Replacement { from, to, .. } = wanted.remove(index);
            Some((at + from.len(), [&buf[..at], &to].concat()))
        } else {
            for replacement in &mut *wanted {
                replacement.left = replacement.left.saturating_sub(buf.len());
            }
            wanted.retain(|replacement| replacement.left > 0);
            None
        };
        if wanted.is_empty() {
            *wanted = Vec::new();
            self.is_wanted.store(false, Ordering::Release);
        }
        applied
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_occurrence_is_replaced_and_nothing_else() {
        let rewrite = Rewrite::default();
        assert_eq!(rewrite.apply(b"one two"), None);
        rewrite.replace_once(b"two".to_vec(), b"three".to_vec());
        assert_eq!(rewrite.apply(b"one tw"), None);
        assert!(rewrite.is_wanted());
        assert_eq!(rewrite.apply(b"one two two"), Some((7, b"one three".to_vec())));
        assert!(!rewrite.is_wanted());
        assert_eq!(rewrite.apply(b"two"), None);
    }

    #[test]
    fn several_are_replaced_in_the_order_of_the_data() {
        let rewrite = Rewrite::default();
        rewrite.replace_once(b"one".to_vec(), b"1".to_vec());
        rewrite.replace_once(b"two".to_vec(), b"2".to_vec());
        assert_eq!(rewrite.apply(b"two one"), Some((3, b"2".to_vec())));
        assert_eq!(rewrite.apply(b" one two"), Some((4, b" 1".to_vec())));
        assert!(!rewrite.is_wanted());
    }

    #[test]
    fn the_search_ends_after_a_while() {
        let rewrite = Rewrite::default();
        rewrite.replace_once(b"two".to_vec(), b"three".to_vec());
        assert_eq!(rewrite.apply(&[b'x'; SEARCHED]), None);
        assert!(!rewrite.is_wanted());
    }
}
