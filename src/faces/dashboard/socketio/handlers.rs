//! Handles events: decode, one call of the desk, encode. One function per event.

use std::sync::Arc;

use serde::Serialize;
use socketioxide::extract::AckSender;

use super::inbox::Inbound;
use super::page::Returning;
use super::{Shared, denials, resume, revise, unknown};
use crate::accounts::identify::IdentifyError;
use crate::auth::TokenError;
use crate::desk::delivery::AcknowledgeError;
use crate::desk::delivery::Begun;
use crate::desk::messages::{MarkRead, MarkReadError};
use crate::desk::messages::{SendMessage, SendMessageError, Sent};
use crate::domain::{BodyError, ConversationId, DeskEvent, MessageExtras, MessageStatus, Person, Place, Seq, UserId};
use crate::faces::dashboard::wire::{
    Authenticate, Authenticated, ClientEvent, Done, ErrorCode, Identity, MessageToSend, NO_TOKEN, Nothing, Problem,
};
use crate::limits::Paced;
use crate::presence::{Connection, Frames, Outgoing};
use crate::store::StoreError;

/// Handles one event.
pub(super) async fn handle(connection: &Shared, Inbound { text, ack }: Inbound) {
    let event = match ClientEvent::read(&text) {
        Ok(event) => event,
        Err(problem) => return connection.refuse(ack, &problem),
    };
    // The text may be a slice of a large read buffer, which is freed here.
    drop(text);
    if let ClientEvent::Unknown(name) = &event {
        unknown::note(name);
    }
    if let ClientEvent::Authenticate(request) = event {
        return authenticate(connection, request, ack).await;
    }
    let Some(person) = connection.person() else { return refuse_unauthenticated(connection, &event, ack) };
    match event {
        ClientEvent::Authenticate(_) => {}
        ClientEvent::SendMessage(Ok(message)) => send_message(connection, person, message, ack).await,
        ClientEvent::SendMessage(Err(problem)) | ClientEvent::EditMessage(Err(problem)) => {
            connection.refuse(ack, &problem);
        }
        ClientEvent::EditMessage(Ok(edit)) => revise::edit_message(connection, &person, edit, ack).await,
        ClientEvent::DeleteMessage(message) => revise::delete_message(connection, &person, message, ack).await,
        ClientEvent::Received(what) => received(connection, &person, what, ack).await,
        ClientEvent::MarkRead(what) => mark_read(connection, &person, what, ack).await,
        ClientEvent::Typing { to, is_typing } => typing(connection, &person, to, is_typing, ack).await,
        ClientEvent::Resume(from) => match connection.pace.take(Paced::Resume) {
            Ok(()) => resume::resume(connection, &person, from, ack).await,
            Err(limited) => connection.refuse(ack, &Problem::limited(limited, "Too many requests")),
        },
        ClientEvent::Unknown(_) => acknowledge(connection, ack, Err(Problem::new(ErrorCode::Invalid, "Unknown event"))),
    }
}

/// Rejects an event of a client that is not authenticated. An `error` event is sent only for a message: nothing else is lost. The
/// client is also reminded that it is not authenticated, since it may believe that it is.
fn refuse_unauthenticated(connection: &Shared, event: &ClientEvent, ack: Option<AckSender>) {
    let problem = Problem::new(ErrorCode::Unauthenticated, "Not authenticated");
    if matches!(event, ClientEvent::SendMessage(_)) {
        connection.refuse(ack, &problem);
        denials::remind(connection);
    } else {
        connection.decline(ack, &problem);
    }
}

