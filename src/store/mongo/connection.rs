//! What all calls to the server share: write concern, deadlines, and the meaning of errors.

use std::time::Duration;

use mongodb::error::{Error, ErrorKind, WriteFailure};
use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, WriteConcern};
use mongodb::{Client, Database};

use crate::store::StoreError;

/// Timeout of a call of the port.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);

/// How long a call waits for an available server, unless the URI sets it. Shorter than [`DEADLINE`], because queued
/// calls fail one after the other while no server is available. Senders get an error if an election takes longer.
const SELECTION: Duration = Duration::from_secs(2);

/// Connections to each server, unless the URI sets it.
const POOL: u32 = 32;

/// Longest error text of the driver that is passed on, in characters.
const MOST_SAID: usize = 300;

/// The server's code for a second document under one unique key.
const DUPLICATE_KEY: i32 = 11000;

pub(super) async fn connect(uri: &str, default_database: &str) -> Result<Database, StoreError> {
    let options = options(uri).await?;
    let name = options.default_database.clone().unwrap_or_else(|| default_database.to_owned());
    Ok(Client::with_options(options)?.database(&name))
}

pub(super) async fn options(uri: &str) -> Result<ClientOptions, StoreError> {
    let options = within(async { Ok::<_, StoreError>(ClientOptions::parse(uri).await?) });
    let mut options = options.await?;
    options.app_name.get_or_insert_with(|| "deskline".into());
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.connect_timeout.get_or_insert(DEADLINE);
    options.max_pool_size.get_or_insert(POOL);
    options.retry_writes = Some(true);
    // The URI cannot weaken it: acknowledged entries must survive the loss of any one server.
    options.write_concern = Some(write_concern());
    // Likewise: data that a failover could roll back is shown to nobody.
    options.read_concern = Some(ReadConcern::majority());
    Ok(options)
}

pub(super) fn write_concern() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(DEADLINE).build()
}

/// Fails after [`DEADLINE`].
pub(super) async fn within<T, E: From<StoreError>>(work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    match tokio::time::timeout(DEADLINE, work).await {
        Ok(result) => result,
        Err(_) => Err(late().into()),
    }
}

/// The error text while no server is available.
pub(super) const UNREACHABLE: &str = "no MongoDB server can be reached, or none of them can be written to; see that it runs at the \
                                      address of --mongodb-uri";

pub(super) fn late() -> StoreError {
    StoreError::Unavailable("no answer from MongoDB in time".into())
}

/// A copy of an error, for another caller that waits for the same call.
pub(super) fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Unavailable(why) => StoreError::Unavailable(why.clone()),
        StoreError::Refused(why) => StoreError::Refused(why.clone()),
        StoreError::Corrupt(why) => StoreError::Corrupt(why.clone()),
    }
}

/// Whether a write of one document failed because another has its unique key.
pub(super) fn is_duplicate(error: &Error) -> bool {
    match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(error)) => error.code == DUPLICATE_KEY,
        ErrorKind::Command(error) => error.code == DUPLICATE_KEY,
        _ => false,
    }
}

/// The index at which an ordered insert met a duplicate: the documents before it were inserted, it and the rest were
/// not. `None` if the insert failed for another reason, so that its result is unknown.
pub(super) fn stopped_by_duplicate(error: &Error) -> Option<usize> {
    let ErrorKind::InsertMany(error) = error.kind.as_ref() else { return None };
    if error.write_concern_error.is_some() {
        return None;
    }
    let first = error.write_errors.as_ref()?.first()?;
    (first.code == DUPLICATE_KEY).then_some(first.index)
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match error.kind.as_ref() {
            ErrorKind::Bson(_) | ErrorKind::BsonDeserialization(_) | ErrorKind::InvalidResponse { .. } => {
                Self::Corrupt(error.to_string())
            }
            ErrorKind::InvalidArgument { .. }
            | ErrorKind::Authentication { .. }
            | ErrorKind::InvalidTlsConfig { .. } => Self::Refused(error.kind.to_string()),
            // The driver's text is a dump of its view of all servers.
            ErrorKind::ServerSelection { .. } => Self::Unavailable(UNREACHABLE.into()),
            // These texts can contain keys, and so addresses and client message ids.
            ErrorKind::InsertMany(_) => Self::Unavailable("an insert was not confirmed".into()),
            ErrorKind::Write(WriteFailure::WriteError(error)) => {
                Self::Unavailable(format!("a write was refused with code {}", error.code))
            }
            // The driver may append whole responses of servers.
            _ => Self::Unavailable(error.kind.to_string().chars().take(MOST_SAID).collect()),
        }
    }
}
