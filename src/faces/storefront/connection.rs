//! One socket: a customer's for one room, or an agent's for all rooms.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::Storefront;
use super::overview::{self, Overviews};
use super::wire::{self, ClientFrame, ServerFrame};
use crate::desk::conversations::{ConversationAccess, ConversationName, Credential};
use crate::desk::messages::SendMessageError;
use crate::domain::{ConversationId, DeskEvent, Members, Person, Side};
use crate::faces::channels::Channels;
use crate::faces::channels::client::{Client, Dialect};
use crate::faces::channels::send_queue::Item;
use crate::faces::channels::socket::Handshake;
use crate::limits::Paced;
use crate::net::ServerUrl;
use crate::presence::{Outgoing, Revoked, SendOutcome};

/// Close code: service restart.
const SERVICE_RESTART: u16 = 1012;

/// Which version of the agents' overview to send.
pub(super) enum Overview {
    /// Read for this socket: the first one.
    First,
    /// The newest that all sockets share.
    Newest,
}

/// What a socket receives.
enum Scope {
    /// One room.
    Room { conversation: ConversationId, uuid: u128, speaks_by_id: bool },
    /// All rooms.
    Agents { overview_is_due: AtomicBool, overviews: Arc<Overviews> },
}

/// One socket.
pub(super) struct StorefrontConnection {
    client: Client<Overview>,
    channels: Channels,
    scope: Scope,
    /// URL at which its client reaches this server.
    server_url: ServerUrl,
}

type Opened = (Arc<StorefrontConnection>, mpsc::Receiver<Item<Overview>>);

impl StorefrontConnection {
    pub(super) fn for_room(
        channels: &Channels,
        access: &ConversationAccess,
        is_panel: bool,
        handshake: &Handshake,
    ) -> Opened {
        let conversation = access.summary.conversation;
        let scope = Scope::Room {
            conversation: conversation.id,
            uuid: conversation.uuid,
            speaks_by_id: is_panel || !access.is_identified,
        };
        let (room, connection_handle) = (Some(conversation.id), handshake.connection_handle.clone());
        let (mut client, waiting) = Client::new(&channels.desk, access.person.clone(), room, connection_handle);
        client.is_guest = !access.is_identified;
        (
            Arc::new(Self { client, channels: channels.clone(), scope, server_url: handshake.server_url.clone() }),
            waiting,
        )
    }

    pub(super) fn for_agent(storefront: &Storefront, agent: Arc<Person>, handshake: &Handshake) -> Opened {
        let Storefront { channels, overviews } = storefront;
        let scope = Scope::Agents { overview_is_due: AtomicBool::new(false), overviews: overviews.clone() };
        let (client, waiting) = Client::new(&channels.desk, agent, None, handshake.connection_handle.clone());
        let server_url = handshake.server_url.clone();
        let connection = Arc::new(Self { client, channels: channels.clone(), scope, server_url });
        connection.client.queue.push(Item::Deferred(Overview::First), false);
        overviews.subscribe(&connection);
        (connection, waiting)
    }

    /// Queues the newest overview, unless it is queued already.
    pub(super) fn send_overview(&self) {
        if let Scope::Agents { overview_is_due, .. } = &self.scope
            && !overview_is_due.swap(true, Ordering::SeqCst)
        {
            self.client.queue.push(Item::Deferred(Overview::Newest), false);
        }
    }

    pub(super) fn send_frame(&self, frame: &ServerFrame<'_>) {
        if let Some(text) = frame.text() {
            self.client.queue.frame(text);
        }
    }

    /// Sends a message of an agent. Access to the room is checked each time, since the account may have been blocked.
    async fn send_in(&self, room: u128, text: String) {
        let credential = Credential::Identity(self.client.person.clone());
        self.send_as(&credential, room, text).await;
    }

    async fn send_as(&self, credential: &Credential, room: u128, text: String) {
        match self.client.desk.conversations.access(ConversationName::Uuid(room), credential).await {
            Ok(access) if access.may_write => {
                self.send_message(access.person, access.summary.conversation.id, text).await;
            }
            Ok(_) => {
                tracing::debug!("A client sent a message for an account that is not in use");
                self.client.refuse(None);
            }
            Err(error) => {
                tracing::debug!(%error, "A client sent a message to a room that does not exist");
                self.client.refuse(None);
            }
        }
    }

    async fn send_message(&self, author: Arc<Person>, conversation: ConversationId, text: String) {
        if let Err(error) = self.client.send_message(author, conversation, text).await {
            self.refuse(&error);
        }
    }

    /// Sends an error for a message that was not sent, except to an unknown room: the replaced server ignored that.
    fn refuse(&self, error: &SendMessageError) {
        let message = match error {
            SendMessageError::NoAddressee => return self.client.refuse(None),
            SendMessageError::Store(error) => {
                tracing::warn!(%error, connection.id = %self.client.id, "Could not store a message");
                "Server error".to_owned()
            }
            SendMessageError::Body(_)
            | SendMessageError::RateLimited(_)
            | SendMessageError::Busy
            | SendMessageError::ShuttingDown => error.to_string(),
        };
        let retry_after_ms = error.retry_after().map(|limited| limited.retry_after_ms());
        let frame = ServerFrame::Error { message: &message, code: error.code(), retry_after_ms };
        self.client.refuse(frame.text());
    }