async fn authenticate(connection: &Shared, request: Authenticate, ack: Option<AckSender>) {
    // Without `authenticated {success: false}`: the connection keeps the person that it had.
    if let Err(limited) = connection.pace.take(Paced::Authenticate) {
        return connection.refuse(ack, &Problem::limited(limited, "Too many attempts"));
    }
    let Some(token) = request.token else {
        connection.rebind(None);
        return deny(connection, ack, &Problem::new(ErrorCode::Unauthenticated, NO_TOKEN));
    };
    let who = match connection.desk.attendance.authenticate(&token).await {
        Ok(who) => who,
        Err(error) => {
            connection.rebind(None);
            let problem = match error {
                IdentifyError::Banned(banned) => Problem::banned(banned),
                IdentifyError::Token(TokenError::Expired) => Problem::new(ErrorCode::TokenExpired, "Invalid token"),
                IdentifyError::Token(_) | IdentifyError::Blocked | IdentifyError::Gone => {
                    Problem::new(ErrorCode::Unauthenticated, "Invalid token")
                }
                IdentifyError::Store(error) => {
                    tracing::warn!(%error, "Could not read the account of an authenticating client");
                    Problem::new(ErrorCode::StorageUnavailable, "Server error")
                }
            };
            return deny(connection, ack, &problem);
        }
    };
    let is_new = connection.rebind(Some(&who.person));
    connection.claim();
    connection.want_receipts(request.receipts);
    if let Some(page) = connection.page_id()
        && let Some(binding) = connection.desk.attendance.bind_page(&page, &who)
    {
        connection.bind_page(binding);
    }
    connection.emit_authenticated(&Authenticated::yes(&who.person));
    connection.acknowledge(ack, &Done::with(Identity::from(&*who.person)));
    let port: Arc<dyn Connection> = connection.clone();
    let desk = &connection.desk;
    let begun = if is_new && request.catch_up {
        Some(desk.attendance.connect(&who, &port).await)
    } else {
        desk.attendance.connect_live(&who, &port).await;
        None
    };
    if !connection.is_connected_to(&who.person) {
        return;
    }
    desk.announcements.send_snapshot(&who.person, &port).await;
    if is_new {
        desk.announcements.announce_absences_later(&who.person, &port);
    }
    match begun {
        Some(begun) => start_catch_up(connection, &who.person, begun).await,
        None if is_new => {
            if let Some(number) = desk.delivery.published_up_to().await {
                port.caught_up(Place::InAll(number));
            }
        }
        None => {}
    }
}

/// Catches up in the background if older connections must answer first, so that later events of the client are not delayed.
async fn start_catch_up(connection: &Shared, person: &Arc<Person>, begun: Begun) {
    if begun.is_unsettled() {
        let (connection, person) = (connection.clone(), person.clone());
        tokio::spawn(async move { catch_up(&connection, &person, begun).await });
    } else {
        catch_up(connection, person, begun).await;
    }
}

async fn catch_up(connection: &Shared, person: &Arc<Person>, begun: Begun) {
    if let Err(error) = connection.desk.delivery.catch_up(person, begun).await {
        fail_catch_up(connection, person, &error);
    }
}

fn fail_catch_up(connection: &Shared, person: &Person, error: &StoreError) {
    tracing::debug!(%error, user.id = %person.id, "Could not replay missed messages to a connection");
    connection.give_up();
}

/// Recovers a page that has reconnected.
pub(super) async fn recover(connection: &Shared, returning: Returning) {
    let Returning { who, place, .. } = &returning;
    connection.rebind(Some(&who.person));
    connection.claim();
    connection.resume_page(&returning);
    connection.emit_authenticated(&Authenticated::yes(&who.person));
    let (desk, port): (_, Arc<dyn Connection>) = (&connection.desk, connection.clone());
    desk.attendance.retire_page(&who.person, &*port, place.is_some());
    let begun = match place {
        Some(_) => desk.attendance.reconnect(who, &port).await,
        None => desk.attendance.connect(who, &port).await,
    };
    if !connection.is_connected_to(&who.person) {
        return;
    }
    desk.announcements.send_snapshot(&who.person, &port).await;
    desk.announcements.announce_absences_later(&who.person, &port);
    let Some(place) = place else { return start_catch_up(connection, &who.person, begun).await };
    if let Err(error) = desk.delivery.replay_since(&who.person, begun, *place).await {
        fail_catch_up(connection, &who.person, &error);
    }
}

fn deny(connection: &Shared, ack: Option<AckSender>, problem: &Problem) {
    denials::deny(connection, problem.message);
    connection.acknowledge(ack, &problem.as_acknowledgement());
}

async fn send_message(connection: &Shared, author: Arc<Person>, message: MessageToSend, ack: Option<AckSender>) {
    let MessageToSend { to, text, client_id } = message;
    let (origin, extras) = (Some(connection.id()), MessageExtras::default());
    let ask = SendMessage { author: author.clone(), to, text, client_id, origin, extras };
    let origin_connection = connection.clone();
    let respond = move |outcome: Result<Sent, SendMessageError>| match outcome {
        Ok(sent) => {
            if sent.is_repeat && sent.event.is_message() {
                resend(&origin_connection, &author, &sent);
            }
            origin_connection.acknowledge(ack, &Done::with(SentBody::from(&sent)));
        }
        Err(error) => origin_connection.refuse(ack, &Problem::from(error)),
    };
    connection.desk.messages.send(ask, respond).await;
}

/// Sends a message to its author's connection again after a retry, and to nobody else.
fn resend(connection: &Shared, author: &Arc<Person>, sent: &Sent) {
    let event = DeskEvent::Entry(sent.event.clone());
    let frames = Frames::default();
    connection.send(&Outgoing { event: &event, viewer: author, is_replay: false, frames: &frames });
}

/// The acknowledgement of `send-message`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SentBody {
    message_id: Option<String>,
    conversation_id: String,
    seq: u64,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
    /// Always `stored`, even if the message has been delivered by now.
    status: &'static str,
}

