//! Opening, finding and listing conversations.

use std::collections::BTreeSet;

use super::{START, append_new, later, log, say, someone, support, texts};
use crate::domain::{ConversationId, Draft, Members, Side, Summary};
use crate::store::{ListFor, Stores, SummaryPage};

pub(crate) async fn opening_a_conversation_from_many_tasks_gives_one(stores: Stores) {
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let stores = stores.clone();
            tokio::spawn(async move { support(&stores, 1).await })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap().id);
    }
    assert_eq!(ids.len(), 1);
    let found = stores.conversations.find(Members::Support { customer: someone(1) }).await.unwrap();
    assert_eq!(found.map(|conversation| conversation.id), ids.first().copied());
    assert_eq!(stores.conversations.find(Members::Support { customer: someone(2) }).await.unwrap(), None);
}

pub(crate) async fn direct_conversations_are_the_same_from_both_ends(stores: Stores) {
    let open = |one, other| stores.conversations.open(Members::direct(someone(one), someone(other)), START);
    let (one, other) = (open(1, 2).await.unwrap(), open(2, 1).await.unwrap());
    assert_eq!(one, other);
    assert_ne!(open(1, 3).await.unwrap().id, one.id);
    let alone = open(1, 1).await.unwrap();
    append_new(&stores, say(&alone, 1, Side::Customer, "note to self")).await;
    assert_eq!(stores.conversations.unread(ListFor::Customer(someone(1))).await.unwrap(), 0);
}

pub(crate) async fn lists_show_the_newest_message_first_and_only_conversations_of_the_viewer(stores: Stores) {
    let (ann, bob, silent) = (support(&stores, 1).await, support(&stores, 2).await, support(&stores, 3).await);
    let pair = stores.conversations.open(Members::direct(someone(1), someone(2)), START).await.unwrap();
    for (second, draft) in [
        (1, say(&ann, 1, Side::Customer, "ann")),
        (2, say(&bob, 2, Side::Customer, "bob")),
        (3, say(&pair, 1, Side::Customer, "psst")),
        (4, say(&ann, 9, Side::Desk, "answer")),
    ] {
        append_new(&stores, Draft { at: later(second), ..draft }).await;
    }
    let list = async |viewer| -> Vec<ConversationId> {
        let summaries = stores.conversations.list(viewer, 10).await.unwrap();
        summaries.iter().map(|summary| summary.conversation.id).collect()
    };
    assert_eq!(list(ListFor::Agent(someone(9))).await, [ann.id, bob.id]);
    assert_eq!(list(ListFor::Customer(someone(1))).await, [ann.id, pair.id]);
    assert_eq!(list(ListFor::Customer(someone(2))).await, [pair.id, bob.id]);
    assert!(list(ListFor::Customer(someone(3))).await.is_empty(), "there are no messages in {:?}", silent.id);
    let newest = stores.conversations.list(ListFor::Agent(someone(9)), 1).await.unwrap();
    let last = newest[0].last_message.as_ref().unwrap();
    assert_eq!((newest.len(), last.body.as_str(), last.side, last.at), (1, "answer", Side::Desk, later(4)));
}

pub(crate) async fn a_conversation_is_found_by_its_uuid_and_its_number(stores: Stores) {
    let ann = support(&stores, 1).await;
    support(&stores, 2).await;
    let id = async |found: Option<Summary>| found.map(|summary| summary.conversation);
    assert_eq!(id(stores.conversations.summary_by_uuid(ann.uuid).await.unwrap()).await, Some(ann));
    assert_eq!(id(stores.conversations.summary_by_number(ann.number).await.unwrap()).await, Some(ann));
    assert_eq!(stores.conversations.summary_by_uuid(ann.uuid ^ 1).await.unwrap(), None);
    for nobody in [0, 1_000_000, u64::MAX] {
        assert_eq!(stores.conversations.summary_by_number(nobody).await.unwrap(), None);
    }
}

pub(crate) async fn support_conversations_come_in_pages_also_empty_ones(stores: Stores) {
    let first = support(&stores, 1).await;
    stores.conversations.open(Members::Support { customer: someone(2) }, later(1)).await.unwrap();
    stores.conversations.open(Members::direct(someone(1), someone(2)), later(2)).await.unwrap();
    let mut draft = say(&first, 1, Side::Customer, "hi");
    draft.at = later(3);
    append_new(&stores, draft).await;
    let page = stores.conversations.support(0, 10).await.unwrap();
    let customers = |page: &SummaryPage| {
        let members = page.summaries.iter().map(|summary| summary.conversation.members);
        members.collect::<Vec<_>>()
    };
    let (ann, bob) = (Members::Support { customer: someone(1) }, Members::Support { customer: someone(2) });
    assert_eq!((page.total, customers(&page)), (2, vec![ann, bob]));
    assert_eq!(customers(&stores.conversations.support(1, 10).await.unwrap()), [bob]);
    assert!(stores.conversations.support(u64::MAX, 10).await.unwrap().summaries.is_empty());
}

pub(crate) async fn a_conversation_is_reassigned_to_a_customer_without_one(stores: Stores) {
    let conversation = support(&stores, 1).await;
    support(&stores, 2).await;
    append_new(&stores, say(&conversation, 1, Side::Customer, "before")).await;
    assert!(!stores.conversations.reassign(conversation.id, someone(2)).await.unwrap(), "Bob has one");
    assert!(stores.conversations.reassign(conversation.id, someone(3)).await.unwrap());
    let given = Members::Support { customer: someone(3) };
    assert_eq!(stores.conversations.find(given).await.unwrap().map(|found| found.id), Some(conversation.id));
    assert_eq!(stores.conversations.find(Members::Support { customer: someone(1) }).await.unwrap(), None);
    append_new(&stores, say(&conversation, 3, Side::Customer, "after")).await;
    assert_eq!(texts(&log(&stores, conversation.id).await), ["before", "after"]);
    let summary = stores.conversations.summary(conversation.id).await.unwrap().unwrap();
    assert_eq!((summary.conversation.members, summary.side(Side::Desk).unread), (given, 2));
}
