//! One socket: a room's, or an agent's for all rooms.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::overview::{self, Overviews};
use super::wire::{self, ClientFrame, ServerFrame};
use crate::desk::enter::{Claim, ConversationName, Entered};
use crate::desk::send_message::SendMessageError;
use crate::domain::{ConversationId, DeskEvent, Members, Person};
use crate::faces::channels::Channels;
use crate::faces::channels::line::Item;
use crate::faces::channels::live::{Dialect, Live, Room};
use crate::faces::channels::socket::Handshake;
use crate::net::ServerUrl;
use crate::presence::{Delivery, Outcome, Revoked};

/// The agents' overview, which is looked up when its turn comes.
pub(super) enum Overview {
    /// As it is then: the first one.
    First,
    /// The newest that all share.
    Newest,
}

/// What a socket is for.
enum Scope {
    /// One room.
    Room { conversation: ConversationId, uuid: u128 },
    /// All rooms.
    Agents { overview_is_due: AtomicBool, overviews: Arc<Overviews> },
}

/// One live socket of this dialect.
pub(super) struct StorefrontConnection {
    live: Live<Overview>,
    channels: Channels,
    scope: Scope,
    /// Where its client finds this server.
    server_url: ServerUrl,
}

type Opened = (Arc<StorefrontConnection>, mpsc::Receiver<Item<Overview>>);

impl StorefrontConnection {
    pub(super) fn in_room(channels: &Channels, entered: &Entered, handshake: &Handshake) -> Opened {
        let conversation = entered.summary.conversation;
        let scope = Scope::Room { conversation: conversation.id, uuid: conversation.uuid };
        let (mut live, waiting) = Live::new(
            &channels.desk,
            entered.person.clone(),
            Some(Room::of(&entered.summary)),
            handshake.hang_up.clone(),
        );
        live.guest_in = (!entered.is_identified).then_some(conversation.id);
        (Arc::new(Self { live, channels: channels.clone(), scope, server_url: handshake.server_url.clone() }), waiting)
    }

    pub(super) fn for_agent(channels: &Channels, agent: Arc<Person>, handshake: &Handshake) -> Opened {
        let overviews = channels.overviews.clone();
        let scope = Scope::Agents { overview_is_due: AtomicBool::new(false), overviews: overviews.clone() };
        let (live, waiting) = Live::new(&channels.desk, agent, None, handshake.hang_up.clone());
        let server_url = handshake.server_url.clone();
        let connection = Arc::new(Self { live, channels: channels.clone(), scope, server_url });
        connection.live.line.push(Item::Look(Overview::First), false);
        overviews.show_to(&connection);
        (connection, waiting)
    }

    /// Sees to it that the newest overview is sent, once however often it is asked for meanwhile.
    pub(super) fn send_overview(&self) {
        if let Scope::Agents { overview_is_due, .. } = &self.scope
            && !overview_is_due.swap(true, Ordering::SeqCst)
        {
            self.live.line.push(Item::Look(Overview::Newest), false);
        }
    }

    pub(super) fn send_frame(&self, text: String) {
        self.live.line.frame(text);
    }

    /// Enters a room anew before something is said there: an account may have been blocked meanwhile.
    async fn say_in(&self, room: u128, text: String) {
        let claim = match self.live.guest_in {
            Some(_) => Claim::NameAlone,
            None => Claim::Identity(self.live.person.clone()),
        };
        match self.live.desk.enter(ConversationName::Uuid(room), &claim).await {
            Ok(entered) if entered.may_write => self.say(entered.summary.conversation.id, text).await,
            Ok(_) => tracing::debug!("A message was written for an account that is not in use"),
            Err(error) => tracing::debug!(%error, "A message was written to no room"),
        }
    }

    async fn say(&self, conversation: ConversationId, text: String) {
        if let Err(error) = self.live.say(conversation, text).await {
            self.refuse(&error);
        }
    }

