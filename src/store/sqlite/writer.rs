//! The writer thread. All waiting jobs share one transaction, and so one sync.

use rusqlite::Connection;
use std::thread;
use tokio::sync::{mpsc, oneshot};

use super::append::{Appender, NO_TRANSACTION};
use super::checkpoint::RestIsDue;
use crate::domain::{Draft, Seq};
use crate::store::{AppendError, Appended, StoreError};
use crate::supervise::essential_thread;

/// How many jobs the queue holds. Callers wait while it is full.
const QUEUE: usize = 1024;

/// How many jobs share a commit at most, which limits how long the first of them waits.
const BATCH: usize = 256;

/// Sends a result after the commit, or its error if it failed.
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

enum Job {
    Append {
        drafts: Vec<Draft>,
        answer: oneshot::Sender<Vec<Result<Appended, AppendError>>>,
    },
    /// Any other change: runs inside the transaction, and answers after it.
    Change(Box<dyn FnOnce(&Connection) -> Reply + Send>),
}

pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
}

impl Writer {
    pub(super) fn start(connection: Connection, rest: RestIsDue) -> Result<Self, StoreError> {
        let (jobs, waiting) = mpsc::channel(QUEUE);
        let run = move || essential_thread("database writer", || write_until_closed(&connection, &rest, waiting));
        let spawned = thread::Builder::new().name("sqlite-writer".into()).spawn(run);
        spawned.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { jobs })
    }

    pub(super) async fn append(&self, drafts: Vec<Draft>) -> Vec<Result<Appended, AppendError>> {
        let count = drafts.len();
        let (answer, answered) = oneshot::channel();
        if self.jobs.send(Job::Append { drafts, answer }).await.is_ok()
            && let Ok(results) = answered.await
        {
            return results;
        }
        (0..count).map(|_| Err(closed().into())).collect()
    }

    /// Runs a change on the writer thread. Returns its result once it is durable.
    pub(super) async fn change<T, E, F>(&self, change: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = Job::Change(Box::new(move |connection| {
            let result = in_savepoint(connection, change);
            Box::new(move |committed| {
                // The receiver is gone if the caller was dropped.
                drop(answer.send(committed.map_err(E::from).and(result)));
            })
        }));
        self.jobs.send(job).await.map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}

/// Rolls back a change that fails, without affecting the others of its batch.
fn in_savepoint<T, E: From<StoreError>>(
    connection: &Connection,
    change: impl FnOnce(&Connection) -> Result<T, E>,
) -> Result<T, E> {
    if connection.is_autocommit() {
        return Err(StoreError::Unavailable(NO_TRANSACTION.into()).into());
    }
    let run = |sql| connection.execute_batch(sql).map_err(|error| E::from(StoreError::from(error)));
    run("SAVEPOINT change")?;
    let result = change(connection);
    if !connection.is_autocommit() {
        run(if result.is_ok() { "RELEASE change" } else { "ROLLBACK TO change; RELEASE change" })?;
    }
    result
}

fn write_until_closed(connection: &Connection, rest: &RestIsDue, mut waiting: mpsc::Receiver<Job>) {
    let mut appender = Appender::default();
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.blocking_recv_many(&mut batch, BATCH) > 0 {
        write_batch(connection, &mut appender, batch.drain(..));
        rest.move_rest(connection);
    }
}

fn write_batch(connection: &Connection, appender: &mut Appender, batch: impl Iterator<Item = Job>) {
    let mut replies: Vec<Reply> = Vec::new();
    let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(StoreError::from);
    let begun = begun.and_then(|()| appender.begin(connection));
    for job in batch {
        match job {
            Job::Append { drafts, answer } => {
                let results = match &begun {
                    Ok(()) => drafts.into_iter().map(|draft| appender.append(connection, draft)).collect(),
                    Err(_) => drafts.iter().map(|_| Ok(Appended::Unchanged { end: Seq::ZERO })).collect::<Vec<_>>(),
                };
                replies.push(Box::new(move |committed| drop(answer.send(unless_failed(results, &committed)))));
            }
            Job::Change(change) => replies.push(change(connection)),
        }
    }
    let committed = begun.and_then(|()| appender.finish(connection)).and_then(|()| {
        let mut commit = connection.prepare_cached("COMMIT")?;
        Ok(commit.execute([]).map(drop)?)
    });
    if let Err(error) = &committed {
        tracing::warn!(%error, "Could not commit a batch");
        appender.forget();
        if !connection.is_autocommit()
            && let Err(error) = connection.execute_batch("ROLLBACK")
        {
            tracing::error!(%error, "Could not roll back a failed batch");
        }
    }
    for reply in replies {
        reply(copy(&committed));
    }
}

/// If the commit failed, so did everything in it.
fn unless_failed(
    results: Vec<Result<Appended, AppendError>>,
    committed: &Result<(), StoreError>,
) -> Vec<Result<Appended, AppendError>> {
    match committed {
        Ok(()) => results,
        Err(_) => results.into_iter().map(|_| Err(copy(committed).err().unwrap_or_else(closed).into())).collect(),
    }
}

fn copy(committed: &Result<(), StoreError>) -> Result<(), StoreError> {
    match committed {
        Ok(()) => Ok(()),
        Err(StoreError::Unavailable(why)) => Err(StoreError::Unavailable(why.clone())),
        Err(StoreError::Refused(why)) => Err(StoreError::Refused(why.clone())),
        Err(StoreError::Corrupt(why)) => Err(StoreError::Corrupt(why.clone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DraftKind, Members, MessageBody, MessageId, Seq, Side, Timestamp, UserId};
    use crate::store::sqlite::SqliteStore;
    use crate::store::{ConversationStore, StoreError};

    #[tokio::test]
    async fn nothing_of_a_batch_is_stored_when_sqlite_ends_its_transaction_half_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deskline.db");
        let store = SqliteStore::open(&path).unwrap();
        let ann = UserId::from_bytes([1; 12]);
        let conversation = store.open(Members::Support { customer: ann }, Timestamp::default()).await.unwrap().id;
        let message = || Draft {
            conversation,
            author: ann,
            side: Side::Customer,
            at: Timestamp::default(),
            kind: DraftKind::Message {
                id: MessageId::generate(Timestamp::default()),
                body: MessageBody::parse("hi", 9).unwrap(),
                client_id: None,
                extras: None,
            },
        };
        let append = || {
            let (answer, answered) = oneshot::channel();
            (Job::Append { drafts: vec![message()], answer }, answered)
        };
        let (first, first_answer) = append();
        // SQLite does the same when the disk is full in the middle of a statement.
        let ended = Job::Change(Box::new(|connection| {
            connection.execute_batch("ROLLBACK").unwrap();
            Box::new(|committed: Result<(), StoreError>| assert!(committed.is_err()))
        }));
        let (second, second_answer) = append();
        let (raw, mut appender) = (Connection::open(&path).unwrap(), Appender::default());
        write_batch(&raw, &mut appender, [first, ended, second].into_iter());
        assert!(first_answer.await.unwrap()[0].is_err());
        assert!(second_answer.await.unwrap()[0].is_err());
        assert_eq!(store.entries_after(conversation, Seq::ZERO, 10).await.unwrap(), []);

        let (third, third_answer) = append();
        write_batch(&raw, &mut appender, [third].into_iter());
        let kept = third_answer.await.unwrap().remove(0).unwrap();
        assert!(matches!(kept, Appended::New(entry) if entry.seq == Seq::new(1)));
    }
}
