//! Appending to a log, and reading it.

use std::collections::BTreeSet;

use super::revisions::delete;
use super::{START, append, append_new, later, log, read, say, say_as, someone, support, texts};
use crate::domain::{
    Attachment, Conversation, ConversationId, Draft, DraftKind, Entry, Members, MessageBody, MessageExtras, Seq, Side,
};
use crate::store::{AppendError, Appended, ListFor, Stores};

pub(crate) async fn a_hundred_tasks_append_to_one_conversation_without_gaps_or_duplicates(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let tasks: Vec<_> = (0..100)
        .map(|i| {
            let (stores, draft) = (stores.clone(), say(&conversation, 1, Side::Customer, &format!("message {i}")));
            tokio::spawn(async move { append_new(&stores, draft).await.seq.get() })
        })
        .collect();
    let mut seqs = BTreeSet::new();
    for task in tasks {
        assert!(seqs.insert(task.await.unwrap()), "a seq was assigned twice");
    }
    assert_eq!(seqs, (1..=100).collect());
    let log = log(&stores, conversation.id).await;
    assert_eq!(log.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
    assert_eq!(texts(&log).into_iter().collect::<BTreeSet<_>>().len(), 100, "a text was stored twice");
    let numbers: BTreeSet<_> = log.iter().filter_map(Entry::message).map(|message| message.number).collect();
    assert_eq!(numbers.len(), 100, "a number was assigned twice");
    let summary = stores.conversations.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.last_seq.get(), summary.side(Side::Desk).unread), (100, 100));
}

pub(crate) async fn the_same_client_message_id_returns_the_first_entry_and_changes_nothing(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let first = append_new(&stores, say_as(&conversation, 1, "m1", "first")).await;
    let again = append(&stores, say_as(&conversation, 1, "m1", "changed")).await;
    assert_eq!(again, Appended::Already(first));
    assert_eq!(log(&stores, conversation.id).await.len(), 1);
    assert_eq!(stores.conversations.summary(conversation.id).await.unwrap().unwrap().side(Side::Desk).unread, 1);
}

pub(crate) async fn the_same_client_message_id_from_two_authors_is_two_messages(stores: Stores) {
    let conversation = support(&stores, 1).await;
    append_new(&stores, say_as(&conversation, 1, "m1", "mine")).await;
    append_new(&stores, say_as(&conversation, 2, "m1", "yours")).await;
    assert_eq!(texts(&log(&stores, conversation.id).await), ["mine", "yours"]);
}

pub(crate) async fn the_same_client_message_id_in_two_conversations_is_two_messages(stores: Stores) {
    let (one, other) = (support(&stores, 1).await, support(&stores, 2).await);
    let first = append_new(&stores, say_as(&one, 9, "m1", "here")).await;
    let second = append_new(&stores, say_as(&other, 9, "m1", "there")).await;
    assert_eq!((first.seq, second.seq), (Seq::new(1), Seq::new(1)));
    assert_eq!(append(&stores, say_as(&one, 9, "m1", "again")).await, Appended::Already(first));
    assert_eq!(append(&stores, say_as(&other, 9, "m1", "again")).await, Appended::Already(second));
    assert_eq!(
        (texts(&log(&stores, one.id).await), texts(&log(&stores, other.id).await)),
        (vec!["here"], vec!["there"])
    );
}

pub(crate) async fn one_client_message_id_sent_fifty_times_at_once_is_one_message(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (stores, draft) = (stores.clone(), say_as(&conversation, 1, "storm", "once"));
            tokio::spawn(async move { append(&stores, draft).await })
        })
        .collect();
    let mut new = 0;
    let mut ids = BTreeSet::new();
    for task in tasks {
        let appended = task.await.unwrap();
        new += usize::from(matches!(appended, Appended::New(_)));
        let (Appended::New(entry) | Appended::Already(entry)) = appended else { panic!("no entry") };
        ids.insert(entry.message().unwrap().id);
    }
    assert_eq!((new, ids.len(), log(&stores, conversation.id).await.len()), (1, 1, 1));
}

