//! The portal's dialect: one room per customer, named by number, one socket per person and room, REST with bare arrays.
//!
//! * [`wire`]: names and shapes; [`connection`]: one socket;
//! * routes: [`auth`], [`accounts`], [`rooms`], [`messages`] with [`upload`] and [`revise`], [`notifications`];
//! * [`requested_room`]: the room or message of a request.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

mod accounts;
mod auth;
mod bounded_body;
mod connection;
mod messages;
mod notifications;
mod requested_room;
mod revise;
mod rooms;
pub(super) mod upload;
mod wire;

use crate::desk::conversations::{AccessError, ConversationName, Credential};
use crate::faces::channels::reply::Problem;
use crate::faces::channels::socket::Handshake;
use crate::faces::channels::{Channels, caller};
use crate::presence::Connection;
use connection::DrivecashConnection;

pub(super) fn routes() -> Router<Channels> {
    Router::new()
        .merge(auth::routes())
        .merge(accounts::routes())
        .merge(rooms::routes())
        .merge(messages::routes())
        .merge(notifications::routes())
}

/// `/ws/chat/{digits}/?token=`. Errors are 403 in the handshake: after an accepted one, this client would reconnect every second.
pub(super) async fn room(channels: Channels, room: &str, mut request: Request) -> Response {
    let handshake = match Handshake::read(&mut request) {
        Ok(handshake) => handshake,
        Err(rejection) => return rejection.into_response(),
    };
    let who = match caller::from_token(&channels, request.uri()).await {
        Ok(Some(who)) => who,
        Ok(None) => return StatusCode::FORBIDDEN.into_response(),
        Err(error) => return Problem::from(error).into_response(),
    };
    let Ok(number) = room.parse() else { return StatusCode::FORBIDDEN.into_response() };
    let credential = Credential::Identity(who.person.clone());
    let access = match channels.desk.conversations.access(ConversationName::Number(number), &credential).await {
        Ok(access) => access,
        Err(AccessError::NotFound | AccessError::Forbidden | AccessError::Banned(_)) => {
            return StatusCode::FORBIDDEN.into_response();
        }
        Err(AccessError::Store(error)) => return Problem::from(error).into_response(),
    };
    let (connection, waiting) = DrivecashConnection::open(&channels, &access, &handshake);
    let port: Arc<dyn Connection> = connection.clone();
    channels.desk.attendance.connect_to(&who, access.summary.conversation, &port).await;
    channels.desk.announcements.send_room_snapshot(&access.person, &access.customer, &port).await;
    channels.desk.announcements.announce_room_absence_later(&access.person, access.customer.id, &port);
    handshake.serve(&channels.sockets, connection, waiting)
}
