//! Decode → one desk call → encode: one function per event.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::extract::AckSender;

use super::inbox::Inbound;
use super::wire::{
    Authenticate, Authenticated, ClientEvent, Done, ErrorCode, MessageToSend, NO_TOKEN, Nothing, Problem, event,
};
use super::{Shared, encode, revise};
use crate::accounts::identify::IdentifyError;
use crate::auth::TokenError;
use crate::desk::mark_read::{MarkRead, MarkReadError};
use crate::desk::resume::{ResumeError, Resumed};
use crate::desk::send_message::{SendMessage, SendMessageError, Sent};
use crate::domain::{BodyError, ConversationId, DeskEvent, MessageExtras, Person, Seq, UserId};
use crate::presence::{Connection, Delivery, Frames};

/// The table of what this face hears.
pub(super) async fn handle(connection: &Shared, Inbound { text, ack }: Inbound) {
    let event = match ClientEvent::read(&text) {
        Ok(event) => event,
        Err(problem) => return connection.refuse(ack, &problem),
    };
    // The text may be a slice of a large read buffer, which nothing should keep alive meanwhile.
    drop(text);
    if let ClientEvent::Authenticate(shown) = event {
        return authenticate(connection, shown, ack).await;
    }
    let Some(person) = connection.person() else { return refuse_stranger(connection, &event, ack) };
    match event {
        ClientEvent::Authenticate(_) => {}
        ClientEvent::SendMessage(Ok(message)) => send_message(connection, person, message, ack).await,
        ClientEvent::SendMessage(Err(problem)) => connection.refuse(ack, &problem),
        ClientEvent::EditMessage(Ok(edit)) => revise::edit_message(connection, &person, edit, ack).await,
        ClientEvent::EditMessage(Err(problem)) => connection.refuse(ack, &problem),
        ClientEvent::DeleteMessage(message) => revise::delete_message(connection, &person, message, ack).await,
        ClientEvent::MarkRead(what) => mark_read(connection, &person, what, ack).await,
        ClientEvent::Typing { to, is_typing } => typing(connection, &person, to, is_typing, ack).await,
        ClientEvent::Resume(from) => resume(connection, &person, from, ack).await,
        ClientEvent::Unknown => answer(connection, ack, Err(Problem::new(ErrorCode::Invalid, "Unknown event"))),
    }
}

/// Tells no more than that one has to authenticate, whatever was asked. Only a message is worth an `error`: nothing else is
/// lost. The client is also told that it is not authenticated, since it may believe that it is.
fn refuse_stranger(connection: &Shared, event: &ClientEvent, ack: Option<AckSender>) {
    let problem = Problem::new(ErrorCode::Unauthenticated, "Not authenticated");
    if matches!(event, ClientEvent::SendMessage(_)) {
        connection.refuse(ack, &problem);
        connection.emit(event::AUTHENTICATED, &Authenticated::no(NO_TOKEN));
    } else {
        connection.acknowledge(ack, &problem.as_answer());
    }
}

async fn authenticate(connection: &Shared, shown: Authenticate, ack: Option<AckSender>) {
    let Some(token) = shown.token else {
        connection.rebind(None);
        return deny(connection, ack, ErrorCode::Unauthenticated, NO_TOKEN);
    };
    let who = match connection.desk.authenticate(&token).await {
        Ok(who) => who,
        Err(error) => {
            connection.rebind(None);
            let (code, message) = match error {
                IdentifyError::Token(TokenError::Expired) => (ErrorCode::TokenExpired, "Invalid token"),
                IdentifyError::Token(_) | IdentifyError::Blocked | IdentifyError::Gone => {
                    (ErrorCode::Unauthenticated, "Invalid token")
                }
                IdentifyError::Store(error) => {
                    tracing::warn!(%error, "Could not look up who authenticates");
                    (ErrorCode::StorageUnavailable, "Server error")
                }
            };
            return deny(connection, ack, code, message);
        }
    };
    let is_new = connection.rebind(Some(&who.person));
    let yes = Authenticated::yes(&who.person);
    connection.emit(event::AUTHENTICATED, &yes);
    connection.acknowledge(ack, &Done::with(yes));
    let port: Arc<dyn Connection> = connection.clone();
    let is_there =
        if is_new { connection.desk.connect(&who, &port).await } else { connection.desk.renew(&who, &port).await };
    if !is_there {
        return;
    }
    connection.desk.tell_who_is_there(&who.person, &port).await;
    if !is_new {
        return;
    }
    if !shown.catch_up {
        connection.desk.skip_catch_up(&who.person, &port).await;
    } else if let Err(error) = connection.desk.catch_up(&who.person, &port).await {
        tracing::warn!(%error, user.id = %who.person.id, "A connection could not be caught up");
    }
}

