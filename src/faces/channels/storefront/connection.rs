//! One socket: a room's, or an agent's for all rooms.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::wire::{self, ClientFrame, ServerFrame};
use crate::desk::Desk;
use crate::desk::enter::{Claim, ConversationName, Entered};
use crate::desk::send_message::{Addressee, SendMessage, SendMessageError};
use crate::domain::{
    ConnectionId, ConversationId, DeskEvent, EntryKind, Members, MessageExtras, Person, Seq, Status, UserId,
};
use crate::faces::channels::Channels;
use crate::faces::channels::echo::Echoes;
use crate::faces::channels::line::{Item, Line};
use crate::faces::channels::socket::{Dialect, GOING_AWAY};
use crate::net::HangUp;
use crate::presence::{Connection, Delivery, Feed, Outcome, Revoked, Unconfirmed};

/// How many rooms the agents' overview names.
const OVERVIEW: usize = 500;

/// What is looked up when its turn comes: the agents' overview.
pub(super) struct Overview;

/// What a socket is for.
enum Scope {
    /// One room. `is_identified` if its client showed more than the room's id.
    Room { conversation: ConversationId, is_identified: bool },
    /// All rooms.
    Agents { overview_is_due: AtomicBool },
}

/// One live socket of this dialect.
pub(super) struct StorefrontConnection {
    id: ConnectionId,
    desk: Desk,
    echoes: Arc<Echoes>,
    person: Arc<Person>,
    scope: Scope,
    line: Line<Overview>,
    feed: Feed,
}

type Opened = (Arc<StorefrontConnection>, mpsc::Receiver<Item<Overview>>);

impl StorefrontConnection {
    pub(super) fn in_room(channels: &Channels, entered: &Entered, hang_up: Option<HangUp>) -> Opened {
        let conversation = entered.summary.conversation.id;
        let scope = Scope::Room { conversation, is_identified: entered.is_identified };
        Self::open(channels, entered.person.clone(), scope, hang_up)
    }

    pub(super) fn for_agent(channels: &Channels, agent: Arc<Person>, hang_up: Option<HangUp>) -> Opened {
        Self::open(channels, agent, Scope::Agents { overview_is_due: AtomicBool::new(false) }, hang_up)
    }

    fn open(channels: &Channels, person: Arc<Person>, scope: Scope, hang_up: Option<HangUp>) -> Opened {
        let id = ConnectionId::next();
        let (line, waiting) = Line::new(id, hang_up);
        let (desk, echoes) = (channels.desk.clone(), channels.echoes.clone());
        (Arc::new(Self { id, desk, echoes, person, scope, line, feed: Feed::default() }), waiting)
    }

    /// Sees to it that an agent's overview is sent, once however often it is asked for meanwhile.
    pub(super) fn send_overview(&self) {
        if let Scope::Agents { overview_is_due } = &self.scope
            && !overview_is_due.swap(true, Ordering::SeqCst)
        {
            self.line.push(Item::Look(Overview), false);
        }
    }

    pub(super) fn send_frame(&self, text: String) {
        self.line.frame(text);
    }

    async fn say(&self, conversation: ConversationId, text: String) {
        let ask = SendMessage {
            author: self.person.clone(),
            to: Addressee::Conversation(conversation),
            text,
            client_id: None,
            origin: Some(self.id),
            extras: MessageExtras::default(),
        };
        let (answer, answered) = tokio::sync::oneshot::channel();
        self.desk.send_message(ask, Box::new(move |outcome| drop(answer.send(outcome)))).await;
        // Waiting keeps one client from filling the line in which all messages wait.
        if let Ok(Err(error)) = answered.await {
            self.refuse(&error);
        }
    }

    /// What cannot be a message is ignored, as on the replaced server; what could have been one is not lost in silence.
    fn refuse(&self, error: &SendMessageError) {
        match error {
            SendMessageError::NoAddressee => {}
            SendMessageError::Store(error) => {
                tracing::warn!(%error, connection.id = %self.id, "A message was not kept");
                self.send_frame(ServerFrame::Error { message: "Server error" }.text());
            }
            SendMessageError::Body(_)
            | SendMessageError::RateLimited(_)
            | SendMessageError::Busy
            | SendMessageError::ShuttingDown => {
                self.send_frame(ServerFrame::Error { message: &error.to_string() }.text());
            }
        }
    }

