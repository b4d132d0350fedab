//! Events that are sent to connections.
//!
//! An event describes what happened, once for all recipients. What one of them sees of it is decided by two projections in this
//! module, so that every face inherits them: to a customer the desk has one name and id, whoever answers
//! ([`Parties::seen_by`]); to an agent the desk is the agent itself.

use std::borrow::Cow;
use std::sync::Arc;

use super::{
    ConnectionId, Conversation, ConversationId, Entry, EntryKind, Members, Message, MessageBody, MessageId,
    MessageStatus, Person, Seq, Side, UserId,
};

/// An event that is sent to connections.
#[derive(Clone, Debug)]
pub enum DeskEvent {
    /// An entry was appended to a conversation.
    Entry(Arc<EntryEvent>),
    /// Somebody began or ceased to type.
    Typing(Arc<TypingChange>),
    /// A person went online or offline.
    Presence(Arc<PresenceChange>),
    /// What the recipient's side said has come further.
    Status(Arc<StatusChange>),
}

/// The people of a conversation.
#[derive(Clone, Debug)]
pub struct Parties {
    /// Which conversation.
    pub conversation: Conversation,
    /// Who stands on the customer's side.
    pub customer: Arc<Person>,
    /// Who stands on the desk's side towards the customer: the support identity, or the second account of a direct
    /// conversation.
    pub desk: Arc<Person>,
}

impl Parties {
    /// Both sides as `viewer` sees them, by [`Side::index`]. `author` is who acted, and shows through to agents.
    ///
    /// An agent sees the desk under its own id, since its client distinguishes the two sides by that id alone.
    #[must_use]
    pub fn seen_by(&self, viewer: &Person) -> [SeenPerson<'_>; 2] {
        let desk = match self.conversation.members {
            Members::Support { customer } if customer != viewer.id => SeenPerson { id: viewer.id, shown: &self.desk },
            Members::Support { .. } | Members::Direct { .. } => SeenPerson { id: self.desk.id, shown: &self.desk },
        };
        [SeenPerson { id: self.customer.id, shown: &self.customer }, desk]
    }
}

/// A person under the id by which a viewer knows them.
#[derive(Clone, Copy, Debug)]
pub struct SeenPerson<'a> {
    /// The id the viewer knows.
    pub id: UserId,
    /// Name and address.
    pub shown: &'a Person,
}

/// An entry, with all that is needed to show it.
#[derive(Debug, Clone)]
pub struct EntryEvent {
    /// Where it happened.
    pub parties: Parties,
    /// What happened.
    pub entry: Entry,
    /// Who did it.
    pub author: Arc<Person>,
    /// The connection it came from; `None` if it came by a request.
    pub origin: Option<ConnectionId>,
    /// Where the attachment of the message that it is, or is about, can be fetched for a while, if it has one.
    pub attachment_path: Option<String>,
    /// For an edit or a deletion that is sent later than it happened: the message that it is about, as it is now.
    pub about: Option<Message>,
}

impl EntryEvent {
    /// Author and addressee, as `viewer` sees them.
    #[must_use]
    pub fn author_and_addressee<'a>(&'a self, viewer: &'a Person) -> (SeenPerson<'a>, SeenPerson<'a>) {
        let seen = self.parties.seen_by(viewer);
        let mut author = seen[self.entry.side.index()];
        let mut addressee = seen[self.entry.side.other().index()];
        let to_an_agent = self.is_support() && viewer.id != self.parties.customer.id;
        if to_an_agent {
            match self.entry.side {
                Side::Desk => author.shown = &self.author,
                Side::Customer => addressee.shown = viewer,
            }
        }
        (author, addressee)
    }

    /// Whether this is a message that is still there.
    #[must_use]
    pub fn is_message(&self) -> bool {
        self.entry.message().is_some_and(|message| message.text().is_some())
    }

    /// The current text of the message, also if this is an edit of it; `None` if it was deleted, or if this concerns none.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        let text = match (&self.entry.kind, &self.about) {
            (EntryKind::Message(message), _) | (EntryKind::Edited { .. }, Some(message)) => message.text(),
            (EntryKind::Edited { body, .. }, None) => Some(body),
            (EntryKind::Read { .. } | EntryKind::StatusChanged { .. } | EntryKind::Deleted { .. }, _) => None,
        };
        text.map(MessageBody::as_str)
    }

    /// The same for dialects without a word for attachments: the text, and a line with the link to the file, which begins with the
    /// address under which the viewer finds this server.
    #[must_use]
    pub fn text_with_link(&self, server_url: &str) -> Option<Cow<'_, str>> {
        let text = self.text()?;
        Some(match &self.attachment_path {
            Some(path) => Cow::Owned(format!("{text}\n{server_url}{path}")),
            None => Cow::Borrowed(text),
        })
    }

    /// Whether this is between a customer and the desk.
    #[must_use]
    pub const fn is_support(&self) -> bool {
        matches!(self.parties.conversation.members, Members::Support { .. })
    }
}

