//! Maintenance of the file, on a separate connection, so that a server's writer treats it like another process.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior, params};

use super::rows::{self, select_entry, summary_columns, user_columns};
use super::{codes, desk_ids, extras, google_ids, revisions, sessions};
use crate::domain::{
    ClientMessageId, Conversation, ConversationId, DeskId, Email, Entry, EntryKind, Members, MessageExtras, MessageId,
    Seq, Summary, User, UserId,
};
use crate::store::maintenance::news;
use crate::store::{DeliveredCursor, MAX_PAGE, Maintenance, MalformedRecord, RestoreError, StoreError};

/// A connection for maintenance.
pub(super) struct SqliteMaintenance(Arc<Mutex<Connection>>);

impl SqliteMaintenance {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Mutex::new(super::connect(path)?))))
    }

    /// Reads from one snapshot. Neither waits for writers nor delays them.
    async fn read<T, E>(&self, work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.run(TransactionBehavior::Deferred, work).await
    }

    /// Runs a change in a transaction during which no other connection can write.
    async fn change<T, E>(&self, work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.run(TransactionBehavior::Immediate, work).await
    }

    /// Runs this in one transaction, on a blocking thread.
    async fn run<T, E>(
        &self,
        behavior: TransactionBehavior,
        work: impl FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let connection = self.0.clone();
        let task = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock();
            let begun = connection.transaction_with_behavior(behavior);
            let transaction = begun.map_err(StoreError::from)?;
            let done = work(&transaction)?;
            transaction.commit().map_err(StoreError::from)?;
            Ok(done)
        });
        task.await.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

#[async_trait]
impl Maintenance for SqliteMaintenance {
    async fn users_after(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError> {
        let read = move |connection: &Connection| {
            let sql = concat!("SELECT ", user_columns!(), " FROM users WHERE id > ?1 ORDER BY id LIMIT ?2");
            let mut select = connection.prepare_cached(sql)?;
            let after = after.as_ref().map_or(&[][..], |after| after.bytes());
            let users = select.query_map(params![after, limit.min(MAX_PAGE)], rows::user)?;
            Ok(users.collect::<Result<_, _>>()?)
        };
        self.read(read).await
    }

    async fn conversations_after(
        &self,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<Summary>, StoreError> {
        let read = move |connection: &Connection| {
            let sql =
                concat!("SELECT ", summary_columns!(), " FROM conversations c WHERE c.id > ?1 ORDER BY c.id LIMIT ?2");
            let mut select = connection.prepare_cached(sql)?;
            let after = after.as_ref().map_or(&[][..], |after| after.bytes());
            let summaries = select.query_map(params![after, limit.min(MAX_PAGE)], rows::summary_of)?;
            Ok(summaries.collect::<Result<_, _>>()?)
        };
        self.read(read).await
    }

    async fn delivered_after(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<DeliveredCursor>, StoreError> {
        let read = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "SELECT c.id, d.up_to FROM delivered d JOIN conversations c ON c.number = d.conversation
                 WHERE d.user = ?1 AND d.conversation > coalesce((SELECT number FROM conversations WHERE id = ?2), 0)
                 ORDER BY d.conversation LIMIT ?3",
            )?;
            let after = after.as_ref().map(ConversationId::bytes);
            let marks = select.query_map(params![user.bytes(), after, limit.min(MAX_PAGE)], |row| {
                let conversation = ConversationId::from_bytes(row.get(0)?);
                Ok(DeliveredCursor { conversation, user, up_to: Seq::new(row.get(1)?) })
            })?;
            Ok(marks.collect::<Result<_, _>>()?)
        };
        self.read(read).await
    }

    async fn malformed_records(&self, _: &mut (dyn FnMut(MalformedRecord) + Send)) -> Result<(), StoreError> {
        Ok(())
    }

    async fn google_ids(&self, users: &[UserId]) -> Result<Vec<(UserId, String)>, StoreError> {
        let users = users.to_vec();
        self.read(move |connection| google_ids::of(connection, &users)).await
    }

    async fn fresh_conversation_number(&self) -> Result<u64, StoreError> {
        let read = |connection: &Connection| {
            let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'conversations'), 0) + 1";
            Ok(connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?)
        };
        self.read(read).await
    }

    async fn restore_user(&self, user: User) -> Result<bool, RestoreError> {
        self.change(move |connection| insert_user(connection, &user)).await
    }

    async fn add_desk_id(&self, id: DeskId) -> Result<(), StoreError> {
        self.change(move |connection| desk_ids::add(connection, id)).await
    }

    async fn restore_google_id(&self, user: UserId, google_id: &str) -> Result<(), StoreError> {
        let google_id = google_id.to_owned();
        self.change(move |connection| google_ids::note(connection, user, &google_id)).await
    }

    async fn restore(&self, conversation: Conversation, entries: Vec<Entry>) -> Result<u64, RestoreError> {
        self.change(move |connection| restore(connection, conversation, entries)).await
    }

    async fn repair(&self, wrong: &Summary, right: &Summary) -> Result<bool, StoreError> {
        let (wrong, right) = (wrong.clone(), right.clone());
        let repair = move |connection: &Connection| {
            let kept = rows::summary(connection, wrong.conversation.id)?;
            let is_unmoved = kept.is_some_and(|kept| kept.last_seq == wrong.last_seq);
            if is_unmoved {
                rows::update_summary(connection, &right)?;
            }
            Ok(is_unmoved)
        };
        self.change(repair).await
    }

    async fn repair_revision(
        &self,
        id: ConversationId,
        message: Seq,
        wrong: Option<Seq>,
        right: Option<&Entry>,
    ) -> Result<bool, StoreError> {
        let (wrong, right) = (wrong.map(Seq::get), right.map(|entry| entry.seq.get()));
        let repair = move |connection: &Connection| {
            let mut update = connection.prepare_cached(
                "UPDATE entries SET revision = ?4 WHERE seq = ?2 AND revision IS ?3
                     AND conversation = (SELECT number FROM conversations WHERE id = ?1)",
            )?;
            Ok(update.execute(params![id.bytes(), message.get(), wrong, right])? > 0)
        };
        self.change(repair).await
    }

    async fn replace_extras(&self, message: MessageId, extras: MessageExtras) -> Result<(), StoreError> {
        self.change(move |connection| extras::replace(connection, message, &extras)).await
    }

    /// There are none.
    async fn wrong_copies(&self, _: &Summary) -> Result<Vec<Seq>, StoreError> {
        Ok(Vec::new())
    }

    async fn repair_copies(&self, _: &Summary, _: &[Seq]) -> Result<(), StoreError> {
        Ok(())
    }
}

