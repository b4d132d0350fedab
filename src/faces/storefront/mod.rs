//! The storefront's dialect: rooms by UUID, one socket for all rooms of an agent, REST with pages.
//!
//! * [`wire`]: names and shapes; [`connection`]: one socket; [`overview`]: the list of rooms that all agents receive;
//! * routes: [`auth`], [`public`] (customers' rooms), [`admin`] (all rooms, for agents);
//! * for these: [`requested_room`] (the room of a request), [`customer`], [`send`], [`pages`];
//! * [`panel`]: recognizes the sockets of agents' panels.

use std::sync::Arc;

use axum::extract::{FromRef, Request, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use uuid::Uuid;

mod admin;
mod auth;
mod connection;
mod customer;
mod overview;
mod pages;
mod panel;
mod public;
mod requested_room;
mod send;
mod wire;

use crate::accounts::visitors::VisitorError;
use crate::desk::attendance::Authenticated;
use crate::desk::conversations::{AccessError, ConversationAccess, ConversationName, Credential};
use crate::domain::Person;
use crate::faces::channels::socket::Handshake;
use crate::faces::channels::{Channels, FOREVER, caller};
use crate::faces::http::cookies;
use crate::presence::Connection;
use crate::store::StoreError;
use connection::StorefrontConnection;
use overview::Overviews;
use panel::Panel;
use wire::{DeskName, Viewer};

/// State of the routes and sockets.
#[derive(Clone)]
pub(super) struct Storefront {
    pub(super) channels: Channels,
    overviews: Arc<Overviews>,
}

impl Storefront {
    /// Starts the task that keeps the agents' overview up to date, until the sockets are closed.
    pub(super) fn start(channels: Channels) -> Self {
        let overviews = Overviews::start(&channels.desk, &channels.sockets);
        Self { channels, overviews }
    }
}

impl FromRef<Storefront> for Channels {
    fn from_ref(storefront: &Storefront) -> Self {
        storefront.channels.clone()
    }
}

pub(super) fn routes() -> Router<Storefront> {
    Router::new()
        .route("/ws/admin/chat/", get(agents))
        .route("/api/admin/health/ping/", get(ping))
        .merge(auth::routes())
        .merge(public::routes())
        .merge(admin::routes())
}

/// `/ws/chat/{uuid}/`: one room. Errors are close codes after an accepted handshake: 4404 for an unknown room, 4401 for the panel of a
/// closed account, 1011 for an invalid id or if the store fails.
pub(super) async fn room(storefront: Storefront, room: &str, mut request: Request) -> Response {
    let channels = &storefront.channels;
    let handshake = match Handshake::read(&mut request) {
        Ok(handshake) => handshake,
        Err(rejection) => return rejection.into_response(),
    };
    let Ok(uuid) = Uuid::try_parse(room) else {
        return handshake.close_with(&channels.sockets, 1011, "Not a room's id");
    };
    let Admitted { who, access, is_panel } = match admit(channels, request.uri(), request.headers(), uuid).await {
        Ok(admit) => admit,
        Err(Rejected::Panel) => return handshake.close_with(&channels.sockets, 4401, "The account is not in use"),
        Err(Rejected::Room(AccessError::NotFound | AccessError::Forbidden | AccessError::Banned(_))) => {
            return handshake.close_with(&channels.sockets, 4404, "Chat room not found");
        }
        Err(Rejected::Room(AccessError::Store(error))) => {
            tracing::warn!(%error, "Could not open a room");
            return handshake.close_with(&channels.sockets, 1011, "Server error");
        }
    };
    if who.is_none() {
        panel::warn_of_other_host(request.headers(), handshake.server_url.as_str());
    }
    let (connection, waiting) = StorefrontConnection::for_room(channels, &access, is_panel, &handshake);
    match channels.desk.conversations.support_conversation(&access).await {
        Ok(room) => connection.send_frame(&wire::room_info(&room)),
        Err(error) => {
            tracing::warn!(%error, "Could not read a room");
            return handshake.close_with(&channels.sockets, 1011, "Server error");
        }
    }
    let port: Arc<dyn Connection> = connection.clone();
    match who {
        Some(who) => channels.desk.attendance.connect_to(&who, access.summary.conversation, &port).await,
        None => channels.desk.attendance.connect_guest(access.summary.conversation.id, port),
    }
    handshake.serve(&channels.sockets, connection, waiting)
}

impl Channels {
    /// How a person sees messages. `server_url`: where their client reaches this server.
    fn viewer<'a>(&'a self, person: &Person, server_url: &'a str) -> Viewer<'a> {
        if person.role.is_agent() {
            Viewer { desk: DeskName::Colleague, server_url }
        } else {
            self.customers_view(server_url)
        }
    }

    /// How customers see messages.
    fn customers_view<'a>(&'a self, server_url: &'a str) -> Viewer<'a> {
        Viewer { desk: DeskName::Public(self.settings.desk_name.as_deref()), server_url }
    }
}

/// The identities in a handshake: of its token and of its session cookie. An invalid token counts as none, as on the replaced server.
async fn identities(channels: &Channels, uri: &Uri, headers: &HeaderMap) -> Result<Vec<Authenticated>, StoreError> {
    let mut who = Vec::from_iter(caller::from_token(channels, uri).await?);
    let Some(secret) = cookies::SESSION.of(headers) else { return Ok(who) };
    let visitor = match channels.accounts.visitor(secret).await {
        Ok(visitor) => visitor,
        Err(VisitorError::Banned(_)) => None,
        Err(VisitorError::Store(error)) => return Err(error),
    };
    if let Some(visitor) = visitor {
        who.push(Authenticated { person: caller::person(&visitor), expires_at: FOREVER, token: None });
    }
    Ok(who)
}

/// Why a socket may not access a room.
#[derive(Debug, thiserror::Error)]
enum Rejected {
    #[error("the agent of the panel has lost their rights")]
    Panel,
    #[error(transparent)]
    Room(#[from] AccessError),
}

/// A socket that may access a room.
struct Admitted {
    /// The identity that gave access; `None` if it was the room's id.
    who: Option<Authenticated>,
    access: ConversationAccess,
    is_panel: bool,
}

/// Checks whether a socket may access a room.
async fn admit(channels: &Channels, uri: &Uri, headers: &HeaderMap, room: Uuid) -> Result<Admitted, Rejected> {
    let who = identities(channels, uri, headers).await.map_err(AccessError::from)?;
    if let Some(access) = access_room_as(channels, who.iter().map(|who| who.person.clone()), room).await? {
        let who = who.into_iter().find(|who| who.person.id == access.person.id);
        return Ok(Admitted { who, access, is_panel: false });
    }
    let name = ConversationName::Uuid(room.as_u128());
    match panel::of(channels, headers).await.map_err(AccessError::from)? {
        Panel::Of(agent) => {
            let access = channels.desk.conversations.access(name, &Credential::Identity(agent.person.clone())).await?;
            Ok(Admitted { who: Some(agent), access, is_panel: true })
        }
        Panel::Revoked => Err(Rejected::Panel),
        Panel::None => {
            let access = channels.desk.conversations.access(name, &Credential::NameAlone).await?;
            Ok(Admitted { who: None, access, is_panel: false })
        }
    }
}

/// Grants access to a room as the first of these people who has it, or else by the room's id alone: presenting an identity never takes
/// access away.
async fn access_room(
    channels: &Channels,
    people: impl Iterator<Item = Arc<Person>>,
    room: Uuid,
) -> Result<ConversationAccess, AccessError> {
    match access_room_as(channels, people, room).await? {
        Some(access) => Ok(access),
        None => {
            channels.desk.conversations.access(ConversationName::Uuid(room.as_u128()), &Credential::NameAlone).await
        }
    }
}

/// Grants access to a room as the first of these people who has it; `None` if nobody has.
async fn access_room_as(
    channels: &Channels,
    people: impl Iterator<Item = Arc<Person>>,
    room: Uuid,
) -> Result<Option<ConversationAccess>, AccessError> {
    let name = ConversationName::Uuid(room.as_u128());
    for person in people {
        match channels.desk.conversations.access(name, &Credential::Identity(person)).await {
            Ok(access) => return Ok(Some(access)),
            Err(AccessError::Forbidden) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// `/ws/admin/chat/?token=`: all rooms, for agents. Errors are close codes after an accepted handshake: 4401 without a
/// valid token, 4403 for customers, 1011 if the store fails.
async fn agents(State(storefront): State<Storefront>, mut request: Request) -> Response {
    let channels = &storefront.channels;
    let handshake = match Handshake::read(&mut request) {
        Ok(handshake) => handshake,
        Err(rejection) => return rejection.into_response(),
    };
    let who = match caller::from_token(channels, request.uri()).await {
        Ok(Some(who)) => who,
        Ok(None) => return handshake.close_with(&channels.sockets, 4401, "Authentication required"),
        Err(error) => {
            tracing::warn!(%error, "Could not read an agent's account");
            return handshake.close_with(&channels.sockets, 1011, "Server error");
        }
    };
    if !who.person.role.is_agent() {
        return handshake.close_with(&channels.sockets, 4403, "Agents only");
    }
    let (connection, waiting) = StorefrontConnection::for_agent(&storefront, who.person.clone(), &handshake);
    let port: Arc<dyn Connection> = connection.clone();
    channels.desk.attendance.connect_live(&who, &port).await;
    handshake.serve(&channels.sockets, connection, waiting)
}

/// `GET /api/admin/health/ping/`: the newer panel covers every page with a warning unless this answers 200.
async fn ping() -> Json<Value> {
    Json(json!({"status": "healthy", "message": "Server is running"}))
}
