//! Edits and deletions.

use super::{append, append_new, log, read, say, someone, support, texts};
use crate::domain::{Conversation, Draft, DraftKind, Entry, EntryKind, MessageBody, MessageId, Seq, Side, Summary};
use crate::store::{Appended, ListFor, MAX_PAGE, Stores};

fn edit(said: &Entry, text: &str) -> Draft {
    let body = MessageBody::parse(text, 1000).unwrap();
    revise(said, DraftKind::Edit { target: said.as_target().unwrap(), body })
}

pub(super) fn delete(said: &Entry) -> Draft {
    revise(said, DraftKind::Delete { target: said.as_target().unwrap() })
}

fn revise(said: &Entry, kind: DraftKind) -> Draft {
    Draft { conversation: said.conversation, author: said.author, side: said.side, at: said.at, kind }
}

async fn say_all(stores: &Stores, conversation: &Conversation, texts: &[&str]) -> Vec<Entry> {
    let mut said = Vec::new();
    for text in texts {
        said.push(append_new(stores, say(conversation, 1, Side::Customer, text)).await);
    }
    said
}

async fn history(stores: &Stores, conversation: &Conversation) -> Vec<Entry> {
    stores.conversations.messages_before(conversation.id, None, MAX_PAGE).await.unwrap()
}

async fn summary(stores: &Stores, conversation: &Conversation) -> Summary {
    stores.conversations.summary(conversation.id).await.unwrap().unwrap()
}

fn last(summary: &Summary) -> Option<(u64, &str)> {
    summary.last_message.as_ref().map(|last| (last.seq.get(), last.body.as_str()))
}

pub(crate) async fn an_edit_changes_the_text_and_the_log_keeps_the_former_one(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = say_all(&stores, &conversation, &["one", "two"]).await;
    let first = append_new(&stores, edit(&said[0], "uno")).await;
    assert_eq!(first.target(), said[0].as_target().as_ref());
    append_new(&stores, edit(&said[0], "eins")).await;
    let edited = append_new(&stores, edit(&said[1], "zwei")).await;
    assert_eq!(texts(&history(&stores, &conversation).await), ["eins", "zwei"]);
    let log = log(&stores, conversation.id).await;
    assert_eq!(log.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let message = log[1].message().unwrap();
    assert_eq!((message.original.as_str(), message.edited_at()), ("two", Some(edited.at)));
    assert_eq!(message.revision.as_ref().map(|revision| revision.seq), Some(edited.seq));
    assert!(matches!(&log[2].kind, EntryKind::Edited { body, .. } if body.as_str() == "uno"), "the log has every edit");
    let summary = summary(&stores, &conversation).await;
    assert_eq!((last(&summary), summary.side(Side::Desk).unread), (Some((2, "zwei")), 2));
}

pub(crate) async fn a_deleted_message_remains_in_the_log_only(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = say_all(&stores, &conversation, &["one", "two", "three"]).await;
    append_new(&stores, edit(&said[1], "zwei")).await;
    let deleted = append_new(&stores, Draft { author: someone(9), side: Side::Desk, ..delete(&said[1]) }).await;
    assert_eq!(texts(&history(&stores, &conversation).await), ["one", "three"]);
    let page = stores.conversations.messages_before(conversation.id, Some(Seq::new(3)), 1).await.unwrap();
    assert_eq!(texts(&page), ["one"], "a page is filled with existing messages");
    let log = log(&stores, conversation.id).await;
    let message = log[1].message().unwrap();
    assert_eq!((message.text(), message.deleted_at(), message.edited_at()), (None, Some(deleted.at), None));
    assert_eq!(message.original.as_str(), "two");
    assert_eq!((log[4].author, log[4].kind.clone()), (someone(9), deleted.kind));
    let found = stores.conversations.messages_by_number(&[message.number]).await.unwrap().remove(0);
    assert_eq!(found.message().unwrap().text(), None);
}

pub(crate) async fn an_edit_or_deletion_that_changes_nothing_makes_no_entry(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = say_all(&stores, &conversation, &["one"]).await.remove(0);
    assert!(matches!(append(&stores, edit(&said, "one")).await, Appended::Unchanged { .. }));
    append_new(&stores, edit(&said, "uno")).await;
    assert!(matches!(append(&stores, edit(&said, "uno")).await, Appended::Unchanged { .. }));
    append_new(&stores, edit(&said, "one")).await;
    append_new(&stores, delete(&said)).await;
    assert!(matches!(append(&stores, delete(&said)).await, Appended::Unchanged { .. }));
    assert!(matches!(append(&stores, edit(&said, "once more")).await, Appended::Unchanged { .. }));
    let mut nothing = delete(&said);
    if let DraftKind::Delete { target } = &mut nothing.kind {
        target.id = MessageId::from_bytes([7; 12]);
    }
    assert!(matches!(append(&stores, nothing).await, Appended::Unchanged { .. }), "no message with this id");
    assert_eq!(log(&stores, conversation.id).await.len(), 4);
}

pub(crate) async fn deleting_an_unread_message_lowers_the_count(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = say_all(&stores, &conversation, &["one", "two", "three", "four"]).await;
    append_new(&stores, read(&conversation, 9, Side::Desk, 1)).await;
    append_new(&stores, delete(&said[0])).await;
    let unread = async || stores.conversations.unread(ListFor::Agent(someone(9))).await.unwrap();
    assert_eq!(unread().await, 3, "it was read before it was deleted");
    append_new(&stores, delete(&said[2])).await;
    assert_eq!(unread().await, 2);
    let mark = append_new(&stores, read(&conversation, 9, Side::Desk, 2)).await;
    assert_eq!(
        (mark.kind, unread().await),
        (EntryKind::Read { up_to: Seq::new(2) }, 1),
        "deleted messages are not counted"
    );
    append_new(&stores, delete(&said[3])).await;
    assert_eq!(unread().await, 0);
    assert!(matches!(append(&stores, read(&conversation, 9, Side::Desk, 100)).await, Appended::Unchanged { .. }));
}

pub(crate) async fn deleting_the_last_message_makes_the_one_before_it_the_last(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = say_all(&stores, &conversation, &["one", "two", "three", "four"]).await;
    append_new(&stores, edit(&said[0], "uno")).await;
    append_new(&stores, delete(&said[2])).await;
    assert_eq!(last(&summary(&stores, &conversation).await), Some((4, "four")));
    // All in one batch, as may happen under load.
    let answers = stores.conversations.append(vec![delete(&said[3]), delete(&said[1])]).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(Appended::New(_)))), "{answers:?}");
    assert_eq!(last(&summary(&stores, &conversation).await), Some((1, "uno")));
    let listed = stores.conversations.list(ListFor::Customer(someone(1)), 10).await.unwrap();
    assert_eq!(last(&listed[0]), Some((1, "uno")));
    append_new(&stores, delete(&said[0])).await;
    assert_eq!(last(&summary(&stores, &conversation).await), None);
    assert!(stores.conversations.list(ListFor::Customer(someone(1)), 10).await.unwrap().is_empty());
    append_new(&stores, say(&conversation, 1, Side::Customer, "anew")).await;
    assert_eq!(last(&summary(&stores, &conversation).await), Some((10, "anew")));
}