fn insert_user(connection: &Connection, user: &User) -> Result<bool, RestoreError> {
    let mut find = connection.prepare_cached("SELECT 1 FROM users WHERE id = ?1").map_err(StoreError::from)?;
    if find.exists([user.id.bytes()]).map_err(StoreError::from)? {
        return Ok(false);
    }
    let mut insert = connection
        .prepare_cached(
            "INSERT INTO users (number, id, name, email, password_hash, role, status, codes, created_at, updated_at,
                 sessions, username, first_name, last_name, contact_email, phone, birth_date, session)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
        )
        .map_err(StoreError::from)?;
    let inserted = insert.execute(params![
        user.number,
        user.id.bytes(),
        user.name,
        user.email.as_ref().map(Email::as_str),
        user.password_hash,
        user.role.word(),
        user.status.word(),
        codes::written(&user.pending_codes),
        user.created_at.millis(),
        user.updated_at.millis(),
        sessions::written(&user.sessions),
        user.profile.username,
        user.profile.name_parts.as_ref().map(|parts| &parts.first),
        user.profile.name_parts.as_ref().map(|parts| &parts.last),
        user.profile.contact_email,
        user.profile.phone,
        user.profile.birth_date.map(|date| date.to_string()),
        user.profile.session,
    ]);
    inserted.map_err(|error| {
        clash(error, || format!("another account with the number, address, username or session of {}", user.id))
    })?;
    Ok(true)
}

