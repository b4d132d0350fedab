//! Projections of a log: counts, status, and missed messages.

use super::{append, append_new, log, read, say, someone, support};
use crate::domain::{ConversationId, Draft, DraftKind, EntryKind, ReceiptCursor, Seq, Side, Status};
use crate::store::{Appended, DeliveredCursor, ListFor, MovedCursors, Receipt, Stores};

pub(crate) async fn unread_counts_follow_messages_and_read_marks(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let unread = |list| stores.conversations.unread(list);
    let (ann, agent) = (ListFor::Customer(someone(1)), ListFor::Agent(someone(9)));
    append_new(&stores, say(&conversation, 1, Side::Customer, "one")).await;
    append_new(&stores, say(&conversation, 1, Side::Customer, "two")).await;
    append_new(&stores, say(&conversation, 9, Side::Desk, "answer")).await;
    assert_eq!((unread(ann).await.unwrap(), unread(agent).await.unwrap()), (1, 2));
    let mark = append_new(&stores, read(&conversation, 9, Side::Desk, 1000)).await;
    assert_eq!(mark.kind, EntryKind::Read { up_to: Seq::new(3) }, "a mark beyond the end covers the whole log");
    assert_eq!((unread(ann).await.unwrap(), unread(agent).await.unwrap()), (1, 0));
}

pub(crate) async fn a_partial_read_leaves_the_rest_unread(stores: Stores) {
    let conversation = support(&stores, 1).await;
    for text in ["one", "two", "three"] {
        append_new(&stores, say(&conversation, 1, Side::Customer, text)).await;
    }
    append_new(&stores, read(&conversation, 9, Side::Desk, 2)).await;
    let summary = stores.conversations.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.side(Side::Desk).unread, summary.side(Side::Desk).read.get()), (1, 2));
}

pub(crate) async fn a_read_mark_that_changes_nothing_makes_no_entry(stores: Stores) {
    let conversation = support(&stores, 1).await;
    assert!(matches!(append(&stores, read(&conversation, 9, Side::Desk, 1)).await, Appended::Unchanged { .. }));
    append_new(&stores, say(&conversation, 1, Side::Customer, "one")).await;
    assert!(matches!(append(&stores, read(&conversation, 1, Side::Customer, 1)).await, Appended::Unchanged { .. }));
    append_new(&stores, read(&conversation, 9, Side::Desk, 1)).await;
    assert!(matches!(append(&stores, read(&conversation, 9, Side::Desk, 2)).await, Appended::Unchanged { .. }));
    assert_eq!(log(&stores, conversation.id).await.len(), 2);
}

pub(crate) async fn the_status_follows_the_last_author_and_explicit_changes(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let status = async || stores.conversations.summary(conversation.id).await.unwrap().unwrap().status;
    append_new(&stores, say(&conversation, 1, Side::Customer, "help")).await;
    assert_eq!(status().await, Status::Waiting);
    append_new(&stores, say(&conversation, 9, Side::Desk, "here")).await;
    assert_eq!(status().await, Status::Active);
    let close =
        Draft { kind: DraftKind::ChangeStatus { status: Status::Closed }, ..read(&conversation, 9, Side::Desk, 0) };
    append_new(&stores, close.clone()).await;
    assert_eq!(status().await, Status::Closed);
    assert!(matches!(append(&stores, close).await, Appended::Unchanged { .. }));
    append_new(&stores, say(&conversation, 1, Side::Customer, "once more")).await;
    assert_eq!(status().await, Status::Waiting);
}

pub(crate) async fn undelivered_entries_are_missed_until_they_are_delivered(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let (ann, agent) = (ListFor::Customer(someone(1)), ListFor::Agent(someone(9)));
    let missed = async |list| -> Vec<(u64, u64)> {
        let missed = stores.conversations.missed(list, 10).await.unwrap();
        missed.iter().map(|missed| (missed.after.get(), missed.last_seq.get())).collect()
    };
    let deliver = async |user, up_to| {
        let cursor = DeliveredCursor { conversation: conversation.id, user: someone(user), up_to: Seq::new(up_to) };
        let moved = MovedCursors { delivered: vec![cursor], ..MovedCursors::default() };
        stores.conversations.advance_cursors(moved).await.unwrap();
    };
    assert!(missed(ann).await.is_empty());
    append_new(&stores, say(&conversation, 9, Side::Desk, "one")).await;
    append_new(&stores, say(&conversation, 9, Side::Desk, "two")).await;
    assert_eq!(missed(ann).await, [(0, 2)]);
    deliver(1, 1).await;
    assert_eq!(missed(ann).await, [(1, 2)]);
    assert_eq!(stores.conversations.delivered(conversation.id, someone(1)).await.unwrap(), Some(Seq::new(1)));
    deliver(1, 2).await;
    assert!(missed(ann).await.is_empty());
    deliver(1, 1).await;
    assert!(missed(ann).await.is_empty(), "a cursor moves forward only");
    assert_eq!(missed(agent).await, [(0, 2)], "each person has an own cursor");
    assert!(missed(ListFor::Customer(someone(2))).await.is_empty());
    append_new(&stores, say(&conversation, 1, Side::Customer, "three")).await;
    append_new(&stores, read(&conversation, 8, Side::Desk, 3)).await;
    assert!(missed(agent).await.is_empty(), "an agent without a cursor has missed nothing that the desk has read");
}

