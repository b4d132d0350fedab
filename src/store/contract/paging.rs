//! The size of one page of a log.

use super::{append_new, say, support};
use crate::domain::{DraftKind, Entry, MessageBody, Seq, Side};
use crate::store::{MAX_PAGE_BYTES, Stores, is_last_page, page_bytes};

pub(crate) async fn a_page_ends_when_its_texts_fill_it(stores: Stores) {
    const EACH: usize = MAX_PAGE_BYTES / 4;
    let conversation = support(&stores, 1).await;
    for letter in ["a", "b", "c", "d", "e"] {
        let mut long = say(&conversation, 1, Side::Customer, letter);
        if let DraftKind::Message { body, .. } = &mut long.kind {
            *body = MessageBody::parse(&letter.repeat(EACH), EACH).unwrap();
        }
        append_new(&stores, long).await;
    }
    let seqs = |page: &[Entry]| page.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>();
    let after = |seq| stores.conversations.entries_after(conversation.id, Seq::new(seq), 100);
    let first = after(0).await.unwrap();
    assert_eq!((seqs(&first), page_bytes(&first)), (vec![1, 2, 3, 4], MAX_PAGE_BYTES));
    assert!(!is_last_page(&first, 100), "a full page may not be the last");
    let second = after(4).await.unwrap();
    assert_eq!(seqs(&second), [5]);
    assert!(is_last_page(&second, 100));
    let newest = stores.conversations.messages_before(conversation.id, None, 100).await.unwrap();
    assert_eq!(seqs(&newest), [2, 3, 4, 5]);
}