    /// What cannot be a message is ignored, as on the replaced server; what could have been one is not lost in silence.
    fn refuse(&self, error: &SendMessageError) {
        match error {
            SendMessageError::NoAddressee => {}
            SendMessageError::Store(error) => {
                tracing::warn!(%error, connection.id = %self.live.id, "A message was not kept");
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

    /// An item for the line, held back while the request that caused it is being answered. That holds for every socket, since a
    /// page may ask as somebody else than its socket is: a panel sends with a token, and opens rooms by their id alone.
    fn item(&self, text: Arc<String>, delivery: &Delivery<'_>) -> Item<Overview> {
        let gate = match delivery.event {
            DeskEvent::Entry(told) => self.channels.echoes.gate(told.origin),
            DeskEvent::Typing(_) | DeskEvent::Presence(_) | DeskEvent::Status(_) => None,
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

#[async_trait]
impl Dialect for StorefrontConnection {
    type Look = Overview;

    fn live(&self) -> &Live<Overview> {
        &self.live
    }

    fn pass_on(&self, delivery: &Delivery<'_>) -> Outcome {
        let Some((conversation, true)) = place(delivery.event) else { return Outcome::NotTaken };
        let (frames, server_url) = (delivery.frames, self.server_url.as_str());
        let link = delivery.shows_link().then_some(server_url);
        let encoded = match &self.scope {
            Scope::Room { conversation: own, .. } if *own != conversation => return Outcome::NotTaken,
            Scope::Room { .. } => {
                let viewer = self.channels.viewer(delivery.viewer, server_url);
                let encode = || wire::encode_in_room(delivery.event, viewer).map(Arc::new);
                frames.get_or_encode("storefront room", link, encode)
            }
            Scope::Agents { .. } => {
                let encode = || wire::encode_for_agent(delivery.event, server_url).map(Arc::new);
                frames.get_or_encode("storefront agents", link, encode)
            }
        };
        let outcome = match encoded.as_ref() {
            Some(text) => self.live.line.push(self.item(text.clone(), delivery), delivery.is_replay),
            None => Outcome::NotTaken,
        };
        if let Scope::Agents { overviews, .. } = &self.scope
            && wire::changes_overview(delivery.event)
        {
            overviews.change();
        }
        outcome
    }

    fn farewell(&self, reason: Revoked) -> (u16, &'static str) {
        match (&self.scope, reason) {
            (_, Revoked::TokenExpired) => (4401, "The token has expired"),
            (_, Revoked::SessionEnded) => (4401, "The session has ended"),
            (Scope::Agents { .. }, Revoked::Blocked | Revoked::Deleted) => (4401, "The account is not in use"),
            (Scope::Agents { .. }, Revoked::RoleChanged) => (4403, "The account is no agent's"),
            (Scope::Room { .. }, Revoked::Blocked | Revoked::Deleted) => (4404, "The room is gone"),
            (Scope::Room { .. }, Revoked::RoleChanged) => (1000, "Come in again"),
        }
    }

    async fn hear(&self, text: &str) {
        match (&self.scope, ClientFrame::read(text)) {
            (_, Some(ClientFrame::Ping)) => self.send_frame(ServerFrame::Pong {}.text()),
            (Scope::Room { uuid, .. }, Some(ClientFrame::ChatMessage { content })) if self.live.guest_in.is_some() => {
                self.say_in(*uuid, content).await;
            }
            (Scope::Room { conversation, .. }, Some(ClientFrame::ChatMessage { content })) => {
                self.say(*conversation, content).await;
            }
            (Scope::Agents { .. }, Some(ClientFrame::AdminMessage { room, content })) => {
                self.say_in(room, content).await;
            }
            (Scope::Room { .. } | Scope::Agents { .. }, _) => {}
        }
    }

    async fn look(&self, what: Overview) -> Vec<String> {
        if let (Overview::Newest, Scope::Agents { overview_is_due, overviews }) = (what, &self.scope) {
            // What changes from now on is worth another one.
            overview_is_due.store(false, Ordering::SeqCst);
            return vec![overviews.newest()];
        }
        match overview::read(&self.live.desk).await {
            Ok(first) => vec![first],
            Err(error) => {
                tracing::warn!(%error, "The overview could not be read");
                Vec::new()
            }
        }
    }
}