pub(crate) async fn entries_come_in_order_and_in_pages(stores: Stores) {
    let conversation = support(&stores, 1).await;
    for i in 1..=7 {
        append_new(&stores, say(&conversation, 1, Side::Customer, &i.to_string())).await;
    }
    let page = |after, limit| stores.conversations.entries_after(conversation.id, Seq::new(after), limit);
    assert_eq!(texts(&page(0, 3).await.unwrap()), ["1", "2", "3"]);
    assert_eq!(texts(&page(3, 3).await.unwrap()), ["4", "5", "6"]);
    assert_eq!(texts(&page(6, 3).await.unwrap()), ["7"]);
    assert!(page(7, 3).await.unwrap().is_empty());
    assert!(
        stores.conversations.entries_after(ConversationId::from_bytes([7; 12]), Seq::ZERO, 3).await.unwrap().is_empty()
    );
}

pub(crate) async fn the_newest_messages_come_oldest_first(stores: Stores) {
    let conversation = support(&stores, 1).await;
    for i in 1..=5 {
        append_new(&stores, say(&conversation, 1, Side::Customer, &i.to_string())).await;
    }
    append_new(&stores, read(&conversation, 9, Side::Desk, 5)).await;
    let page = |before: Option<u64>| stores.conversations.messages_before(conversation.id, before.map(Seq::new), 2);
    assert_eq!(texts(&page(None).await.unwrap()), ["4", "5"]);
    assert_eq!(texts(&page(Some(4)).await.unwrap()), ["2", "3"]);
    assert_eq!(texts(&page(Some(2)).await.unwrap()), ["1"]);
}

pub(crate) async fn messages_come_in_pages_from_the_beginning(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let mut gone = None;
    for i in ["1", "2", "gone", "3", "4", "5"] {
        let kept = append_new(&stores, say(&conversation, 1, Side::Customer, i)).await;
        gone = gone.or((i == "gone").then_some(kept));
        append_new(&stores, read(&conversation, 9, Side::Desk, 99)).await;
    }
    append_new(&stores, delete(&gone.unwrap())).await;
    append_new(&stores, say(&support(&stores, 2).await, 2, Side::Customer, "elsewhere")).await;
    let page = async |skip, limit| {
        let page = stores.conversations.messages_from(conversation.id, skip, limit).await.unwrap();
        (texts(&page.messages).join(" "), page.total)
    };
    assert_eq!(page(0, 2).await, ("1 2".into(), 5));
    assert_eq!(page(2, 2).await, ("3 4".into(), 5));
    assert_eq!(page(4, 2).await, ("5".into(), 5));
    assert_eq!(page(0, 0).await, (String::new(), 5));
    for beyond in [5, u64::MAX] {
        assert_eq!(page(beyond, 2).await, (String::new(), 5));
    }
    let nowhere = stores.conversations.messages_from(ConversationId::from_bytes([7; 12]), 0, 3).await.unwrap();
    assert_eq!((nowhere.messages.len(), nowhere.total), (0, 0));
}

pub(crate) async fn the_results_of_a_batch_are_in_its_order(stores: Stores) {
    let (one, two) = (support(&stores, 1).await, support(&stores, 2).await);
    let drafts = vec![
        say(&one, 1, Side::Customer, "a"),
        say(&two, 2, Side::Customer, "b"),
        read(&one, 1, Side::Customer, 9),
        say(&one, 1, Side::Customer, "c"),
    ];
    let answers = stores.conversations.append(drafts).await;
    let results: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer.unwrap() {
            Appended::New(entry) => (if entry.conversation == one.id { "one" } else { "two" }, entry.seq.get()),
            Appended::Unchanged { end } => ("unchanged after", end.get()),
            Appended::Already(_) => panic!("nothing was sent twice"),
        })
        .collect();
    assert_eq!(results, [("one", 1), ("two", 1), ("unchanged after", 1), ("one", 2)]);
}

pub(crate) async fn an_unknown_conversation_is_not_reported_as_a_failure_of_the_store(stores: Stores) {
    let known = support(&stores, 1).await;
    let unknown = Conversation { id: ConversationId::from_bytes([7; 12]), ..known };
    let drafts = vec![say(&unknown, 1, Side::Customer, "lost"), say(&known, 1, Side::Customer, "kept")];
    let answers = stores.conversations.append(drafts).await;
    assert!(matches!(&answers[0], Err(AppendError::NoConversation(id)) if *id == unknown.id));
    assert!(matches!(&answers[1], Ok(Appended::New(_))), "the other entry of the batch is stored");
}