pub(crate) async fn edits_and_deletions_from_many_tasks_agree_with_the_log(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = say_all(&stores, &conversation, &["a", "b", "c", "d"]).await;
    let mut drafts = Vec::new();
    for i in 0..40 {
        let target = &said[i % said.len()];
        drafts.push(if i == 20 { delete(target) } else { edit(target, &format!("text {i}")) });
        drafts.push(say(&conversation, 1, Side::Customer, &format!("between {i}")));
    }
    let tasks: Vec<_> = drafts
        .into_iter()
        .map(|draft| {
            let stores = stores.clone();
            tokio::spawn(async move { append(&stores, draft).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let log = log(&stores, conversation.id).await;
    assert_eq!(log.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), (1..=log.len() as u64).collect::<Vec<_>>());
    for said in &said {
        let of_it = |entry: &&Entry| entry.target().is_some_and(|target| target.seq == said.seq);
        let by = log.iter().rev().find(of_it).unwrap();
        let message = log.iter().find(|entry| entry.seq == said.seq).and_then(Entry::message).unwrap();
        assert_eq!(message.revision.as_ref().map(|revision| revision.seq), Some(by.seq));
        match &by.kind {
            EntryKind::Edited { body, .. } => assert_eq!(message.text(), Some(body)),
            _ => assert_eq!(message.text(), None),
        }
    }
    assert_eq!(summary(&stores, &conversation).await.side(Side::Desk).unread, 43);
}

pub(crate) async fn a_message_is_found_by_its_id_and_entries_by_their_seqs(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = say_all(&stores, &conversation, &["one", "two", "three"]).await;
    for entry in &said {
        let found = stores.conversations.message(entry.message().unwrap().id).await.unwrap();
        assert_eq!(found.as_ref(), Some(entry));
    }
    assert_eq!(stores.conversations.message(MessageId::from_bytes([7; 12])).await.unwrap(), None);
    let at = |seqs: &[u64]| seqs.iter().copied().map(Seq::new).collect::<Vec<_>>();
    let found = stores.conversations.entries_at(conversation.id, &at(&[3, 9, 1, 3])).await.unwrap();
    assert_eq!(found, [said[0].clone(), said[2].clone()]);
    assert_eq!(stores.conversations.entries_at(conversation.id, &[]).await.unwrap(), []);
}
