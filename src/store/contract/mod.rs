//! The contract of every store, as tests that run unchanged over each adapter.
//!
//! An adapter joins with one line: `store_contract!(name, open)`, where `open` is an async function that returns fresh,
//! empty [`Stores`] and a guard that lives as long as they are used. An adapter that needs a server uses
//! `store_contract!(open, when available)`: the stories then run only if the function `available` returns true.

use super::{Appended, Stores};
use crate::domain::{
    Conversation, ConversationId, Draft, DraftKind, Entry, Members, MessageBody, MessageId, Seq, Side, Timestamp,
    UserId,
};

mod bans;
mod conversations;
mod log;
mod paging;
mod people;
mod projections;
mod removal;
mod revisions;
mod sessions;

pub(crate) use {
    bans::*, conversations::*, log::*, paging::*, people::*, projections::*, removal::*, revisions::*, sessions::*,
};

/// Makes one test per story for an adapter.
macro_rules! store_contract {
    ($open:path) => {
        $crate::store::contract::store_contract!($open, when $crate::store::contract::always);
    };
    ($open:path, when $available:path) => {
        $crate::store::contract::store_contract!(
            $open,
            $available,
            [
                a_hundred_tasks_append_to_one_conversation_without_gaps_or_duplicates,
                the_same_client_message_id_returns_the_first_entry_and_changes_nothing,
                the_same_client_message_id_from_two_authors_is_two_messages,
                the_same_client_message_id_in_two_conversations_is_two_messages,
                one_client_message_id_sent_fifty_times_at_once_is_one_message,
                entries_come_in_order_and_in_pages,
                the_newest_messages_come_oldest_first,
                messages_come_in_pages_from_the_beginning,
                the_results_of_a_batch_are_in_its_order,
                an_unknown_conversation_is_not_reported_as_a_failure_of_the_store,
                unread_counts_follow_messages_and_read_marks,
                a_partial_read_leaves_the_rest_unread,
                a_read_mark_that_changes_nothing_makes_no_entry,
                the_status_follows_the_last_author_and_explicit_changes,
                opening_a_conversation_from_many_tasks_gives_one,
                direct_conversations_are_the_same_from_both_ends,
                lists_show_the_newest_message_first_and_only_conversations_of_the_viewer,
                undelivered_entries_are_missed_until_they_are_delivered,
                timestamps_never_run_backwards,
                a_timestamp_far_ahead_does_not_affect_later_entries,
                texts_of_every_kind_are_read_as_they_were_written,
                an_email_address_belongs_to_one_account,
                accounts_change_and_are_deleted,
                codes_for_different_purposes_are_kept_apart,
                accounts_come_in_pages,
                the_first_agent_is_the_first_admin_who_is_not_blocked,
                a_change_that_spares_blocked_accounts_changes_all_others,
                concurrent_changes_of_a_profile_keep_each_other,
                an_account_changes_only_if_the_condition_holds,
                a_code_is_redeemed_once_however_many_try,
                an_id_of_the_desk_is_pinned_once_and_never_removed,
                tokens_are_ended_one_by_one_and_all_at_once,
                all_tokens_are_ended_as_often_as_it_is_requested_at_once,
                a_new_password_and_a_block_end_all_tokens,
                a_conversation_is_found_by_its_uuid_and_its_number,
                messages_are_found_by_their_numbers,
                extras_are_read_with_their_message_wherever_it_is_read,
                support_conversations_come_in_pages_also_empty_ones,
                a_conversation_is_reassigned_to_a_customer_without_one,
                accounts_are_found_by_session_and_username,
                an_edit_changes_the_text_and_the_log_keeps_the_former_one,
                a_deleted_message_remains_in_the_log_only,
                an_edit_or_deletion_that_changes_nothing_makes_no_entry,
                deleting_an_unread_message_lowers_the_count,
                deleting_the_last_message_makes_the_one_before_it_the_last,
                edits_and_deletions_from_many_tasks_agree_with_the_log,
                a_message_is_found_by_its_id_and_entries_by_their_seqs,
                receipts_move_forward_only,
                cursors_of_people_and_sides_are_stored_together,
                cursors_in_an_unknown_conversation_are_no_error_and_do_not_create_it,
                a_page_ends_when_its_texts_fill_it,
                a_removed_conversation_leaves_the_desks_lists_until_the_next_message,
                all_entries_have_a_global_order_or_the_store_says_that_it_has_none,
                the_size_of_a_persons_files_is_counted,
                bans_are_in_force_until_they_end_or_are_lifted,
                the_number_of_bans_is_limited,
            ]
        );
    };
    ($open:path, $available:path, [$($story:ident),* $(,)?]) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $story() {
                if !$available() {
                    return;
                }
                let (stores, _kept_alive) = $open().await;
                $crate::store::contract::$story(stores).await;
            }
        )*
    };
}
pub(crate) use store_contract;

/// The embedded store is always available.
pub(crate) const fn always() -> bool {
    true
}

const START: Timestamp = Timestamp::from_millis(1_795_249_336_000);

fn later(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START.millis() + seconds * 1000)
}

fn someone(n: u8) -> UserId {
    UserId::from_bytes([n; 12])
}

async fn support(stores: &Stores, customer: u8) -> Conversation {
    stores.conversations.open(Members::Support { customer: someone(customer) }, START).await.unwrap()
}

fn say(conversation: &Conversation, author: u8, side: Side, text: &str) -> Draft {
    let kind = DraftKind::Message {
        id: MessageId::generate(START),
        body: MessageBody::parse(text, 100_000).unwrap(),
        client_id: None,
        extras: None,
    };
    Draft { conversation: conversation.id, author: someone(author), side, at: START, kind }
}

fn say_as(conversation: &Conversation, author: u8, client_id: &str, text: &str) -> Draft {
    let mut draft = say(conversation, author, Side::Customer, text);
    if let DraftKind::Message { client_id: given, .. } = &mut draft.kind {
        *given = Some(client_id.parse().unwrap());
    }
    draft
}

fn read(conversation: &Conversation, author: u8, side: Side, up_to: u64) -> Draft {
    let kind = DraftKind::Read { up_to: Seq::new(up_to) };
    Draft { conversation: conversation.id, author: someone(author), side, at: START, kind }
}

async fn append(stores: &Stores, draft: Draft) -> Appended {
    stores.conversations.append(vec![draft]).await.remove(0).unwrap()
}

async fn append_new(stores: &Stores, draft: Draft) -> Entry {
    match append(stores, draft).await {
        Appended::New(entry) => entry,
        other => panic!("expected a new entry, got {other:?}"),
    }
}

async fn log(stores: &Stores, id: ConversationId) -> Vec<Entry> {
    stores.conversations.entries_after(id, Seq::ZERO, 1000).await.unwrap()
}

fn texts(entries: &[Entry]) -> Vec<&str> {
    entries
        .iter()
        .filter_map(Entry::message)
        .map(|message| message.text().map_or("(deleted)", MessageBody::as_str))
        .collect()
}
