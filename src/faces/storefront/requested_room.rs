//! The room that a request names, after the caller's access was checked.

use axum::Json;
use axum::extract::{FromRef, FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::pages::{PAGE, Paging};
use super::wire::{RoomBody, Viewer, messages};
use super::{Storefront, access_room};
use crate::desk::conversations::{ConversationAccess, ConversationName, Credential};
use crate::desk::history::{MessagePage, Range};
use crate::domain::{ConversationId, Status, User};
use crate::faces::channels::Channels;
use crate::faces::channels::caller::{self, Agent, Anybody};
use crate::faces::channels::reply::Problem;
use crate::net::ServerUrl;

/// A room, as the caller sees it.
pub(super) struct RequestedRoom {
    pub(super) channels: Channels,
    pub(super) access: ConversationAccess,
    /// URL at which the caller reaches this server.
    pub(super) server_url: ServerUrl,
}

/// The room in the path, for anybody who may access it. Its id is enough.
pub(super) struct CallersRoom(pub(super) RequestedRoom);

/// The room in the path, for agents. A room that an agent has deleted does not exist for them.
pub(super) struct AgentsRoom(pub(super) RequestedRoom);

impl FromRequestParts<Storefront> for CallersRoom {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Storefront) -> Result<Self, Response> {
        let who = Anybody::from_request_parts(parts, state).await.map_err(Problem::into_response)?;
        let (room, server_url) = named_room(parts).await?;
        let room = RequestedRoom::of_caller(Channels::from_ref(state), &who, &room, server_url).await;
        room.map(Self).map_err(Problem::into_response)
    }
}

impl FromRequestParts<Storefront> for AgentsRoom {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Storefront) -> Result<Self, Response> {
        let Agent(agent) = Agent::from_request_parts(parts, state).await.map_err(Problem::into_response)?;
        let (room, server_url) = named_room(parts).await?;
        let room = RequestedRoom::of_agent(Channels::from_ref(state), &agent, &room, server_url).await;
        room.map(Self).map_err(Problem::into_response)
    }
}

async fn named_room(parts: &mut Parts) -> Result<(String, ServerUrl), Response> {
    let Path(room) = Path::from_request_parts(parts, &()).await.map_err(IntoResponse::into_response)?;
    Ok((room, ServerUrl::of(&parts.headers, &parts.extensions)))
}

impl RequestedRoom {
    /// Returns the room with this id, for any caller.
    pub(super) async fn of_caller(
        channels: Channels,
        who: &Anybody,
        room: &str,
        server_url: ServerUrl,
    ) -> Result<Self, Problem> {
        let uuid = Uuid::try_parse(room).map_err(|_| Problem::not_found())?;
        let people = [&who.account, &who.visitor].into_iter().flatten().map(caller::person);
        let access = access_room(&channels, people, uuid).await?;
        Ok(Self { channels, access, server_url })
    }

    /// Returns the room with this id, for an agent.
    pub(super) async fn of_agent(
        channels: Channels,
        agent: &User,
        room: &str,
        server_url: ServerUrl,
    ) -> Result<Self, Problem> {
        let uuid = Uuid::try_parse(room).map_err(|_| Problem::not_found())?;
        let credential = Credential::Identity(caller::person(agent));
        let access = channels.desk.conversations.access(ConversationName::Uuid(uuid.as_u128()), &credential).await?;
        if access.summary.status == Status::Removed {
            return Err(Problem::no_such_room());
        }
        Ok(Self { channels, access, server_url })
    }

    /// Returns the room of a customer, which is created if there is none. The second value is whether it was created.
    pub(super) async fn of_customer(
        channels: Channels,
        customer: &User,
        server_url: ServerUrl,
    ) -> Result<(Self, bool), Problem> {
        let (access, is_new) = channels.desk.conversations.own_conversation(&caller::person(customer)).await?;
        Ok((Self { channels, access, server_url }, is_new))
    }

    pub(super) fn conversation(&self) -> ConversationId {
        self.access.summary.conversation.id
    }

    /// How the caller sees messages.
    pub(super) fn viewer(&self) -> Viewer<'_> {
        self.channels.viewer(&self.access.person, self.server_url.as_str())
    }

    /// The room with all its messages.
    pub(super) async fn full(&self) -> Result<Value, Problem> {
        let log = self.channels.desk.history.fetch(&self.access, Range::Newest, usize::MAX).await?.messages;
        let room = self.channels.desk.conversations.support_conversation(&self.access).await?;
        let body = json!(RoomBody::new(&room, Some(messages(&log, &room.summary, self.viewer()))));
        Ok(body)
    }

    /// All messages, oldest first. Fetching them counts as delivery, not as reading: a page may fetch messages that nobody reads.
    pub(super) async fn log(&self) -> Result<Value, Problem> {
        let log = self.channels.desk.history.fetch(&self.access, Range::Newest, usize::MAX).await?.messages;
        Ok(json!(messages(&log, &self.access.summary, self.viewer())))
    }

    /// One page of the messages.
    pub(super) async fn page_of_log(&self, paging: &Paging) -> Result<Response, Problem> {
        let range = Range::Beyond { skip: paging.skip() };
        let MessagePage { messages: log, total, .. } =
            self.channels.desk.history.fetch(&self.access, range, PAGE).await?;
        let page = paging.page(messages(&log, &self.access.summary, self.viewer()), total)?;
        Ok(Json(page).into_response())
    }
}
