//! Joins the storefront and the portal, which share a path, the attachments and the settings.
//!
//! One server serves both dialects. `/ws/chat/{room}/` shows which one a client speaks: the storefront names a room by a UUID,
//! the portal by a number.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;

use super::channels::{Channels, ChannelsSettings, Sockets, media, reply};
use super::storefront::Storefront;
use super::{drivecash, storefront};
use crate::accounts::Accounts;
use crate::desk::Desk;
use crate::domain::Clock;
use crate::limits::Limits;

/// Interval at which remains of interrupted uploads are deleted.
const CLEAN_UP_INTERVAL: Duration = Duration::from_hours(1);

/// All routes of both dialects. The second value closes their sockets.
pub fn routes(
    desk: Desk,
    accounts: Arc<Accounts>,
    limits: Arc<Limits>,
    settings: ChannelsSettings,
) -> (Router, Sockets) {
    let channels = Channels::new(desk, accounts, limits, settings);
    let sockets = channels.sockets.clone();
    let storefront = Storefront::start(channels.clone());
    let rooms = Router::new().route("/ws/chat/{room}/", get(room)).merge(storefront::routes()).with_state(storefront);
    let others = drivecash::routes().merge(media::routes()).with_state(channels);
    (rooms.merge(others).method_not_allowed_fallback(reply::method_not_allowed), sockets)
}

/// Deletes the remains of interrupted uploads, now and every hour.
pub async fn clean_up(settings: ChannelsSettings, clock: Arc<dyn Clock>) {
    loop {
        if let Err(error) = drivecash::upload::sweep(&settings.files, clock.now()).await {
            tracing::warn!(%error, "Could not clean up the attachments folder");
        }
        tokio::time::sleep(CLEAN_UP_INTERVAL).await;
    }
}

/// What a page of the portal requests while it does not know the number of its room yet.
const NO_ROOM: [&str; 3] = ["undefined", "null", "NaN"];

/// `/ws/chat/{room}/`: digits are a room of the portal, anything else one of the storefront.
///
/// A page of the portal may request a room before it knows its number. The handshake must be rejected, as for any other room that
/// the page may not enter: after an accepted handshake it would reconnect every second.
async fn room(State(storefront): State<Storefront>, Path(room): Path<String>, request: Request) -> Response {
    if NO_ROOM.contains(&room.as_str()) || (!room.is_empty() && room.bytes().all(|byte| byte.is_ascii_digit())) {
        drivecash::room(storefront.channels, &room, request).await
    } else {
        storefront::room(storefront, &room, request).await
    }
}
