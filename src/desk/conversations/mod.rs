//! Conversations: lists of them, access to one of them, and the files in them.
//!
//! Reading order: [`list_conversations`], [`access`], [`support_conversations`], [`merge_visitor`], [`attachment`].

use std::sync::Arc;

use super::attendance::Attendance;
use super::directory::Directory;
use super::messages::Messages;
use crate::accounts::Accounts;
use crate::domain::Clock;
use crate::store::{ConversationStore, Stores, UserStore};

mod access;
mod attachment;
mod list_conversations;
mod merge_visitor;
mod support_conversations;

pub use access::{AccessError, ConversationAccess, ConversationName, Credential};
pub use list_conversations::ListedConversation;
pub use support_conversations::SupportConversation;

/// Lists conversations, and decides who may see which. Clones share one state.
#[derive(Clone)]
pub struct Conversations(Arc<Inner>);

struct Inner {
    store: Arc<dyn ConversationStore>,
    users: Arc<dyn UserStore>,
    directory: Arc<Directory>,
    messages: Messages,
    attendance: Attendance,
    accounts: Arc<Accounts>,
    clock: Arc<dyn Clock>,
}

impl Conversations {
    pub(super) fn new(
        stores: &Stores,
        directory: Arc<Directory>,
        messages: Messages,
        attendance: Attendance,
        accounts: Arc<Accounts>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (store, users) = (stores.conversations.clone(), stores.users.clone());
        Self(Arc::new(Inner { store, users, directory, messages, attendance, accounts, clock }))
    }
}