fn deny(connection: &Shared, ack: Option<AckSender>, code: ErrorCode, message: &'static str) {
    connection.emit(event::AUTHENTICATED, &Authenticated::no(message));
    connection.acknowledge(ack, &Problem::new(code, message).as_answer());
}

async fn send_message(connection: &Shared, author: Arc<Person>, message: MessageToSend, ack: Option<AckSender>) {
    let MessageToSend { to, text, client_id } = message;
    let (origin, extras) = (Some(connection.id()), MessageExtras::default());
    let ask = SendMessage { author: author.clone(), to, text, client_id, origin, extras };
    let answered = connection.clone();
    let answer = move |outcome: Result<Sent, SendMessageError>| match outcome {
        Ok(sent) => {
            if sent.is_repeat && sent.told.is_message() {
                confirm_again(&answered, &author, &sent);
            }
            answered.acknowledge(ack, &Done::with(SentBody::from(&sent)));
        }
        Err(error) => answered.refuse(ack, &Problem::from(error)),
    };
    connection.desk.send_message(ask, Box::new(answer)).await;
}

/// A retry is answered as the first time, and told to no one else.
fn confirm_again(connection: &Shared, author: &Arc<Person>, sent: &Sent) {
    let event = DeskEvent::Entry(sent.told.clone());
    let frames = Frames::default();
    connection.send(&Delivery { event: &event, viewer: author, is_replay: false, frames: &frames });
}

/// The answer to `send-message`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SentBody {
    message_id: Option<String>,
    conversation_id: String,
    seq: u64,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_message_id: Option<String>,
}

impl From<&Sent> for SentBody {
    fn from(sent: &Sent) -> Self {
        let entry = &sent.told.entry;
        let client_id = entry.message().and_then(|message| message.client_id.as_ref());
        Self {
            message_id: entry.message().map(|message| message.id.to_string()),
            conversation_id: entry.conversation.to_string(),
            seq: entry.seq.get(),
            created_at: entry.at.to_string(),
            client_message_id: client_id.map(|id| id.as_str().to_owned()),
        }
    }
}

async fn mark_read(connection: &Shared, reader: &Arc<Person>, what: Option<MarkRead>, ack: Option<AckSender>) {
    let Some(what) = what else {
        return answer(connection, ack, Err(Problem::new(ErrorCode::Invalid, "Sender ID is required")));
    };
    let marked = connection.desk.mark_read(reader, what, Some(connection.id())).await;
    answer(connection, ack, marked.map_err(Problem::from));
}

async fn typing(
    connection: &Shared,
    typist: &Arc<Person>,
    to: Option<UserId>,
    is_typing: bool,
    ack: Option<AckSender>,
) {
    let Some(to) = to else {
        return answer(connection, ack, Err(Problem::new(ErrorCode::Invalid, "Receiver ID is required")));
    };
    let desk = &connection.desk;
    let told = if is_typing {
        desk.start_typing(typist, to, Some(connection.id())).await
    } else {
        desk.stop_typing(typist, to).await
    };
    answer(connection, ack, told.map_err(|error| unavailable(&error)));
}

