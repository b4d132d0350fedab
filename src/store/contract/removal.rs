//! Conversations that an agent removed.

use super::{append_new, read, say, someone, support, texts};
use crate::domain::{Draft, DraftKind, Seq, Side, Status};
use crate::store::{ListFor, Stores};

pub(crate) async fn a_removed_conversation_leaves_the_desks_lists_until_the_next_message(stores: Stores) {
    let (gone, other) = (support(&stores, 1).await, support(&stores, 2).await);
    append_new(&stores, say(&gone, 1, Side::Customer, "first")).await;
    append_new(&stores, say(&other, 2, Side::Customer, "hello")).await;
    let remove = Draft { kind: DraftKind::ChangeStatus { status: Status::Removed }, ..read(&gone, 9, Side::Desk, 0) };
    append_new(&stores, remove).await;
    let agent = ListFor::Agent(someone(9));
    let of_desk = async || {
        let all = stores.conversations.support(0, 10).await.unwrap();
        let listed = stores.conversations.list(agent, 10).await.unwrap();
        (all.total, all.summaries.len(), listed.len(), stores.conversations.unread(agent).await.unwrap())
    };
    assert_eq!(of_desk().await, (1, 1, 1, 1));
    let own = stores.conversations.list(ListFor::Customer(someone(1)), 10).await.unwrap();
    assert_eq!((own.len(), own[0].status), (1, Status::Removed), "its customer still has it");
    append_new(&stores, say(&gone, 1, Side::Customer, "second")).await;
    assert_eq!(of_desk().await, (2, 2, 2, 3));
    let log = stores.conversations.entries_after(gone.id, Seq::ZERO, 10).await.unwrap();
    assert_eq!(texts(&log), ["first", "second"], "nothing was lost");
}
