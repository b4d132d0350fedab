//! One socket: one person in one room.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

use super::wire::{self, ClientFrame, Encoded, Receipt};
use crate::desk::Desk;
use crate::desk::enter::Entered;
use crate::desk::mark_read::{MarkRead, MarkReadError};
use crate::desk::send_message::{Addressee, SendMessage, SendMessageError};
use crate::domain::{ConnectionId, ConversationId, DeskEvent, EntryTold, MessageExtras, Person, Seq, Side, UserId};
use crate::faces::channels::Channels;
use crate::faces::channels::line::{Item, Line};
use crate::faces::channels::socket::{Dialect, GOING_AWAY};
use crate::net::HangUp;
use crate::presence::{Connection, Delivery, Feed, Outcome, Revoked, Unconfirmed};
use crate::store::StoreError;

/// One live socket of this dialect.
pub(super) struct DrivecashConnection {
    id: ConnectionId,
    desk: Desk,
    person: Arc<Person>,
    side: Side,
    conversation: ConversationId,
    customer: UserId,
    line: Line<Receipt>,
    feed: Feed,
}

impl DrivecashConnection {
    pub(super) fn open(
        channels: &Channels,
        entered: &Entered,
        hang_up: Option<HangUp>,
    ) -> (Arc<Self>, mpsc::Receiver<Item<Receipt>>) {
        let id = ConnectionId::next();
        let (line, waiting) = Line::new(id, hang_up);
        let connection = Self {
            id,
            desk: channels.desk.clone(),
            person: entered.person.clone(),
            side: entered.side,
            conversation: entered.summary.conversation.id,
            customer: entered.customer.id,
            line,
            feed: Feed::default(),
        };
        (Arc::new(connection), waiting)
    }

    async fn say(&self, text: String) {
        let ask = SendMessage {
            author: self.person.clone(),
            to: Addressee::Conversation(self.conversation),
            text,
            client_id: None,
            origin: Some(self.id),
            extras: MessageExtras::default(),
        };
        let (answer, answered) = oneshot::channel();
        self.desk.send_message(ask, Box::new(move |outcome| drop(answer.send(outcome)))).await;
        // Waiting keeps one client from filling the line in which all messages wait.
        if let Ok(Err(error)) = answered.await {
            let error = match error {
                SendMessageError::Store(_) => "Server error".to_owned(),
                other => other.to_string(),
            };
            self.line.frame(serde_json::json!({ "error": error }).to_string());
        }
    }

    async fn type_(&self, is_typing: bool) -> Result<(), StoreError> {
        let to = match self.side {
            Side::Desk => self.customer,
            Side::Customer => match self.desk.support_identity().await? {
                Some(support) => support.id,
                None => return Ok(()),
            },
        };
        if is_typing {
            self.desk.start_typing(&self.person, to, Some(self.id)).await
        } else {
            self.desk.stop_typing(&self.person, to).await
        }
    }

    /// Receipts are for the other side's messages of this room alone.
    async fn read(&self, number: u64) -> Result<(), MarkReadError> {
        let Some(told) = self.desk.message(self.conversation, number).await? else { return Ok(()) };
        if told.entry.side == self.side {
            return Ok(());
        }
        let what = MarkRead::In(self.conversation, Some(told.entry.seq));
        self.desk.mark_read(&self.person, what, Some(self.id)).await
    }
}

impl Connection for DrivecashConnection {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn send(&self, delivery: &Delivery<'_>) -> Outcome {
        let place = match delivery.event {
            DeskEvent::Entry(told) => Some(told.entry.conversation),
            DeskEvent::Typing(change) => Some(change.parties.conversation.id),
            DeskEvent::Presence(_) => None,
            DeskEvent::Status(_) => return Outcome::NotTaken,
        };
        if place.is_some_and(|place| place != self.conversation) {
            return Outcome::NotTaken;
        }
        // A page knows its server, so the path is enough.
        let link = |told: &EntryTold| told.attachment_path.clone();
        let item = match wire::encode(delivery.event, delivery.viewer, self.customer, &link) {
            Some(Encoded::Frame(text)) => Item::Frame(Arc::new(text)),
            Some(Encoded::Receipt(receipt)) => Item::Look(receipt),
            None => return Outcome::NotTaken,
        };
        let outcome = self.line.push(item, delivery.is_replay);
        self.line.note(outcome, delivery);
        outcome
    }

    fn revoke(&self, reason: Revoked) {
        let why = match reason {
            Revoked::TokenExpired => "The token has expired",
            Revoked::Blocked | Revoked::Deleted => "The account is not in use",
            Revoked::RoleChanged => "The account has changed",
        };
        self.line.close(1008, why);
    }

    fn reassure(&self) {}

    fn is_of(&self, user: UserId) -> bool {
        !self.line.is_over() && self.person.id == user
    }

    fn unconfirmed(&self) -> Vec<Unconfirmed> {
        self.line.unconfirmed()
    }

    fn confirm(&self, conversation: ConversationId, up_to: Seq) {
        self.line.confirm(conversation, up_to);
    }

    fn announce_stop(&self, _: Duration) {}

    fn dismiss(&self) {
        self.line.close(GOING_AWAY, "The server is shutting down");
    }
}

#[async_trait]
impl Dialect for DrivecashConnection {
    type Look = Receipt;

    fn line(&self) -> &Line<Receipt> {
        &self.line
    }

    async fn hear(&self, text: &str) {
        match ClientFrame::read(text) {
            None => self.line.frame(wire::INVALID_JSON.to_owned()),
            Some(ClientFrame::ChatMessage(text)) => self.say(text).await,
            Some(ClientFrame::Typing(is_typing)) => {
                if let Err(error) = self.type_(is_typing).await {
                    tracing::warn!(%error, "Typing could not be told");
                }
            }
            Some(ClientFrame::ReadReceipt(number)) => {
                if let Err(error) = self.read(number).await {
                    tracing::warn!(%error, "A message could not be marked as read");
                }
            }
            Some(ClientFrame::Ignored) => {}
        }
    }

    async fn look(&self, receipt: Receipt) -> Vec<String> {
        match self.desk.newest_of_side(self.conversation, receipt.of_side, receipt.up_to).await {
            Ok(message) => message.iter().map(|message| wire::receipt(receipt, message)).collect(),
            Err(error) => {
                tracing::warn!(%error, "A receipt could not be told");
                Vec::new()
            }
        }
    }

    fn closed(&self) {
        self.desk.disconnect(&self.person, self.id, self.line.unconfirmed());
    }
}