    /// An item for the line, held back if it is the echo of a request that is still being answered.
    fn item(&self, text: Arc<String>, delivery: &Delivery<'_>) -> Item<Overview> {
        let gate = match delivery.event {
            DeskEvent::Entry(told) if told.author.id == delivery.viewer.id => self.echoes.gate(told.origin),
            DeskEvent::Entry(_) | DeskEvent::Typing(_) | DeskEvent::Presence(_) | DeskEvent::Status(_) => None,
        };
        match gate {
            Some(gate) => Item::Echo(text, gate),
            None => Item::Frame(text),
        }
    }
}

fn place(event: &DeskEvent) -> Option<(ConversationId, bool)> {
    let DeskEvent::Entry(told) = event else { return None };
    let is_support = matches!(told.parties.conversation.members, Members::Support { .. });
    Some((told.entry.conversation, is_support))
}

impl Connection for StorefrontConnection {
    fn id(&self) -> ConnectionId {
        self.id
    }

    fn feed(&self) -> &Feed {
        &self.feed
    }

    fn send(&self, delivery: &Delivery<'_>) -> Outcome {
        let Some((conversation, true)) = place(delivery.event) else { return Outcome::NotTaken };
        let frames = delivery.frames;
        let encoded = match &self.scope {
            Scope::Room { conversation: own, .. } if *own != conversation => return Outcome::NotTaken,
            Scope::Room { is_identified, .. } => {
                if !is_identified && is_closing(delivery.event) {
                    // The room's id alone opens it no longer.
                    self.line.close(4404, "The room was closed");
                }
                frames.get_or_encode("storefront room", || wire::encode_in_room(delivery.event).map(Arc::new))
            }
            Scope::Agents { .. } => {
                frames.get_or_encode("storefront agents", || wire::encode_for_agent(delivery.event).map(Arc::new))
            }
        };
        let outcome = match encoded.as_ref() {
            Some(text) => self.line.push(self.item(text.clone(), delivery), delivery.is_replay),
            None => Outcome::NotTaken,
        };
        self.line.note(outcome, delivery);
        if wire::changes_overview(delivery.event) {
            self.send_overview();
        }
        outcome
    }

    fn revoke(&self, reason: Revoked) {
        match (&self.scope, reason) {
            (_, Revoked::TokenExpired) => self.line.close(4401, "The token has expired"),
            (Scope::Agents { .. }, Revoked::Blocked | Revoked::Deleted) => {
                self.line.close(4401, "The account is not in use");
            }
            (Scope::Agents { .. }, Revoked::RoleChanged) => self.line.close(4403, "The account is no agent's"),
            (Scope::Room { .. }, Revoked::Blocked | Revoked::Deleted) => self.line.close(4404, "The room is gone"),
            (Scope::Room { .. }, Revoked::RoleChanged) => self.line.close(1000, "Come in again"),
        }
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

fn is_closing(event: &DeskEvent) -> bool {
    let DeskEvent::Entry(told) = event else { return false };
    matches!(told.entry.kind, EntryKind::StatusChanged { status: Status::Closed })
}

#[async_trait]
impl Dialect for StorefrontConnection {
    type Look = Overview;

    fn line(&self) -> &Line<Overview> {
        &self.line
    }

    async fn hear(&self, text: &str) {
        match (&self.scope, ClientFrame::read(text)) {
            (_, Some(ClientFrame::Ping)) => self.send_frame(ServerFrame::Pong {}.text()),
            (Scope::Room { conversation, .. }, Some(ClientFrame::ChatMessage { content })) => {
                self.say(*conversation, content).await;
            }
            (Scope::Agents { .. }, Some(ClientFrame::AdminMessage { room, content })) => {
                let claim = Claim::Identity(self.person.clone());
                match self.desk.enter(ConversationName::Uuid(room), &claim).await {
                    Ok(entered) => self.say(entered.summary.conversation.id, content).await,
                    Err(error) => tracing::debug!(%error, "An agent wrote to no room"),
                }
            }
            (Scope::Room { .. } | Scope::Agents { .. }, _) => {}
        }
    }

    async fn look(&self, _: Overview) -> Vec<String> {
        if let Scope::Agents { overview_is_due } = &self.scope {
            // What changes from now on is worth another one.
            overview_is_due.store(false, Ordering::SeqCst);
        }
        match self.desk.rooms(0, OVERVIEW).await {
            Ok((rooms, _)) => vec![wire::room_list(&rooms)],
            Err(error) => {
                tracing::warn!(%error, "The overview could not be read");
                Vec::new()
            }
        }
    }

    fn closed(&self) {
        self.desk.disconnect(&self.person, self.id, self.line.unconfirmed());
    }
}
