//! The shop's dialect: rooms by UUID, one socket for all agents, REST with pages.
//!
//! [`wire`] (names and shapes), [`connection`] (one socket), [`overview`] (what all agents share), and routes by noun: [`auth`], [`public`] (customers' rooms),
//! [`admin`] (agents' rooms), [`pages`].

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use uuid::Uuid;

mod admin;
mod auth;
mod connection;
pub(super) mod overview;
mod pages;
mod public;
mod wire;

use super::socket::Handshake;
use super::{Channels, FOREVER, caller};
use crate::desk::connect::Authenticated;
use crate::desk::enter::{Claim, ConversationName, EnterError};
use crate::presence::Connection;
use crate::store::StoreError;
use connection::StorefrontConnection;

pub(super) fn routes() -> Router<Channels> {
    Router::new()
        .route("/ws/admin/chat/", get(agents))
        .merge(auth::routes())
        .merge(public::routes())
        .merge(admin::routes())
}

/// `/ws/chat/{uuid}/`: one room. Refusals are told after the accept: 4404 for a room that is not there or not theirs, 1011
/// for what cannot be a room's id, or if the store fails.
pub(super) async fn room(channels: Channels, room: &str, mut request: Request) -> Response {
    let handshake = match Handshake::read(&mut request) {
        Ok(handshake) => handshake,
        Err(none) => return none.into_response(),
    };
    let Ok(uuid) = Uuid::try_parse(room) else {
        return handshake.close_with(&channels.sockets, 1011, "Not a room's id");
    };
    let who = match identity(&channels, request.uri(), request.headers()).await {
        Ok(who) => who,
        Err(error) => {
            tracing::warn!(%error, "A room could not be opened");
            return handshake.close_with(&channels.sockets, 1011, "Server error");
        }
    };
    let claim = claim(&channels, who.as_ref());
    let entered = match channels.desk.enter(ConversationName::Uuid(uuid.as_u128()), &claim).await {
        Ok(entered) => entered,
        Err(EnterError::NotFound | EnterError::Forbidden) => {
            return handshake.close_with(&channels.sockets, 4404, "Chat room not found");
        }
        Err(EnterError::Store(error)) => {
            tracing::warn!(%error, "A room could not be opened");
            return handshake.close_with(&channels.sockets, 1011, "Server error");
        }
    };
    let (connection, waiting) = StorefrontConnection::in_room(&channels, &entered, handshake.hang_up.clone());
    match channels.desk.room(&entered).await {
        Ok(room) => connection.send_frame(wire::room_info(&room)),
        Err(error) => {
            tracing::warn!(%error, "A room could not be read");
            return handshake.close_with(&channels.sockets, 1011, "Server error");
        }
    }
    let shown = who.filter(|_| entered.is_identified);
    let expires_at = shown.as_ref().map_or(FOREVER, |who| who.expires_at);
    let token = shown.and_then(|who| who.token);
    let who = Authenticated { person: entered.person, expires_at, token };
    let port: Arc<dyn Connection> = connection.clone();
    channels.desk.connect_to(&who, entered.summary.conversation, &port).await;
    handshake.serve(&channels.sockets, connection, waiting)
}

/// Whose token or session cookie came with a handshake. A token that names nobody is as good as none, as it always was.
async fn identity(channels: &Channels, uri: &Uri, headers: &HeaderMap) -> Result<Option<Authenticated>, StoreError> {
    if let Some(who) = caller::from_token(channels, uri).await? {
        return Ok(Some(who));
    }
    let Some(secret) = caller::session(headers) else { return Ok(None) };
    let visitor = channels.accounts.visitor(secret).await?;
    Ok(visitor.map(|visitor| Authenticated { person: caller::person(&visitor), expires_at: FOREVER, token: None }))
}

/// What somebody has to show for a room.
fn claim(channels: &Channels, who: Option<&Authenticated>) -> Claim {
    match who {
        Some(who) if who.person.role.is_agent() => Claim::Identity(who.person.clone()),
        _ if channels.settings.open_public_rooms => Claim::Public,
        Some(who) => Claim::Identity(who.person.clone()),
        None => Claim::NameAlone,
    }
}

/// `/ws/admin/chat/?token=`: all rooms, for agents. Refusals are told after the accept: 4401 without a good token, 4403 for
/// somebody who is no agent, 1011 if the store fails.
async fn agents(State(channels): State<Channels>, mut request: Request) -> Response {
    let handshake = match Handshake::read(&mut request) {
        Ok(handshake) => handshake,
        Err(none) => return none.into_response(),
    };
    let who = match caller::from_token(&channels, request.uri()).await {
        Ok(Some(who)) => who,
        Ok(None) => return handshake.close_with(&channels.sockets, 4401, "Authentication required"),
        Err(error) => {
            tracing::warn!(%error, "An agent could not be looked up");
            return handshake.close_with(&channels.sockets, 1011, "Server error");
        }
    };
    if !who.person.role.is_agent() {
        return handshake.close_with(&channels.sockets, 4403, "Agents only");
    }
    let hang_up = handshake.hang_up.clone();
    let (connection, waiting) = StorefrontConnection::for_agent(&channels, who.person.clone(), hang_up);
    let port: Arc<dyn Connection> = connection.clone();
    channels.desk.connect_live(&who, &port).await;
    handshake.serve(&channels.sockets, connection, waiting)
}
