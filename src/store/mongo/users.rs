//! Implements the port for accounts.

use async_trait::async_trait;
use bson::doc;
use futures_util::{FutureExt as _, StreamExt, TryStreamExt, stream};
use mongodb::options::ReturnDocument;

use super::connection::{is_duplicate, within};
use super::documents::{int, object_id};
use super::user_documents::{UserDocument, changed, new_user};
use super::{MongoStore, Shared, malformed_accounts, projection, queries, session_documents};
use crate::domain::{DeskId, Email, Role, Timestamp, User, UserId};
use crate::store::{MAX_PAGE, NewUser, SaveUserError, SessionsChange, StoreError, UserChange, UserPage, UserStore};

/// Accounts that are given their number at the same time.
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

    async fn user_by_number(&self, number: u64) -> Result<Option<User>, StoreError> {
        within(async {
            let found = self.shared.users.find_one(queries::user_by_number(number)).await?;
            found.map(|document| User::try_from(*document)).transpose()
        })
        .await
    }

    async fn user_by_email(&self, email: &Email) -> Result<Option<User>, StoreError> {
        within(async {
            let found = self.shared.users.find_one(queries::user_by_email(email)).await?;
            // The placeholder of a visitor is nobody's address.
            Ok(self.shared.numbered(found).await?.filter(|user| user.email.is_some()))
        })
        .await
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
        self.users.clone_with_type().insert_one(document).await.map_err(save_error)?;
        Ok(new.numbered(number))
    }

    async fn update_user(&self, id: UserId, change: UserChange, at: Timestamp) -> Result<Option<User>, SaveUserError> {
        let ended = change.ended_sessions();
        let mut update = changed(change, at);
        if ended != SessionsChange::Keep {
            let user = self.users.find_one(queries::user(id)).await.map_err(StoreError::from)?;
            let Some(user) = self.numbered(user).await? else { return Ok(None) };
            let mut sessions = user.sessions.clone();
            ended.make(&mut sessions, at);
            session_documents::add_change(&mut update, &user.sessions, &sessions);
        }
        let update = self.users.find_one_and_update(queries::user(id), update);
        let updated = update.return_document(ReturnDocument::After).await.map_err(save_error)?;
        Ok(self.numbered(updated).await?)
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

    #[expect(clippy::vec_box, reason = "as the driver gives them")]
    pub(super) async fn all_numbered(&self, documents: Vec<Box<UserDocument>>) -> Result<Vec<User>, StoreError> {
        // Boxed: what waits for the server at several places is large, and this is part of many other futures.
        let users = stream::iter(documents).map(|document| self.readable(document).boxed());
        users.buffered(AT_ONCE).try_filter_map(async |user| Ok(user)).try_collect().await
    }

    /// The account, if the document is one: one that cannot be read must not hide the others.
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

    /// The account; one that the old server made gets its number first.
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

/// The address is the only thing that two accounts can clash over: ids are random.
fn save_error(error: mongodb::error::Error) -> SaveUserError {
    if is_duplicate(&error) { SaveUserError::EmailTaken } else { StoreError::from(error).into() }
}