pub(crate) async fn receipts_move_forward_only(stores: Stores) {
    let (ann, bob) = (support(&stores, 1).await, support(&stores, 2).await);
    let cursor = |sent, delivered| ReceiptCursor { sent: Seq::new(sent), delivered: Seq::new(delivered) };
    let note = async |side, sent, delivered| {
        let receipt = Receipt { conversation: ann.id, side, cursor: cursor(sent, delivered) };
        let moved = MovedCursors { receipts: vec![receipt], ..MovedCursors::default() };
        stores.conversations.advance_cursors(moved).await.unwrap();
    };
    assert_eq!(stores.conversations.receipts(ann.id).await.unwrap(), [cursor(0, 0); 2]);
    note(Side::Desk, 5, 2).await;
    note(Side::Desk, 3, 4).await;
    note(Side::Customer, 1, 0).await;
    assert_eq!(stores.conversations.receipts(ann.id).await.unwrap(), [cursor(1, 0), cursor(5, 4)]);
    append_new(&stores, say(&ann, 1, Side::Customer, "one")).await;
    assert_eq!(stores.conversations.receipts(ann.id).await.unwrap(), [cursor(1, 0), cursor(5, 4)]);
    assert_eq!(stores.conversations.receipts(bob.id).await.unwrap(), [cursor(0, 0); 2]);
    let unknown = ConversationId::from_bytes([7; 12]);
    assert_eq!(stores.conversations.receipts(unknown).await.unwrap(), [cursor(0, 0); 2]);
}

pub(crate) async fn cursors_of_people_and_sides_are_stored_together(stores: Stores) {
    let (ann, bob) = (support(&stores, 1).await, support(&stores, 2).await);
    let unknown = ConversationId::from_bytes([7; 12]);
    let (two, cursor) = (Seq::new(2), ReceiptCursor { sent: Seq::new(3), delivered: Seq::new(2) });
    let delivered = |conversation, n| DeliveredCursor { conversation, user: someone(n), up_to: two };
    let receipt = |conversation, side| Receipt { conversation, side, cursor };
    let moved = MovedCursors {
        delivered: vec![delivered(ann.id, 1), delivered(unknown, 1), delivered(bob.id, 9)],
        receipts: vec![receipt(ann.id, Side::Customer), receipt(unknown, Side::Desk), receipt(bob.id, Side::Desk)],
    };
    for _ in 0..2 {
        stores.conversations.advance_cursors(moved.clone()).await.unwrap();
        assert_eq!(stores.conversations.delivered(ann.id, someone(1)).await.unwrap(), Some(two));
        assert_eq!(stores.conversations.delivered(bob.id, someone(9)).await.unwrap(), Some(two));
        assert_eq!(stores.conversations.receipts(ann.id).await.unwrap(), [cursor, ReceiptCursor::default()]);
        assert_eq!(stores.conversations.receipts(bob.id).await.unwrap(), [ReceiptCursor::default(), cursor]);
    }
    stores.conversations.advance_cursors(MovedCursors::default()).await.unwrap();
}

pub(crate) async fn cursors_in_an_unknown_conversation_are_no_error_and_do_not_create_it(stores: Stores) {
    let (unknown, two) = (ConversationId::from_bytes([7; 12]), Seq::new(2));
    let cursor = ReceiptCursor { sent: two, delivered: two };
    let moved = MovedCursors {
        delivered: vec![DeliveredCursor { conversation: unknown, user: someone(1), up_to: two }],
        receipts: vec![Receipt { conversation: unknown, side: Side::Customer, cursor }],
    };
    stores.conversations.advance_cursors(moved).await.unwrap();
    assert_eq!(stores.conversations.summary(unknown).await.unwrap(), None);
    assert_eq!(stores.conversations.receipts(unknown).await.unwrap(), [ReceiptCursor::default(); 2]);
    for list in [ListFor::Customer(someone(1)), ListFor::Agent(someone(1))] {
        assert_eq!(stores.conversations.list(list, 10).await.unwrap(), []);
        assert_eq!(stores.conversations.missed(list, 10).await.unwrap(), []);
    }
}
