//! Implements the port for accounts.

use async_trait::async_trait;
use bson::{Document, doc};
use futures_util::{FutureExt as _, StreamExt, TryStreamExt, stream};
use mongodb::options::ReturnDocument;

use super::connection::{is_duplicate, within};
use super::documents::{int, object_id};
use super::user_documents::{UserDocument, changed, new_user};
use super::{MongoStore, Shared, malformed_accounts, projection, queries, session_documents};
use crate::domain::{DeskId, Profile, Role, Timestamp, User, UserId};
use crate::store::{
    MAX_PAGE, NewUser, SaveUserError, SessionsChange, StoreError, UserChange, UserKey, UserPage, UserStore,
};

/// How many accounts get their number at the same time.
const AT_ONCE: usize = 8;

#[async_trait]
impl UserStore for MongoStore {
    async fn create_user(&self, new: NewUser) -> Result<User, SaveUserError> {
        within(self.shared.create_user(new)).await
    }

    async fn user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        within(async {
            let found = self.shared.users.find_one(queries::user(id)).await?;
            self.shared.numbered(found).await
        })
        .await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        within(self.shared.users_with(ids)).await
    }

    async fn find_user(&self, key: UserKey<'_>) -> Result<Option<User>, StoreError> {
        within(self.shared.find_user(key)).await
    }

    async fn update_user(&self, id: UserId, change: UserChange, at: Timestamp) -> Result<Option<User>, SaveUserError> {
        within(self.shared.update_user(id, change, at)).await
    }

    async fn delete_user(&self, id: UserId) -> Result<bool, StoreError> {
        within(async { Ok(self.shared.users.delete_one(queries::user(id)).await?.deleted_count > 0) }).await
    }

    async fn users_of_role(&self, role: Role, skip: u64, limit: usize) -> Result<UserPage, StoreError> {
        within(self.shared.users_of_role(role, skip, limit)).await
    }

    async fn first_agent(&self) -> Result<Option<User>, StoreError> {
        within(self.shared.first_agent()).await
    }

    async fn desk_ids(&self) -> Result<Vec<DeskId>, StoreError> {
        within(self.shared.desk_ids()).await
    }

    async fn pin_desk(&self, id: DeskId) -> Result<Vec<DeskId>, StoreError> {
        within(self.shared.pin_desk(id)).await
    }
}

impl Shared {
    async fn create_user(&self, new: NewUser) -> Result<User, SaveUserError> {
        let number = self.numbers.users.take().await?;
        let document = new_user(&new, number);
        match self.users.clone_with_type().insert_one(document).await {
            Ok(_) => Ok(new.numbered(number)),
            Err(error) => {
                let Profile { username, session, .. } = &new.profile;
                Err(self.save_error(error, new.id, username.as_deref(), session.as_deref()).await)
            }
        }
    }

    async fn find_user(&self, key: UserKey<'_>) -> Result<Option<User>, StoreError> {
        let wanted = match key {
            UserKey::Number(number) => queries::user_by_number(number),
            UserKey::Email(email) => queries::user_by_email(email),
            UserKey::Username(username) => queries::user_by_username(username),
            UserKey::Session(digest) => queries::user_by_session(digest),
        };
        let found = self.numbered(self.users.find_one(wanted).await?).await?;
        // The placeholder address of a visitor must not be found.
        Ok(found.filter(|user| !matches!(key, UserKey::Email(_)) || user.email.is_some()))
    }

    /// Why an account was not saved. Two accounts can clash over an address, a username or a session, but not over an
    /// id, which is random.
    async fn save_error(
        &self,
        error: mongodb::error::Error,
        id: UserId,
        username: Option<&str>,
        session: Option<&str>,
    ) -> SaveUserError {
        if !is_duplicate(&error) {
            return StoreError::from(error).into();
        }
        for key in username.map(UserKey::Username).into_iter().chain(session.map(UserKey::Session)) {
            match self.find_user(key).await {
                Ok(Some(other)) if other.id != id => return SaveUserError::UsernameTaken,
                Ok(_) => {}
                Err(error) => return error.into(),
            }
        }
        SaveUserError::EmailTaken
    }