fn restore(connection: &Connection, conversation: Conversation, entries: Vec<Entry>) -> Result<u64, RestoreError> {
    let summary = match rows::summary(connection, conversation.id)? {
        Some(kept) if kept.conversation == conversation => kept,
        Some(_) => return Err(RestoreError::Occupied(format!("conversation {}", conversation.id))),
        None => {
            insert_conversation(connection, &conversation)?;
            Summary::opened(conversation)
        }
    };
    let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Ok(0) };
    let kept = kept_between(connection, &conversation, first.seq, last.seq)?;
    let news = news(&kept, entries, summary.last_seq)?;
    let base = summary.last_seq;
    let mut summary = summary;
    for entry in &news {
        insert_entry(connection, &conversation, entry)?;
        let recount = revisions::recount(connection, &summary, entry)?;
        summary.apply(entry, recount);
    }
    if summary.last_seq > base {
        rows::update_summary(connection, &summary)?;
    }
    Ok(news.len() as u64)
}

fn insert_conversation(connection: &Connection, conversation: &Conversation) -> Result<(), RestoreError> {
    let (customer, peer) = match conversation.members {
        Members::Support { customer } => (customer, None),
        Members::Direct { first, second } => (first, Some(second)),
    };
    let mut insert = connection
        .prepare_cached(
            "INSERT INTO conversations (number, id, uuid, customer, peer, created_at, status, last_seq, updated_at,
                 customer_read, customer_unread, desk_read, desk_unread)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'active', 0, ?6, 0, 0, 0, 0)",
        )
        .map_err(StoreError::from)?;
    let inserted = insert.execute(params![
        conversation.number,
        conversation.id.bytes(),
        conversation.uuid.to_be_bytes(),
        customer.bytes(),
        peer.as_ref().map(UserId::bytes),
        conversation.created_at.millis(),
    ]);
    let what = || format!("another conversation with the number or members of {}", conversation.id);
    inserted.map(drop).map_err(|error| clash(error, what))
}

fn kept_between(
    connection: &Connection,
    conversation: &Conversation,
    first: Seq,
    last: Seq,
) -> Result<Vec<Entry>, StoreError> {
    let mut select =
        connection.prepare_cached(select_entry!("c.id = ?1 AND e.seq BETWEEN ?2 AND ?3 ORDER BY e.seq"))?;
    let entries = select.query_map(params![conversation.id.bytes(), first.get(), last.get()], rows::entry)?;
    Ok(entries.collect::<Result<_, _>>()?)
}

fn insert_entry(connection: &Connection, conversation: &Conversation, entry: &Entry) -> Result<(), RestoreError> {
    let message = entry.message();
    let (word, body, up_to) = match &entry.kind {
        EntryKind::Message(message) => ("message", Some(message.original.as_str()), None),
        EntryKind::Read { up_to } => ("read", None, Some(up_to.get())),
        EntryKind::StatusChanged { status } => ("status", Some(status.word()), None),
        EntryKind::Edited { body, .. } => ("edit", Some(body.as_str()), None),
        EntryKind::Deleted { .. } => ("delete", None, None),
    };
    let sql = if message.is_some() {
        "INSERT INTO entries
             (number, conversation, seq, kind, author, side, at, message_id, client_id, body, up_to, target)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    } else {
        // Entries other than messages get numbers below zero, so that the numbers of messages that are restored later
        // stay free.
        "INSERT INTO entries
             (number, conversation, seq, kind, author, side, at, message_id, client_id, body, up_to, target)
         SELECT min(coalesce(min(number), 0), 0) - 1 + coalesce(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12
         FROM entries"
    };
    let inserted = connection.prepare_cached(sql).map_err(StoreError::from)?.execute(params![
        message.map(|message| message.number),
        conversation.number,
        entry.seq.get(),
        word,
        entry.author.bytes(),
        entry.side.index(),
        entry.at.millis(),
        message.map(|message| message.id.bytes()),
        message.and_then(|message| message.client_id.as_ref()).map(ClientMessageId::as_str),
        body,
        up_to,
        entry.target().map(|target| target.number),
    ]);
    let what = || format!("another message with the number or client message id of {} {}", conversation.id, entry.seq);
    inserted.map_err(|error| clash(error, what))?;
    if let Some(target) = entry.target() {
        revisions::mark(connection, conversation, target, entry.seq)?;
    }
    if let Some(message) = message
        && let Some(extras) = &message.extras
    {
        extras::insert(connection, message.number, entry.author, extras)?;
    }
    Ok(())
}

fn clash(error: rusqlite::Error, what: impl FnOnce() -> String) -> RestoreError {
    if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) {
        RestoreError::Occupied(what())
    } else {
        StoreError::from(error).into()
    }
}