    /// A frame for the queue. It is held back until the response to the request that caused it, if that request may have been sent by
    /// this page: a panel sends requests with a token, but opens rooms by their id alone.
    fn item(&self, text: Arc<String>, outgoing: &Outgoing<'_>) -> Item<Overview> {
        let is_agents = self.client.person.role.is_agent();
        let release = match outgoing.event {
            DeskEvent::Entry(event) if self.client.is_guest || is_agents == (event.entry.side == Side::Desk) => {
                self.channels.pending_responses.release_of(event.origin)
            }
            DeskEvent::Entry(_) | DeskEvent::Typing(_) | DeskEvent::Presence(_) | DeskEvent::Status(_) => None,
        };
        match release {
            Some(release) => Item::AfterResponse(text, release),
            None => Item::Frame(text),
        }
    }
}

/// The conversation of an entry, and whether it is one with the desk.
fn conversation_of(event: &DeskEvent) -> Option<(ConversationId, bool)> {
    let DeskEvent::Entry(event) = event else { return None };
    let is_support = matches!(event.parties.conversation.members, Members::Support { .. });
    Some((event.entry.conversation, is_support))
}

#[async_trait]
impl Dialect for StorefrontConnection {
    type Deferred = Overview;

    fn client(&self) -> &Client<Overview> {
        &self.client
    }

    fn pass_on(&self, outgoing: &Outgoing<'_>) -> SendOutcome {
        let Some((conversation, true)) = conversation_of(outgoing.event) else { return SendOutcome::NotTaken };
        let (frames, server_url) = (outgoing.frames, self.server_url.as_str());
        let link = outgoing.shows_link().then_some(server_url);
        let encoded = match &self.scope {
            Scope::Room { conversation: own, .. } if *own != conversation => return SendOutcome::NotTaken,
            Scope::Room { .. } => {
                let viewer = self.channels.viewer(outgoing.viewer, server_url);
                let encode = || wire::encode_for_room(outgoing.event, viewer).map(Arc::new);
                frames.get_or_encode("storefront room", link, encode)
            }
            Scope::Agents { .. } => {
                let encode = || wire::encode_for_agent(outgoing.event, server_url).map(Arc::new);
                frames.get_or_encode("storefront agents", link, encode)
            }
        };
        let outcome = match encoded.as_ref() {
            Some(text) => self.client.queue.push(self.item(text.clone(), outgoing), outgoing.is_replay),
            None => SendOutcome::NotTaken,
        };
        if let Scope::Agents { overviews, .. } = &self.scope
            && wire::changes_overview(outgoing.event)
        {
            overviews.change();
        }
        outcome
    }

    fn close_frame(&self, reason: Revoked) -> (u16, &'static str) {
        let is_agents = self.client.person.role.is_agent();
        match reason {
            Revoked::TokenExpired => (4401, "The token has expired"),
            Revoked::SessionEnded => (4401, "The session has ended"),
            Revoked::Blocked | Revoked::Deleted if is_agents => (4401, "The account is not in use"),
            Revoked::RoleChanged if is_agents => (4403, "Agents only"),
            Revoked::Blocked | Revoked::Deleted => (4404, "The room does not exist any more"),
            Revoked::RoleChanged => (1000, "The account has changed"),
        }
    }

    /// The pages compare the ids of messages.
    fn ignores_duplicates(&self) -> bool {
        true
    }

    /// The pages do not reconnect by themselves. They show nothing after 1001, and a Retry button after any other code.
    fn stop_code(&self) -> u16 {
        SERVICE_RESTART
    }

    async fn handle(&self, text: &str) {
        match (&self.scope, ClientFrame::read(text)) {
            (_, Some(ClientFrame::Ping)) => match self.client.pace.take(Paced::Ping) {
                Ok(()) => self.send_frame(&ServerFrame::Pong {}),
                Err(_) => self.client.refuse(None),
            },
            // A message in a room counts as the customer's unless a token or a session identifies somebody else.
            (Scope::Room { uuid, speaks_by_id: true, .. }, Some(ClientFrame::ChatMessage { content })) => {
                self.send_as(&Credential::NameAlone, *uuid, content).await;
            }
            (Scope::Room { conversation, .. }, Some(ClientFrame::ChatMessage { content })) => {
                self.send_message(self.client.person.clone(), *conversation, content).await;
            }
            (Scope::Agents { .. }, Some(ClientFrame::AdminMessage { room, content })) => {
                self.send_in(room, content).await;
            }
            (Scope::Room { .. } | Scope::Agents { .. }, _) => self.client.refuse(None),
        }
    }

    async fn load(&self, what: Overview) -> Vec<String> {
        if let (Overview::Newest, Scope::Agents { overview_is_due, overviews }) = (what, &self.scope) {
            // First, so that a change from now on queues the overview again.
            overview_is_due.store(false, Ordering::SeqCst);
            return overviews.newest().into_iter().collect();
        }
        match overview::read(&self.client.desk).await {
            Ok(first) => first.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%error, "Could not read the overview");
                Vec::new()
            }
        }
    }
}