impl From<&Sent> for SentBody {
    fn from(sent: &Sent) -> Self {
        let entry = &sent.event.entry;
        let client_id = entry.message().and_then(|message| message.client_id.as_ref());
        Self {
            message_id: entry.message().map(|message| message.id.to_string()),
            conversation_id: entry.conversation.to_string(),
            seq: entry.seq.get(),
            created_at: entry.at.to_string(),
            client_message_id: client_id.map(|id| id.as_str().to_owned()),
            status: MessageStatus::Stored.word(),
        }
    }
}

async fn received(connection: &Shared, person: &Person, what: Option<(ConversationId, Seq)>, ack: Option<AckSender>) {
    let Some((conversation, up_to)) = what else {
        let problem = Problem::new(ErrorCode::Invalid, "conversationId and seq are required");
        return acknowledge(connection, ack, Err(problem));
    };
    let outcome = connection.desk.delivery.acknowledge(person, conversation, up_to).await;
    acknowledge(connection, ack, outcome.map_err(Problem::from));
}

async fn mark_read(connection: &Shared, reader: &Arc<Person>, what: Option<MarkRead>, ack: Option<AckSender>) {
    let Some(what) = what else {
        return acknowledge(connection, ack, Err(Problem::new(ErrorCode::Invalid, "Sender ID is required")));
    };
    let marked = connection.desk.messages.mark_read(reader, what, Some(connection.id())).await;
    acknowledge(connection, ack, marked.map_err(Problem::from));
}

async fn typing(
    connection: &Shared,
    typist: &Arc<Person>,
    to: Option<UserId>,
    is_typing: bool,
    ack: Option<AckSender>,
) {
    let Some(to) = to else {
        return acknowledge(connection, ack, Err(Problem::new(ErrorCode::Invalid, "Receiver ID is required")));
    };
    if let Err(limited) = connection.pace.take(Paced::Typing) {
        return acknowledge(connection, ack, Err(Problem::limited(limited, "Too many requests")));
    }
    let desk = &connection.desk;
    let outcome = if is_typing {
        desk.typing.start(typist, to, Some(connection.id())).await
    } else {
        desk.typing.stop(typist, to, Some(connection.id())).await
    };
    acknowledge(connection, ack, outcome.map_err(|error| unavailable(&error)));
}

/// Acknowledges an event. A client that asked for no acknowledgement is sent nothing, as by the replaced server.
fn acknowledge(connection: &Shared, ack: Option<AckSender>, outcome: Result<(), Problem>) {
    match outcome {
        Ok(()) => connection.acknowledge(ack, &Done::with(Nothing {})),
        Err(problem) => connection.decline(ack, &problem),
    }
}

pub(super) fn unavailable(error: &StoreError) -> Problem {
    tracing::warn!(%error, "A request failed: store error");
    Problem::new(ErrorCode::StorageUnavailable, "Server error")
}

impl From<SendMessageError> for Problem {
    fn from(error: SendMessageError) -> Self {
        let why = error.to_string();
        let retry_after_ms = error.retry_after().map(|limited| limited.retry_after_ms());
        match error {
            SendMessageError::Body(BodyError::Blank) => {
                Self::not_sent(ErrorCode::Invalid, "Message validation failed: message: Path `message` is required.")
            }
            SendMessageError::Body(BodyError::TooLong { .. }) => Self::not_sent(ErrorCode::TooLarge, why),
            SendMessageError::Body(BodyError::Nul) => Self::not_sent(ErrorCode::Invalid, why),
            SendMessageError::NoAddressee => Self::not_sent(ErrorCode::NotFound, why),
            SendMessageError::RateLimited(_) => {
                Self { retry_after_ms, ..Self::not_sent(ErrorCode::RateLimited, "too many messages") }
            }
            SendMessageError::Busy => Self { retry_after_ms, ..Self::not_sent(ErrorCode::Busy, why) },
            SendMessageError::ShuttingDown => Self::not_sent(ErrorCode::ShuttingDown, why),
            SendMessageError::Store(_) => {
                Self::not_sent(ErrorCode::StorageUnavailable, "the message could not be stored")
            }
        }
    }
}

impl From<AcknowledgeError> for Problem {
    fn from(error: AcknowledgeError) -> Self {
        match error {
            AcknowledgeError::NotFound => Self::new(ErrorCode::NotFound, "No such conversation"),
            AcknowledgeError::Store(error) => unavailable(&error),
        }
    }
}

impl From<MarkReadError> for Problem {
    fn from(error: MarkReadError) -> Self {
        match error {
            MarkReadError::NotFound => Self::new(ErrorCode::NotFound, "There are no messages to mark as read"),
            MarkReadError::Append(error) => error.into(),
            MarkReadError::Store(error) => unavailable(&error),
        }
    }
}
