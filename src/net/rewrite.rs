//! Replaces a byte string in what a connection sends, once.
//!
//! For a packet that socketioxide writes and offers no way to change. The caller knows the exact bytes, and requests the replacement
//! before they can be written. If they do not appear in a single write within the next 16 KiB, nothing is replaced.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Bytes that are searched before the replacement is dropped.
const SEARCHED: usize = 16 << 10;

/// The replacement of a connection, if any.
#[derive(Debug, Default)]
pub(super) struct Rewrite {
    wanted: Mutex<Option<Box<Replacement>>>,
    /// Whether there is a replacement. Writes check only this, without taking the lock.
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
        *self.wanted.lock() = Some(Box::new(Replacement { from, to, left: SEARCHED }));
        self.is_wanted.store(true, Ordering::Release);
    }

    /// Whether a replacement is still waiting for its bytes.
    pub(super) fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Acquire)
    }

    /// If `buf` contains the bytes: how much of it is consumed, and what to send in its place.
    pub(super) fn apply(&self, buf: &[u8]) -> Option<(usize, Vec<u8>)> {
        let mut wanted = self.wanted.lock();
        let replacement = wanted.as_mut()?;
        let found = buf.windows(replacement.from.len()).position(|window| window == replacement.from);
        replacement.left = replacement.left.saturating_sub(buf.len());
        let Some(at) = found else {
            if replacement.left == 0 {
                *wanted = None;
                self.is_wanted.store(false, Ordering::Release);
            }
            return None;
        };
        let mut sent = buf[..at].to_vec();
        sent.extend_from_slice(&replacement.to);
        let done = at + replacement.from.len();
        *wanted = None;
        self.is_wanted.store(false, Ordering::Release);
        Some((done, sent))
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
    fn the_search_ends_after_a_while() {
        let rewrite = Rewrite::default();
        rewrite.replace_once(b"two".to_vec(), b"three".to_vec());
        assert_eq!(rewrite.apply(&[b'x'; SEARCHED]), None);
        assert!(!rewrite.is_wanted());
    }
}