async fn resume(
    connection: &Shared,
    person: &Arc<Person>,
    from: Option<BTreeMap<ConversationId, Seq>>,
    ack: Option<AckSender>,
) {
    let Some(from) = from else {
        let problem = Problem::new(ErrorCode::Invalid, "conversations must map ids to the last seq of each");
        return connection.refuse(ack, &problem);
    };
    let resumed = match connection.desk.resume(person, from).await {
        Ok(resumed) => resumed,
        Err(ResumeError::TooMany) => {
            return connection.refuse(ack, &Problem::new(ErrorCode::TooLarge, "Too many conversations at once"));
        }
        Err(ResumeError::Store(error)) => return connection.refuse(ack, &unavailable(&error)),
    };
    let conversations: Option<BTreeMap<String, ResumedBody>> = resumed
        .into_iter()
        .map(|(id, part)| ResumedBody::encode(part, person).ok().map(|body| (id.to_string(), body)))
        .collect();
    connection.acknowledge(ack, &Done::with(ResumeBody { conversations: conversations.unwrap_or_default() }));
}

/// The answer to `resume`.
#[derive(Serialize)]
struct ResumeBody {
    conversations: BTreeMap<String, ResumedBody>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ResumedBody {
    #[serde(rename_all = "camelCase")]
    Entries {
        entries: Vec<Box<RawValue>>,
        last_seq: u64,
        has_more: bool,
    },
    #[serde(rename_all = "camelCase")]
    Resync {
        code: &'static str,
        last_seq: u64,
    },
    NotFound {
        code: &'static str,
    },
}

impl ResumedBody {
    fn encode(part: Option<Resumed>, viewer: &Person) -> serde_json::Result<Self> {
        let Some(part) = part else { return Ok(Self::NotFound { code: "not_found" }) };
        let last_seq = part.last_seq.get();
        if part.must_resync {
            return Ok(Self::Resync { code: "resync_required", last_seq });
        }
        let entries = part.entries.iter().map(|told| encode::encode_for_resume(told, viewer));
        Ok(Self::Entries { entries: entries.collect::<Result<_, _>>()?, last_seq, has_more: part.has_more })
    }
}

/// Answers a client that asked for an answer; one that did not is left alone, as the replaced server did.
fn answer(connection: &Shared, ack: Option<AckSender>, outcome: Result<(), Problem>) {
    match outcome {
        Ok(()) => connection.acknowledge(ack, &Done::with(Nothing {})),
        Err(problem) => connection.acknowledge(ack, &problem.as_answer()),
    }
}

pub(super) fn unavailable(error: &crate::store::StoreError) -> Problem {
    tracing::warn!(%error, "The store failed");
    Problem::new(ErrorCode::StorageUnavailable, "Server error")
}

impl From<SendMessageError> for Problem {
    fn from(error: SendMessageError) -> Self {
        let why = error.to_string();
        match error {
            SendMessageError::Body(BodyError::Blank) => {
                Self::not_sent(ErrorCode::Invalid, "Message validation failed: message: Path `message` is required.")
            }
            SendMessageError::Body(BodyError::TooLong { .. }) => Self::not_sent(ErrorCode::TooLarge, why),
            SendMessageError::Body(BodyError::Nul) => Self::not_sent(ErrorCode::Invalid, why),
            SendMessageError::NoAddressee => Self::not_sent(ErrorCode::NotFound, why),
            SendMessageError::RateLimited(wait) => {
                let retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
                Self { retry_after_ms, ..Self::not_sent(ErrorCode::RateLimited, "too many messages") }
            }
            SendMessageError::Busy => Self::not_sent(ErrorCode::Busy, why),
            SendMessageError::ShuttingDown => Self::not_sent(ErrorCode::ShuttingDown, why),
            SendMessageError::Store(_) => {
                Self::not_sent(ErrorCode::StorageUnavailable, "the message could not be kept")
            }
        }
    }
}

impl From<MarkReadError> for Problem {
    fn from(error: MarkReadError) -> Self {
        match error {
            MarkReadError::NotFound => Self::new(ErrorCode::NotFound, "Nothing there to read"),
            MarkReadError::NotKept(error) => error.into(),
            MarkReadError::Store(error) => unavailable(&error),
        }
    }
}