pub(crate) async fn timestamps_never_run_backwards(stores: Stores) {
    let conversation = support(&stores, 1).await;
    append_new(&stores, Draft { at: later(10), ..say(&conversation, 1, Side::Customer, "one") }).await;
    append_new(&stores, Draft { at: later(5), ..say(&conversation, 1, Side::Customer, "two") }).await;
    let log = log(&stores, conversation.id).await;
    assert!(log[1].at >= log[0].at, "the clock was set back between them");
}

pub(crate) async fn a_timestamp_far_ahead_does_not_affect_later_entries(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let ahead = later(3600 * 24 * 365 * 70);
    append_new(&stores, Draft { at: ahead, ..say(&conversation, 1, Side::Customer, "from 2096") }).await;
    let drafts = [(5, "two"), (4, "three"), (6, "four")];
    let drafts = drafts.map(|(at, text)| Draft { at: later(at), ..say(&conversation, 1, Side::Customer, text) });
    for appended in stores.conversations.append(drafts.into()).await {
        assert!(matches!(appended, Ok(Appended::New(_))), "{appended:?}");
    }
    let log = log(&stores, conversation.id).await;
    let stamps: Vec<_> = log.iter().map(|entry| (entry.seq.get(), entry.at)).collect();
    assert_eq!(stamps, [(1, ahead), (2, later(5)), (3, later(5)), (4, later(6))]);
    let summary = stores.conversations.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!(summary.updated_at, later(6), "lists are in order again");
    let page = stores.conversations.messages_before(conversation.id, None, 2).await.unwrap();
    assert_eq!(texts(&page), ["three", "four"], "the order is that of the seqs");
}

pub(crate) async fn texts_of_every_kind_are_read_as_they_were_written(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let long = "x".repeat(50_000);
    let kinds = ["é😀\u{200d}\u{202e}", "{\"$ne\":null}", "'; DROP TABLE entries; --", "<script>", "a\r\n\tb", &long];
    for text in kinds {
        append_new(&stores, say(&conversation, 1, Side::Customer, text)).await;
    }
    assert_eq!(texts(&log(&stores, conversation.id).await), kinds);
}

pub(crate) async fn messages_are_found_by_their_numbers(stores: Stores) {
    let conversation = support(&stores, 1).await;
    let said = append_new(&stores, say(&conversation, 1, Side::Customer, "hi")).await;
    append_new(&stores, read(&conversation, 9, Side::Desk, 1)).await;
    let message = said.message().unwrap();
    let again = append_new(&stores, say(&conversation, 1, Side::Customer, "again")).await;
    let nobody = [0, message.number + 1_000_000, u64::MAX];
    assert_eq!(stores.conversations.messages_by_number(&nobody).await.unwrap(), []);
    let numbers = [u64::MAX, again.message().unwrap().number, 0, message.number];
    let mut found = stores.conversations.messages_by_number(&numbers).await.unwrap();
    found.sort_by_key(|entry| entry.seq);
    assert_eq!(found, [said.clone(), again]);
}

/// A message with these extras.
fn say_with(conversation: &Conversation, author: u8, side: Side, extras: MessageExtras) -> Draft {
    let mut draft = say(conversation, author, side, "with extras");
    if let DraftKind::Message { extras: given, client_id, .. } = &mut draft.kind {
        *given = extras.boxed();
        *client_id = Some("m1".parse().unwrap());
    }
    draft
}

fn file(size: u64) -> Attachment {
    Attachment { file: "f".into(), name: "a b.txt".into(), media_type: "text/plain".into(), size }
}