    async fn update_user(&self, id: UserId, change: UserChange, at: Timestamp) -> Result<Option<User>, SaveUserError> {
        let (ended, username) = (change.ended_sessions(), change.profile.username.clone());
        let which = queries::user_if(id, &change.condition);
        let update = changed(change, at);
        let updated = if ended == SessionsChange::Keep {
            self.users.find_one_and_update(which, update).return_document(ReturnDocument::After).await
        } else {
            self.update_and_end(which, update, ended, at).await?
        };
        match updated {
            Ok(updated) => Ok(self.numbered(updated).await?),
            Err(error) => Err(self.save_error(error, id, username.as_deref(), None).await),
        }
    }

    /// Updates the account `which`, and revokes tokens. The time from which they are valid depends on the previous one, so the update is
    /// repeated if another process has changed that meanwhile.
    async fn update_and_end(
        &self,
        which: Document,
        update: Document,
        ended: SessionsChange,
        at: Timestamp,
    ) -> Result<mongodb::error::Result<Option<Box<UserDocument>>>, StoreError> {
        loop {
            let Some(user) = self.users.find_one(which.clone()).await? else { return Ok(Ok(None)) };
            let before = user.sessions();
            let mut sessions = before.clone();
            ended.make(&mut sessions, at);
            let (mut which, mut update) = (which.clone(), update.clone());
            which.extend(session_documents::same_start(&before));
            session_documents::add_change(&mut update, &before, &sessions);
            let updated = self.users.find_one_and_update(which, update).return_document(ReturnDocument::After).await;
            if !matches!(updated, Ok(None)) {
                return Ok(updated);
            }
        }
    }

    pub(super) async fn users_with(&self, ids: &[UserId]) -> Result<Vec<User>, StoreError> {
        let found = self.users.find(queries::users(&ids[..ids.len().min(MAX_PAGE)])).await?;
        self.all_numbered(found.try_collect().await?).await
    }

    async fn users_of_role(&self, role: Role, skip: u64, limit: usize) -> Result<UserPage, StoreError> {
        let total = async { Ok::<_, StoreError>(self.users.count_documents(queries::users_of_role(role)).await?) };
        let page = async {
            if limit == 0 || i64::try_from(skip).is_err() {
                return Ok(Vec::new());
            }
            let found = self.users.find(queries::users_of_role(role)).sort(queries::oldest_first());
            Ok(found.skip(skip).limit(projection::bounded(limit)).await?.try_collect().await?)
        };
        let (total, page) = tokio::try_join!(total, page)?;
        Ok(UserPage { users: self.all_numbered(page).await?, total })
    }

    pub(super) async fn first_agent(&self) -> Result<Option<User>, StoreError> {
        for role in [Role::Admin, Role::Agent] {
            let first = self.users.find_one(queries::usable_of_role(role)).sort(queries::oldest_first()).await?;
            if first.is_some() {
                return self.numbered(first).await;
            }
        }
        Ok(None)
    }

    #[expect(clippy::vec_box, reason = "as the driver returns them")]
    pub(super) async fn all_numbered(&self, documents: Vec<Box<UserDocument>>) -> Result<Vec<User>, StoreError> {
        // Boxed: the future is large, since it waits for the server at several places, and it is part of many others.
        let users = stream::iter(documents).map(|document| self.readable(document).boxed());
        users.buffered(AT_ONCE).try_filter_map(async |user| Ok(user)).try_collect().await
    }

    /// The account; `None` if the document cannot be read, which must not hide the other accounts.
    async fn readable(&self, document: Box<UserDocument>) -> Result<Option<User>, StoreError> {
        let id = document.raw_id().clone();
        match self.numbered(Some(document)).await {
            Err(StoreError::Corrupt(why)) => {
                malformed_accounts::note_unreadable(&id, &why);
                Ok(None)
            }
            read => read,
        }
    }

    /// Reads an account. One that the old server created gets its number first.
    async fn numbered(&self, document: Option<Box<UserDocument>>) -> Result<Option<User>, StoreError> {
        let Some(document) = document else { return Ok(None) };
        if document.number.is_some() {
            return User::try_from(*document).map(Some);
        }
        let Some(id) = document.id() else { return User::try_from(*document).map(Some) };
        let number = self.numbers.users.take().await?;
        let unnumbered = queries::unnumbered(object_id(id.bytes()));
        self.users.update_one(unnumbered, doc! { "$set": { "number": int(number) } }).await?;
        // Another process may have been faster, so the number is read back.
        let numbered = self.users.find_one(queries::user(id)).await?;
        numbered.map(|document| User::try_from(*document)).transpose()
    }
}
