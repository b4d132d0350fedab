//! The Channels face: plain websockets and REST, for the frontends of two Django Channels products.
//!
//! One server carries both dialects, told apart by how a conversation is named: [`storefront`] by UUID
//! (`/ws/chat/{uuid}/`, `/ws/admin/chat/`), [`drivecash`] by number (`/ws/chat/{digits}/`). What they share: [`socket`] (the
//! handshake and the loop of one websocket), [`live`] (what each one has), [`line`] (what waits to be sent on it), [`caller`] (who asks), [`body`] and
//! [`reply`] (requests), [`stamp`] (times), [`echo`] (an answer comes before its echo).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod body;
mod caller;
mod cookies;
mod drivecash;
mod echo;
mod line;
mod live;
mod media;
mod probe;
mod reply;
mod socket;
mod stamp;
mod storefront;

use crate::accounts::Accounts;
use crate::desk::Desk;
use crate::domain::{Clock, Timestamp};
use crate::net::Heartbeat;
use echo::Echoes;
use storefront::overview::Overviews;

/// What this face can be told to do differently.
#[derive(Debug, Clone)]
pub struct ChannelsSettings {
    /// Everybody may list, read and write every conversation of the storefront, as on the replaced server.
    pub open_public_rooms: bool,
    /// The folder in which attachments are kept.
    pub files: PathBuf,
    /// The most bytes of an attachment.
    pub max_attachment: u64,
    /// The most bytes that one person may store in attachments; `None` for any number.
    pub attachment_quota: Option<u64>,
    /// What the shop's customers see as the name of whoever answers them; without it, the support identity's name.
    pub desk_name: Option<String>,
    /// The origins of the pages that may use it, as browsers name them.
    pub page_origins: Vec<String>,
    /// How clients are asked for signs of life.
    pub heartbeat: Heartbeat,
}

/// What all routes and sockets of this face need.
#[derive(Clone)]
struct Channels {
    desk: Desk,
    accounts: Arc<Accounts>,
    settings: ChannelsSettings,
    echoes: Arc<Echoes>,
    sockets: Sockets,
    overviews: Arc<Overviews>,
}

/// The sockets of this face, to be closed together.
#[derive(Debug, Clone)]
pub struct Sockets {
    tasks: TaskTracker,
    stop: CancellationToken,
    heartbeat: Heartbeat,
}

impl Sockets {
    fn new(heartbeat: Heartbeat) -> Self {
        Self { tasks: TaskTracker::new(), stop: CancellationToken::new(), heartbeat }
    }

    /// Closes all sockets with 1001, and waits until they are.
    pub async fn close(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// How long a proof without an end lasts.
const FOREVER: Timestamp = Timestamp::from_millis(i64::MAX / 2);

/// How long a client is waited for that is to take its leave.
const FAREWELL: Duration = Duration::from_secs(2);

/// All routes of this face. The second value closes its sockets.
pub fn routes(desk: Desk, accounts: Arc<Accounts>, settings: ChannelsSettings) -> (Router, Sockets) {
    let sockets = Sockets::new(settings.heartbeat);
    let overviews = Overviews::start(&desk, &sockets);
    let state = Channels { desk, accounts, settings, echoes: Arc::default(), sockets: sockets.clone(), overviews };
    let router = Router::new()
        .route("/ws/chat/{room}/", get(room))
        .merge(storefront::routes())
        .merge(drivecash::routes())
        .merge(media::routes())
        .method_not_allowed_fallback(reply::wrong_method)
        .with_state(state);
    (router, sockets)
}

/// How often the rests of uploads that were cut short are looked for.
const SWEEP: Duration = Duration::from_hours(1);

/// Deletes the rests of uploads that were cut short by the end of a server, now and then.
pub async fn keep_tidy(settings: ChannelsSettings, clock: Arc<dyn Clock>) {
    loop {
        if let Err(error) = drivecash::upload::sweep(&settings.files, clock.now()).await {
            tracing::warn!(%error, "Could not clean up the attachments folder");
        }
        tokio::time::sleep(SWEEP).await;
    }
}

/// What a page of the portal opens that has no room yet.
const NO_ROOM: [&str; 3] = ["undefined", "null", "NaN"];

/// One path, two dialects: digits are drivecash's, everything else is the storefront's. A page of the portal may ask for a room
/// before it knows its number. It has to be refused in the handshake, like any other room that it may not enter: it comes back
/// every second after an accept.
async fn room(State(channels): State<Channels>, Path(room): Path<String>, request: Request) -> Response {
    if NO_ROOM.contains(&room.as_str()) || (!room.is_empty() && room.bytes().all(|byte| byte.is_ascii_digit())) {
        drivecash::room(channels, &room, request).await
    } else {
        storefront::room(channels, &room, request).await
    }
}