/// Somebody began or ceased to type.
#[derive(Debug, Clone)]
pub struct TypingChange {
    /// Where.
    pub parties: Parties,
    /// On which side.
    pub side: Side,
    /// Who.
    pub typist: Arc<Person>,
    /// Whether they now type.
    pub is_typing: bool,
}

impl TypingChange {
    /// Who types, as `viewer` sees them: to an agent, a colleague has the desk's id, as in messages, and their own name.
    #[must_use]
    pub fn typist_seen_by(&self, viewer: &Person) -> SeenPerson<'_> {
        let seen = self.parties.seen_by(viewer)[self.side.index()];
        let is_colleague = self.side == Side::Desk
            && self.parties.conversation.members.customer().is_some_and(|customer| customer != viewer.id);
        if is_colleague { SeenPerson { shown: &self.typist, ..seen } } else { seen }
    }
}

/// Messages of one side have a new status. Sent to the connections of that side that asked for receipts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusChange {
    /// Where.
    pub conversation: ConversationId,
    /// How far.
    pub status: MessageStatus,
    /// All messages of the recipient's side up to here.
    pub up_to: Seq,
    /// The newest of them.
    pub message: MessageId,
}

/// A person went online or offline.
#[derive(Debug)]
pub struct PresenceChange {
    /// Who, under the id by which the recipients know them: for customers the desk is one.
    pub user: UserId,
    /// The same as an integer.
    pub number: u64,
    /// Whether they are there now.
    pub is_online: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ConversationId, MessageId, Role, Seq, Timestamp};

    fn person(byte: u8, name: &str, role: Role) -> Arc<Person> {
        let id = UserId::from_bytes([byte; 12]);
        Arc::new(Person { id, number: u64::from(byte), name: name.into(), email: String::new(), role })
    }

    fn message_event(side: Side, author: &Arc<Person>, customer: &Arc<Person>, desk: &Arc<Person>) -> EntryEvent {
        let conversation = Conversation {
            id: ConversationId::from_bytes([9; 12]),
            number: 1,
            uuid: 1,
            members: Members::Support { customer: customer.id },
            created_at: Timestamp::default(),
        };
        let message = Message {
            id: MessageId::from_bytes([8; 12]),
            number: 1,
            original: MessageBody::stored("hi".into()),
            client_id: None,
            extras: None,
            revision: None,
        };
        EntryEvent {
            parties: Parties { conversation, customer: customer.clone(), desk: desk.clone() },
            entry: Entry {
                conversation: conversation.id,
                seq: Seq::new(1),
                author: author.id,
                side,
                at: Timestamp::default(),
                kind: EntryKind::Message(message),
            },
            author: author.clone(),
            origin: None,
            attachment_path: None,
            about: None,
        }
    }

    #[test]
    fn to_the_customer_every_agent_is_the_support_identity() {
        let (ann, first, second) =
            (person(1, "Ann", Role::Customer), person(2, "First", Role::Admin), person(3, "Second", Role::Agent));
        let event = message_event(Side::Desk, &second, &ann, &first);
        let (author, addressee) = event.author_and_addressee(&ann);
        assert_eq!((author.id, author.shown.name.as_str()), (first.id, "First"));
        assert_eq!(addressee.id, ann.id);
    }

    #[test]
    fn to_an_agent_the_desk_has_the_agents_own_id_and_the_authors_name() {
        let (ann, first, second) =
            (person(1, "Ann", Role::Customer), person(2, "First", Role::Admin), person(3, "Second", Role::Agent));
        let reply = message_event(Side::Desk, &second, &ann, &first);
        let (author, _) = reply.author_and_addressee(&first);
        assert_eq!((author.id, author.shown.name.as_str()), (first.id, "Second"));
        let question = message_event(Side::Customer, &ann, &ann, &first);
        let (author, addressee) = question.author_and_addressee(&second);
        assert_eq!((author.id, addressee.id, addressee.shown.name.as_str()), (ann.id, second.id, "Second"));
    }
}
