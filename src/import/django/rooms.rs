//! Imports rooms as conversations.
//!
//! A customer has one conversation here, while the storefront created a room at every visit. The one that was used last
//! becomes that conversation. The others get visitors of their own, keep their links, and stay in the agents' list.

use std::collections::HashMap;

use super::dump::{MessageAt, Owner, RoomAt};
use super::people::{Account, harmless};
use super::rows::{self, RoomFields, Row};
use super::{DjangoError, Note, Product, Taking};
use crate::accounts::codes::digest;
use crate::accounts::visitors::ANONYMOUS;
use crate::domain::{
    AccountStatus, Conversation, ConversationId, Email, Members, PendingCodes, Profile, Role, Status, Timestamp, UserId,
};
use crate::json;
use crate::store::{NewUser, StoreError, UserKey};

/// A room whose log is to be imported.
pub(super) struct RoomTaken {
    pub(super) conversation: ConversationId,
    /// The author on the customer's side, unless a message names another one.
    pub(super) customer: UserId,
    pub(super) status: Option<Status>,
    pub(super) updated_at: Timestamp,
}

impl Taking<'_> {
    pub(super) async fn take_rooms(&mut self) -> Result<(), DjangoError> {
        let dump = self.dump;
        let newest = newest_of_each(&dump.rooms);
        let mut messages = dump.messages.as_slice();
        let mut order: Vec<&RoomAt> = dump.rooms.iter().collect();
        order.sort_unstable_by_key(|room| room.pk);
        for room in order {
            let (orphans, rest) = messages.split_at(messages.partition_point(|message| message.room < room.pk));
            let (own, rest) = rest.split_at(rest.partition_point(|message| message.room == room.pk));
            messages = rest;
            self.leave_out(orphans);
            let is_newest = room.owner.as_ref().is_none_or(|owner| newest.get(owner) == Some(&room.pk));
            let text = dump.texts(vec![room.span]).await?.pop().unwrap_or_default();
            let fields = serde_json::from_str::<Row<'_>>(&text)
                .and_then(|row| json::read::<RoomFields>(row.fields.get().as_bytes()))
                .map_err(|error| DjangoError::Reading(error.into()))?;
            self.look(1);
            match self.take_room(room, &fields, is_newest, own.first()).await? {
                Some(taken) => self.take_log(&taken, own).await?,
                None => self.leave_out(own),
            }
        }
        self.leave_out(messages);
        Ok(())
    }

    fn leave_out(&mut self, messages: &[MessageAt]) {
        for message in messages {
            self.report.note(&self.dump.labels.message, Note::NoRoom, message.pk);
        }
        self.look(messages.len());
    }

    async fn take_room(
        &mut self,
        room: &RoomAt,
        fields: &RoomFields,
        is_newest: bool,
        first: Option<&MessageAt>,
    ) -> Result<Option<RoomTaken>, DjangoError> {
        let model = &self.dump.labels.room;
        let created_at = rows::time(fields.created_at.as_ref()).unwrap_or(room.last_message_at);
        let visitor = self.ids.visitor(room.pk, created_at);
        let account = fields.user.and_then(|user| self.people.accounts.get(&user)).copied();
        let taken = RoomTaken {
            conversation: self.ids.conversation(room.pk, created_at),
            customer: account.map_or(visitor, |account| account.id),
            status: fields.status(),
            updated_at: rows::time(fields.updated_at.as_ref()).unwrap_or(room.last_message_at),
        };
        let conversations = &self.to.stores.conversations;
        if conversations.summary(taken.conversation).await?.is_some() {
            self.report.taken(model, false);
            return Ok(Some(taken));
        }
        let key = self.key(room);
        if self.dump.product == Product::Storefront && conversations.summary_by_uuid(room.pk).await?.is_some() {
            self.report.note(model, Note::RoomTaken, key);
            return Ok(None);
        }
        let customer = if let Some(account) = self.account_for(account, is_newest).await? {
            account
        } else {
            if room.owner.is_some() && !(is_newest && matches!(room.owner, Some(Owner::Session(_)))) {
                self.report.note(model, Note::Apart, &key);
            }
            self.make_visitor(visitor, fields, account, is_newest, created_at).await?;
            visitor
        };
        let conversation = Conversation {
            id: taken.conversation,
            number: self.number(room).await?,
            uuid: match self.dump.product {
                Product::Storefront => room.pk,
                // The portal's rooms have no UUID so far, so it can be random, and must not be guessable.
                Product::Drivecash => uuid::Uuid::new_v4().as_u128(),
            },
            members: Members::Support { customer },
            // Never after the first message, whose timestamp would be changed.
            created_at: first.map_or(created_at, |first| first.at.min(created_at)),
        };
        self.to.maintenance.restore(conversation, Vec::new()).await?;
        self.report.taken(&self.dump.labels.room, true);
        Ok(Some(taken))
    }

    /// The account to which a room goes, if there is one without a conversation.
    async fn account_for(&self, account: Option<Account>, is_newest: bool) -> Result<Option<UserId>, StoreError> {
        let Some(account) = account.filter(|account| is_newest && !account.is_agent) else { return Ok(None) };
        let known = self.to.stores.conversations.find(Members::Support { customer: account.id }).await?;
        Ok(known.is_none().then_some(account.id))
    }

    /// Creates the visitor of this room. If it is the newest room of a browser session, the visitor gets the session.
    async fn make_visitor(
        &self,
        id: UserId,
        fields: &RoomFields,
        account: Option<Account>,
        is_newest: bool,
        at: Timestamp,
    ) -> Result<(), DjangoError> {
        let users = &self.to.stores.users;
        if users.user(id).await?.is_some() {
            return Ok(());
        }
        let owner = match account {
            Some(account) => users.user(account.id).await?,
            None => None,
        };
        let account_name = owner.as_ref().map(|owner| owner.name.as_str());
        let names = [Some(fields.customer_name.as_str()), account_name];
        let name = names.into_iter().flatten().map(harmless).find(|name| !name.is_empty());
        let session =
            Some(&fields.customer_session).filter(|session| fields.user.is_none() && is_newest && !session.is_empty());
        let session = session.map(|session| digest(session));
        let session = match session {
            Some(digest) if users.find_user(UserKey::Session(&digest)).await?.is_some() => None,
            session => session,
        };
        let email = Some(&fields.customer_email).filter(|email| email.parse::<Email>().is_ok());
        let contact_email = match (email, &owner) {
            (Some(email), _) => email.clone(),
            (None, Some(owner)) => owner.email_text().to_owned(),
            (None, None) => String::new(),
        };
        let phone = harmless(&fields.customer_phone);
        let new = NewUser {
            id,
            name: name.unwrap_or_else(|| ANONYMOUS.to_owned()),
            email: None,
            password_hash: None,
            role: Role::Customer,
            status: AccountStatus::Active,
            pending_codes: PendingCodes::new(),
            profile: Profile { contact_email, phone, session, ..Profile::default() },
            at,
        };
        users.create_user(new).await?;
        Ok(())
    }

    /// The number of a room. The portal's links name rooms by number, so it stays the same if it is free.
    async fn number(&mut self, room: &RoomAt) -> Result<u64, DjangoError> {
        if let (Product::Drivecash, Ok(number @ 1..)) = (self.dump.product, u64::try_from(room.pk)) {
            if self.to.stores.conversations.summary_by_number(number).await?.is_none() {
                return Ok(number);
            }
            self.report.note(&self.dump.labels.room, Note::RoomNumberTaken, number);
        }
        Ok(self.to.maintenance.fresh_conversation_number().await?)
    }

    /// A room's key, as its product writes it.
    fn key(&self, room: &RoomAt) -> String {
        match self.dump.product {
            Product::Storefront => uuid::Uuid::from_u128(room.pk).to_string(),
            Product::Drivecash => room.pk.to_string(),
        }
    }
}

/// The room of each customer that becomes their conversation: an open one before a closed one, then the one used last.
fn newest_of_each(rooms: &[RoomAt]) -> HashMap<Owner, u128> {
    let mut newest: HashMap<Owner, &RoomAt> = HashMap::new();
    let rank = |room: &RoomAt| (!room.is_closed, room.last_message_at, room.pk);
    for room in rooms {
        if let Some(owner) = &room.owner {
            let known = newest.entry(owner.clone()).or_insert(room);
            if rank(room) > rank(known) {
                *known = room;
            }
        }
    }
    newest.into_iter().map(|(owner, room)| (owner, room.pk)).collect()
}