pub(crate) async fn extras_are_read_with_their_message_wherever_it_is_read(stores: Stores) {
    let conversations = &stores.conversations;
    let answered = append_new(&stores, say(&support(&stores, 9).await, 9, Side::Customer, "plain")).await;
    assert_eq!(answered.message().unwrap().extras, None);
    let number = answered.message().unwrap().number;
    let all = [(None, Some(file(9))), (Some(number), None), (Some(7), Some(file(0))), (None, None)];
    for (n, (reply_to, attachment)) in (1..).zip(all) {
        let (conversation, extras) = (support(&stores, n).await, MessageExtras { reply_to, attachment });
        let said = append_new(&stores, say_with(&conversation, n, Side::Customer, extras.clone())).await;
        let message = said.message().unwrap();
        assert_eq!((message.reply_to(), message.attachment()), (extras.reply_to, extras.attachment.as_ref()));
        assert_eq!(message.extras, extras.boxed());
        let repeated = say_with(&conversation, n, Side::Customer, MessageExtras::default());
        assert_eq!(
            append(&stores, repeated).await,
            Appended::Already(said.clone()),
            "the first entry is unchanged, extras included"
        );
        let edit = DraftKind::Edit { target: said.as_target().unwrap(), body: MessageBody::parse("b", 9).unwrap() };
        append_new(&stores, Draft { kind: edit, ..say(&conversation, n, Side::Customer, "edit") }).await;
        let found = conversations.message(message.id).await.unwrap().unwrap();
        assert_eq!(found.clone().as_appended(), said, "an edit does not change them");
        let (id, seq, expected) = (conversation.id, said.seq, [found]);
        assert_eq!(conversations.messages_by_number(&[message.number]).await.unwrap(), expected);
        assert_eq!(conversations.entries_at(id, &[seq]).await.unwrap(), expected);
        assert_eq!(conversations.entries_after(id, Seq::ZERO, 1).await.unwrap(), expected);
        assert_eq!(conversations.messages_before(id, None, 9).await.unwrap(), expected);
        assert_eq!(conversations.messages_from(id, 0, 9).await.unwrap().messages, expected);
    }
}

pub(crate) async fn all_entries_have_a_global_order_or_the_store_says_that_it_has_none(stores: Stores) {
    let conversations = &stores.conversations;
    let (ann, bob) = (support(&stores, 1).await, support(&stores, 2).await);
    let pair = conversations.open(Members::direct(someone(1), someone(3)), START).await.unwrap();
    let others = conversations.open(Members::direct(someone(2), someone(3)), START).await.unwrap();
    let before = conversations.newest_number().await.unwrap();
    let lists = [ListFor::Customer(someone(1)), ListFor::Agent(someone(9)), ListFor::Agent(someone(3))];
    let messages = [(&ann, "a"), (&bob, "b"), (&pair, "c"), (&others, "d"), (&ann, "e"), (&bob, "f")];
    for (conversation, text) in messages {
        append_new(&stores, say(conversation, 1, Side::Customer, text)).await;
    }
    append_new(&stores, read(&ann, 9, Side::Desk, 2)).await;
    let Some(before) = before else {
        assert_eq!(conversations.newest_number().await.unwrap(), None);
        assert_eq!(conversations.entries_since(lists[0], 0, 100).await.unwrap(), []);
        return;
    };
    for (list, expected) in
        lists.into_iter().zip([vec!["a", "c", "e"], vec!["a", "b", "e", "f"], vec!["a", "b", "c", "d", "e", "f"]])
    {
        let mut found: Vec<(u64, Entry)> = Vec::new();
        loop {
            let after = found.last().map_or(before, |(number, _)| *number);
            let page = conversations.entries_since(list, after, 2).await.unwrap();
            if page.is_empty() {
                break;
            }
            found.extend(page);
        }
        assert!(found.is_sorted_by_key(|(number, _)| *number));
        for (number, entry) in &found {
            assert!(entry.message().is_none_or(|message| message.number == *number));
        }
        assert_eq!(found.last().map(|(number, _)| *number), conversations.newest_number().await.unwrap());
        let entries: Vec<Entry> = found.into_iter().map(|(_, entry)| entry).collect();
        assert_eq!(texts(&entries), expected);
    }
}

pub(crate) async fn the_size_of_a_persons_files_is_counted(stores: Stores) {
    for (n, size) in [(1, 7), (2, 5), (9, 100), (3, 0)] {
        let (conversation, side) = (support(&stores, n).await, if n == 9 { Side::Desk } else { Side::Customer });
        let author = if n == 2 { 1 } else { n };
        let extras = MessageExtras { reply_to: None, attachment: Some(file(size)) };
        append_new(&stores, say_with(&conversation, author, side, extras.clone())).await;
        append(&stores, say_with(&conversation, author, side, extras)).await;
    }
    let conversation = support(&stores, 4).await;
    let extras = MessageExtras { reply_to: Some(1), attachment: None };
    append_new(&stores, say_with(&conversation, 1, Side::Customer, extras)).await;
    for (n, stored) in [(1, 12), (9, 100), (2, 0), (3, 0)] {
        assert_eq!(stores.conversations.stored_by(someone(n)).await.unwrap(), stored, "{n}");
    }
}
