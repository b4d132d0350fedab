//! `/api/admin/...`: administration of accounts, for admins only.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::body::{ApiJson, Text, given};
use super::reply::done;
use super::{AccountsState, AdminCaller, Refusal};
use crate::accounts::create_user::CreateUser;
use crate::accounts::delete_user::{DeleteUser, DeleteUserError};
use crate::accounts::fields::{Name, NewPassword};
use crate::accounts::update_user::{UpdateUser, UpdateUserError};
use crate::domain::user::UnknownWord;
use crate::domain::{AccountStatus, Role, User, UserId};

/// The routes under `/api/admin`.
pub(super) fn routes() -> Router<AccountsState> {
    Router::new()
        .route("/api/admin/getusers", get(get_users))
        .route("/api/admin/createuser", post(create_user))
        .route("/api/admin/updateuser/{id}", put(update_user))
        .route("/api/admin/deleteuser/{id}", delete(delete_user))
}

#[derive(Deserialize)]
struct PageQuery {
    page: Option<String>,
}

/// An account in the dashboard's table.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserRow {
    #[serde(rename = "_id")]
    id: String,
    name: String,
    email: String,
    role: &'static str,
    status: &'static str,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UsersReply {
    success: bool,
    page: u64,
    total_pages: u64,
    total_records: u64,
    data: Vec<UserRow>,
}

#[derive(Serialize)]
struct UserReply {
    success: bool,
    message: &'static str,
    data: UserRow,
}

/// The fields of an account, to create or to update it.
#[derive(Deserialize)]
struct UserBody {
    name: Option<Text>,
    email: Option<Text>,
    password: Option<Text>,
    role: Option<Text>,
    status: Option<Text>,
}

/// `GET /api/admin/getusers?page=N`: 200 `{success, page, totalPages, totalRecords, data}`, ten customers a page.
///
/// A page that is not a number counts as the first: the dashboard requests it before it knows the number.
async fn get_users(
    _: AdminCaller,
    State(AccountsState(accounts)): State<AccountsState>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Refusal> {
    let page = query.ok().and_then(|Query(query)| query.page?.parse().ok()).unwrap_or(1).max(1);
    let found = accounts.list_customers(page).await?;
    let data = found.users.into_iter().map(UserRow::from).collect();
    let reply = UsersReply { success: true, page, total_pages: found.pages, total_records: found.total, data };
    Ok(Json(reply).into_response())
}

/// `POST /api/admin/createuser` `{name, email, password, role?, status?}`: 201 `{success, message, data}`. By default
/// the account is an active customer.
async fn create_user(
    _: AdminCaller,
    State(AccountsState(accounts)): State<AccountsState>,
    ApiJson(body): ApiJson<UserBody>,
) -> Result<Response, Refusal> {
    let (Some(name), Some(email), Some(password)) = (given(body.name), given(body.email), given(body.password)) else {
        return Err(Refusal::bad_request("Name, email and password are required"));
    };
    let ask = CreateUser {
        name: Name::parse(&name)?,
        email: email.parse()?,
        password: NewPassword::parse(password)?,
        role: role(body.role)?.unwrap_or(Role::Customer),
        status: status(body.status)?.unwrap_or(AccountStatus::Active),
    };
    let data = accounts.create_user(ask).await?.into();
    let reply = UserReply { success: true, message: "User created successfully", data };
    Ok((StatusCode::CREATED, Json(reply)).into_response())
}

/// `PUT /api/admin/updateuser/{id}` `{name?, email?, password?, role?, status?}`: 200 `{success, message, data}`. Fields that
/// are missing or empty stay unchanged.
async fn update_user(
    AdminCaller(admin): AdminCaller,
    State(AccountsState(accounts)): State<AccountsState>,
    id: Result<Path<String>, PathRejection>,
    ApiJson(body): ApiJson<UserBody>,
) -> Result<Response, Refusal> {
    let ask = UpdateUser {
        by: admin.id,
        id: user_id(id)?,
        name: given(body.name).map(|name| Name::parse(&name)).transpose()?,
        email: given(body.email).map(|email| email.parse()).transpose()?,
        password: given(body.password).map(NewPassword::parse).transpose()?,
        role: role(body.role)?,
        status: status(body.status)?,
    };
    let data = accounts.update_user(ask).await?.into();
    Ok(Json(UserReply { success: true, message: "User updated successfully", data }).into_response())
}

/// `DELETE /api/admin/deleteuser/{id}`: 200. The account's messages stay.
async fn delete_user(
    AdminCaller(admin): AdminCaller,
    State(AccountsState(accounts)): State<AccountsState>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Response, Refusal> {
    accounts.delete_user(DeleteUser { by: admin.id, id: user_id(id)? }).await?;
    Ok(done(StatusCode::OK, "User deleted successfully"))
}

fn user_id(path: Result<Path<String>, PathRejection>) -> Result<UserId, Refusal> {
    path.ok().and_then(|Path(id)| id.parse().ok()).ok_or(Refusal::bad_request("Invalid user id"))
}

fn role(field: Option<Text>) -> Result<Option<Role>, Refusal> {
    let role = given(field).map(|word| word.parse()).transpose();
    role.map_err(|_: UnknownWord| Refusal::bad_request("Role must be user, agent or admin"))
}

fn status(field: Option<Text>) -> Result<Option<AccountStatus>, Refusal> {
    let status = given(field).map(|word| word.parse()).transpose();
    status.map_err(|_: UnknownWord| Refusal::bad_request("Status must be unverified, active or Blocked"))
}

impl From<User> for UserRow {
    fn from(user: User) -> Self {
        Self {
            id: user.id.to_string(),
            email: user.email_text().to_owned(),
            name: user.name,
            role: user.role.word(),
            status: user.status.word(),
            created_at: user.created_at.to_string(),
            updated_at: user.updated_at.to_string(),
        }
    }
}

impl From<UpdateUserError> for Refusal {
    fn from(error: UpdateUserError) -> Self {
        match error {
            UpdateUserError::NotFound => Self::not_found("User not found"),
            UpdateUserError::OwnRights => Self::bad_request("You cannot take away your own rights"),
            UpdateUserError::EmailTaken => Self::conflict("User already exists"),
            UpdateUserError::Password(error) => error.into(),
            UpdateUserError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteUserError> for Refusal {
    fn from(error: DeleteUserError) -> Self {
        match error {
            DeleteUserError::NotFound => Self::not_found("User not found"),
            DeleteUserError::OwnAccount => Self::bad_request("You cannot delete your own account"),
            DeleteUserError::Store(error) => error.into(),
        }
    }
}
