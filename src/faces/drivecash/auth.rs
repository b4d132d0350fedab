//! `/api/accounts/...` and `/api/token/...`: log-in, in two steps for agents, and refreshing tokens.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::wire::UserBody;
use crate::accounts::identify::IdentifyError;
use crate::accounts::log_in::LogInError;
use crate::accounts::one_time_code::OneTimeCodeError;
use crate::accounts::sign_in::{SignIn, SignedIn};
use crate::auth::TokenPair;
use crate::domain::{CodePurpose, User};
use crate::faces::channels::Channels;
use crate::faces::channels::body::Fields;
use crate::faces::channels::reply::{Problem, log_in_problem};
use crate::faces::http::cookies;
use crate::net::{ClientAddress, ServerUrl};

const USE_ADMIN_LOG_IN: &str = "Admin login requires a different process. Please use the admin login page.";

pub(super) fn routes() -> Router<Channels> {
    Router::new()
        .route("/api/accounts/login/", post(log_in))
        .route("/api/accounts/admin/login/step1/", post(first_step))
        .route("/api/accounts/admin/login/step2/", post(second_step))
        .route("/api/token/", post(token))
        .route("/api/token/refresh/", post(refresh))
        .route("/api/token/verify/", post(verify))
        .route("/api/accounts/token/refresh/", post(refresh))
        .route("/api/accounts/token/verify/", post(verify))
}

/// The parts of a request that a log-in needs.
type LogIn = (State<Channels>, ClientAddress, ServerUrl, Fields);

/// `POST login/` `{email, password}`, for customers.
async fn log_in((State(channels), address, server_url, fields): LogIn) -> Result<Response, Problem> {
    let signed_in = sign_in(&channels, address, &fields, wrong()).await?;
    if signed_in.user.role.is_agent() {
        return Err(Problem::error(StatusCode::FORBIDDEN, USE_ADMIN_LOG_IN));
    }
    let body = json!({"user": UserBody::new(&signed_in.user), "tokens": pair(&signed_in.tokens)});
    Ok(with_tokens(&signed_in, &server_url, &body))
}

/// `POST token/` `{email, password}`, for customers. Agents must log in in two steps.
async fn token((State(channels), address, server_url, fields): LogIn) -> Result<Response, Problem> {
    let unknown = || Problem::detail(StatusCode::UNAUTHORIZED, "No active account found with the given credentials");
    let signed_in = sign_in(&channels, address, &fields, unknown()).await?;
    if signed_in.user.role.is_agent() {
        return Err(unknown());
    }
    Ok(with_tokens(&signed_in, &server_url, &pair(&signed_in.tokens)))
}

async fn sign_in(
    channels: &Channels,
    address: ClientAddress,
    fields: &Fields,
    wrong: Problem,
) -> Result<SignedIn, Problem> {
    let [login, password] = fields.required(["email", "password"])?;
    if !login.contains('@') {
        return Err(wrong);
    }
    channels
        .accounts
        .sign_in(SignIn { login, password, from: Some(address.route()) })
        .await
        .map_err(|error| log_in_problem(error, wrong))
}

/// `POST admin/login/step1/` `{username, password}`: mails a code of six digits, which is valid for five minutes.
async fn first_step(
    State(channels): State<Channels>,
    address: ClientAddress,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let [login, password] = fields.required(["username", "password"])?;
    let mailed = channels.accounts.mail_one_time_code(SignIn { login, password, from: Some(address.route()) }).await;
    let user: User = mailed.map_err(|error| match error {
        OneTimeCodeError::LogIn(error) => log_in_problem(error, wrong()),
        OneTimeCodeError::Wrong => wrong(),
        OneTimeCodeError::Store(error) => error.into(),
    })?;
    Ok(Json(json!({"message": "OTP sent to your email", "user_id": user.number})))
}

/// `POST admin/login/step2/` `{user_id, otp_code}`.
async fn second_step(
    State(channels): State<Channels>,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let signed_in = redeem(&channels, &fields, CodePurpose::LogIn).await?;
    Ok(with_tokens(&signed_in, &server_url, &pair(&signed_in.tokens)))
}

/// Exchanges `{user_id, otp_code}` for a pair of tokens.
pub(super) async fn redeem(channels: &Channels, fields: &Fields, purpose: CodePurpose) -> Result<SignedIn, Problem> {
    let (Some(number), Some(code)) = (fields.number("user_id"), digits(fields, "otp_code")) else {
        return Err(Problem::error(StatusCode::BAD_REQUEST, "user_id and otp_code are required"));
    };
    channels.accounts.redeem_one_time_code(number, purpose, &code).await.map_err(|error| match error {
        OneTimeCodeError::LogIn(LogInError::Store(error)) | OneTimeCodeError::Store(error) => error.into(),
        OneTimeCodeError::LogIn(_) | OneTimeCodeError::Wrong => {
            Problem::error(StatusCode::BAD_REQUEST, "Invalid or expired OTP")
        }
    })
}

/// A code of digits: a string, or a JSON number, which has lost its leading zeros.
pub(super) fn digits(fields: &Fields, name: &str) -> Option<String> {
    let text = fields.text(name).map(|text| text.trim().to_owned());
    text.or_else(|| fields.number(name).map(|number| format!("{number:06}")))
}

/// A new pair. A refresh token can be used until it expires.
async fn refresh(State(channels): State<Channels>, server_url: ServerUrl, fields: Fields) -> Result<Response, Problem> {
    let [token] = fields.required(["refresh"])?;
    let signed_in = channels.accounts.refresh(&token).await?;
    Ok(with_tokens(&signed_in, &server_url, &pair(&signed_in.tokens)))
}

async fn verify(State(channels): State<Channels>, fields: Fields) -> Result<Json<Value>, Problem> {
    let [token] = fields.required(["token"])?;
    channels.accounts.identify(&token).await.map_err(|error| match error {
        IdentifyError::Token(_) | IdentifyError::Blocked | IdentifyError::Gone => Problem::bad_refresh_token(),
        IdentifyError::Banned(banned) => Problem::bad_refresh_token().banned(banned),
        IdentifyError::Store(error) => error.into(),
    })?;
    Ok(Json(json!({})))
}

fn wrong() -> Problem {
    Problem::error(StatusCode::UNAUTHORIZED, "Invalid credentials")
}

pub(super) fn pair(tokens: &TokenPair) -> Value {
    json!({"refresh": tokens.refresh, "access": tokens.access})
}

/// A response with tokens. Its cookie lets the browser renew expired links to files.
fn with_tokens(signed_in: &SignedIn, server_url: &ServerUrl, body: &Value) -> Response {
    let mut response = Json(body).into_response();
    cookies::MEDIA.set(&mut response, &signed_in.tokens.refresh, server_url);
    response
}
