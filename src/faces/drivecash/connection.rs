//! One socket: one person in one room.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::requested_room::linker;
use super::wire::{self, ClientFrame, Encoded, ReadMark};
use crate::desk::conversations::ConversationAccess;
use crate::desk::messages::SendMessageError;
use crate::desk::messages::{MarkRead, MarkReadError};
use crate::domain::{ConversationId, DeskEvent, DeskId, EntryEvent, Side, UserId};
use crate::faces::channels::Channels;
use crate::faces::channels::client::{Client, Dialect};
use crate::faces::channels::send_queue::Item;
use crate::faces::channels::socket::Handshake;
use crate::limits::Paced;
use crate::net::ServerUrl;
use crate::presence::{Outgoing, Revoked, SendOutcome};
use crate::store::StoreError;

/// Something whose frame is built when it is sent.
pub(super) enum Deferred {
    /// A read mark, whose frame names the message that was read.
    ReadMark(ReadMark),
    /// A message that replies to the message with this number.
    Reply(Arc<EntryEvent>, u64),
}

/// One socket.
pub(super) struct DrivecashConnection {
    client: Client<Deferred>,
    side: Side,
    conversation: ConversationId,
    customer: UserId,
    server_url: ServerUrl,
}

impl DrivecashConnection {
    pub(super) fn open(
        channels: &Channels,
        access: &ConversationAccess,
        handshake: &Handshake,
    ) -> (Arc<Self>, mpsc::Receiver<Item<Deferred>>) {
        let connection_handle = handshake.connection_handle.clone();
        let (client, waiting) =
            Client::new(&channels.desk, access.person.clone(), Some(access.summary.conversation.id), connection_handle);
        let (side, conversation) = (access.side, access.summary.conversation.id);
        let server_url = handshake.server_url.clone();
        (Arc::new(Self { client, side, conversation, customer: access.customer.id, server_url }), waiting)
    }

    async fn send_message(&self, text: String) {
        if let Err(error) = self.client.send_message(self.client.person.clone(), self.conversation, text).await {
            let message = match &error {
                SendMessageError::Store(_) => "Server error".to_owned(),
                other => other.to_string(),
            };
            let mut frame = serde_json::json!({"error": message, "code": error.code()});
            if let Some(limited) = error.retry_after() {
                frame["retryAfterMs"] = limited.retry_after_ms().into();
            }
            self.client.refuse(Some(frame.to_string()));
        }
    }

    async fn send_typing(&self, is_typing: bool) -> Result<(), StoreError> {
        let to = match self.side {
            Side::Desk => self.customer,
            Side::Customer => DeskId::RESERVED.user,
        };
        if is_typing {
            self.client.desk.typing.start(&self.client.person, to, Some(self.client.id)).await
        } else {
            self.client.desk.typing.stop(&self.client.person, to, Some(self.client.id)).await
        }
    }

    /// Marks a message as read. Ignored for messages of the own side and of other rooms.
    async fn read(&self, number: u64) -> Result<(), MarkReadError> {
        let Some(event) = self.client.desk.history.message(self.conversation, number).await? else { return Ok(()) };
        if event.entry.side == self.side {
            return Ok(());
        }
        let what = MarkRead::In(self.conversation, Some(event.entry.seq));
        self.client.desk.messages.mark_read(&self.client.person, what, Some(self.client.id)).await
    }
}

#[async_trait]
impl Dialect for DrivecashConnection {
    type Deferred = Deferred;

    fn client(&self) -> &Client<Deferred> {
        &self.client
    }

    fn pass_on(&self, outgoing: &Outgoing<'_>) -> SendOutcome {
        let conversation = match outgoing.event {
            DeskEvent::Entry(event) => Some(event.entry.conversation),
            DeskEvent::Typing(change) => Some(change.parties.conversation.id),
            DeskEvent::Presence(_) => None,
            DeskEvent::Status(_) => return SendOutcome::NotTaken,
        };
        if conversation.is_some_and(|conversation| conversation != self.conversation) {
            return SendOutcome::NotTaken;
        }
        let encode = || wire::encode(outgoing.event, outgoing.viewer, self.customer, &linker(&self.server_url));
        let encoded = match outgoing.event {
            // Not shared, because it depends on the room, and an agent may be in several.
            DeskEvent::Presence(_) => Arc::new(encode()),
            DeskEvent::Entry(_) | DeskEvent::Typing(_) | DeskEvent::Status(_) => {
                let link = outgoing.shows_link().then_some(self.server_url.as_str());
                outgoing.frames.get_or_encode("portal room", link, encode)
            }
        };
        let item = match encoded.as_ref() {
            Some(Encoded::Frame(text)) => Item::Frame(text.clone()),
            Some(Encoded::ReadMark(mark)) => Item::Deferred(Deferred::ReadMark(*mark)),
            Some(Encoded::Reply(event, number)) => Item::Deferred(Deferred::Reply(event.clone(), *number)),
            None => return SendOutcome::NotTaken,
        };
        self.client.queue.push(item, outgoing.is_replay)
    }

    fn close_frame(&self, reason: Revoked) -> (u16, &'static str) {
        let why = match reason {
            Revoked::TokenExpired => "The token has expired",
            Revoked::Blocked | Revoked::Deleted => "The account is not in use",
            Revoked::RoleChanged => "The account has changed",
            Revoked::SessionEnded => "The session has ended",
        };
        (1008, why)
    }

    async fn handle(&self, text: &str) {
        match ClientFrame::read(text) {
            None => self.client.refuse(Some(wire::INVALID_JSON.to_owned())),
            Some(ClientFrame::ChatMessage(text)) => self.send_message(text).await,
            Some(ClientFrame::Typing(_)) if self.client.pace.take(Paced::Typing).is_err() => self.client.refuse(None),
            Some(ClientFrame::Typing(is_typing)) => {
                if let Err(error) = self.send_typing(is_typing).await {
                    tracing::warn!(%error, "Could not forward a typing notice");
                }
            }
            Some(ClientFrame::ReadReceipt(number)) => {
                if let Err(error) = self.read(number).await {
                    tracing::warn!(%error, "Could not mark a message as read");
                    self.client.refuse(None);
                }
            }
            Some(ClientFrame::Ignored) => self.client.refuse(None),
        }
    }

    async fn load(&self, what: Deferred) -> Vec<String> {
        let desk = &self.client.desk;
        match what {
            Deferred::ReadMark(mark) => {
                match desk.delivery.newest_of_side(self.conversation, mark.of_side, mark.up_to).await {
                    Ok(message) => message.iter().filter_map(|message| wire::read_receipt(mark, message)).collect(),
                    Err(error) => {
                        tracing::warn!(%error, "Could not forward a read mark");
                        Vec::new()
                    }
                }
            }
            Deferred::Reply(event, number) => {
                // On an error, the message is sent without the quote.
                let answered = desk.history.message(self.conversation, number).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, "Could not read the message that a message replies to");
                    None
                });
                wire::message(&event, &self.client.person, answered.as_ref(), &linker(&self.server_url))
                    .into_iter()
                    .collect()
            }
        }
    }
}
