//! What the storefront and the portal share: plain websockets and REST in the manner of Django Channels and Django REST framework.
//!
//! * [`socket`]: the handshake and the loop of one websocket; [`client`]: its state; [`send_queue`]: what is queued for it;
//!   [`probe`]: pings that show what it has received;
//! * [`caller`]: who makes a request; [`body`] and [`reply`]: what it carries and how it is answered;
//! * [`response_first`]: a response is sent before the events that its request caused;
//! * [`media`]: attachments; [`new_password`]: Django's bounds on passwords; [`timestamps`]: times in Django's format.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub(super) mod body;
pub(super) mod caller;
pub(super) mod client;
pub(super) mod media;
pub(super) mod new_password;
mod probe;
pub(super) mod reply;
mod response_first;
pub(super) mod send_queue;
pub(super) mod socket;
pub(super) mod timestamps;

use crate::accounts::Accounts;
use crate::desk::Desk;
use crate::desk::messages::{Addressee, SendMessage};
use crate::domain::{ConnectionId, ConversationId, MessageExtras, Person, Timestamp};
use crate::limits::Limits;
use crate::net::Heartbeat;
use response_first::PendingResponses;

/// Settings of the storefront and the portal.
#[derive(Debug, Clone)]
pub struct ChannelsSettings {
    /// Anybody may list, read and write all conversations of the storefront, as on the replaced server.
    pub open_public_rooms: bool,
    /// Folder for attachments.
    pub files: PathBuf,
    /// Largest attachment, in bytes.
    pub max_attachment: u64,
    /// Bytes that one person may store in attachments; `None` for no limit.
    pub attachment_quota: Option<u64>,
    /// Name that the storefront's customers see on answers; `None` for the name of the support identity.
    pub desk_name: Option<String>,
    /// Origins of the pages that may use the server, in the form of the `Origin` header.
    pub page_origins: Vec<String>,
    /// Heartbeat of the websockets.
    pub heartbeat: Heartbeat,
}

/// What the routes and sockets of both dialects need.
#[derive(Clone)]
pub(super) struct Channels {
    pub(super) desk: Desk,
    pub(super) accounts: Arc<Accounts>,
    pub(super) limits: Arc<Limits>,
    pub(super) settings: ChannelsSettings,
    pub(super) pending_responses: Arc<PendingResponses>,
    pub(super) sockets: Sockets,
}

impl Channels {
    pub(super) fn new(desk: Desk, accounts: Arc<Accounts>, limits: Arc<Limits>, settings: ChannelsSettings) -> Self {
        let sockets = Sockets::new(settings.heartbeat);
        Self { desk, accounts, limits, settings, pending_responses: Arc::default(), sockets }
    }
}

/// A message of this person to a conversation. `origin`: the connection or the request that it came from.
pub(super) fn message(
    author: Arc<Person>,
    conversation: ConversationId,
    text: String,
    origin: ConnectionId,
) -> SendMessage {
    SendMessage {
        author,
        to: Addressee::Conversation(conversation),
        text,
        client_id: None,
        origin: Some(origin),
        extras: MessageExtras::default(),
    }
}

/// The websockets of both dialects, to be closed together.
#[derive(Debug, Clone)]
pub struct Sockets {
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
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

/// Expiry of an identity that does not expire.
pub(super) const FOREVER: Timestamp = Timestamp::from_millis(i64::MAX / 2);

/// How long to wait for the close frame of a client.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
