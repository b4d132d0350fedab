//! `/api/auth/...`: log-in, registration, and mailed codes.
//!
//! Bodies are JSON objects; responses are `{success, message}`, except for a log-in.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::body::{ApiJson, Text, given};
use super::reply::done;
use super::{AccountsState, Refusal};
use crate::accounts::codes::RedeemError;
use crate::accounts::fields::{Name, NameError, NewPassword, NewPasswordError};
use crate::accounts::forgot_password::ForgotPassword;
use crate::accounts::log_in::{LogIn, LogInError};
use crate::accounts::register::{Details, Proof, Register, RegisterError};
use crate::accounts::resend_verification::ResendVerification;
use crate::accounts::reset_password::{ResetPassword, ResetPasswordError};
use crate::accounts::verify_email::VerifyEmail;
use crate::domain::EmailError;
use crate::net::ClientAddress;

const INVALID_CODE: &str = "Invalid or expired code";

/// The routes under `/api/auth`.
pub(super) fn routes() -> Router<AccountsState> {
    Router::new()
        .route("/api/auth/login", post(log_in))
        .route("/api/auth/register", post(register))
        .route("/api/auth/verify-email", post(verify_email))
        .route("/api/auth/resend-verification", post(resend_verification))
        .route("/api/auth/forgot-password", post(forgot_password))
        .route("/api/auth/reset-password", post(reset_password))
        .route("/api/auth/google", get(google))
        .route("/api/auth/google/callback", get(google))
}

#[derive(Deserialize)]
struct LogInBody {
    email: Option<Text>,
    password: Option<Text>,
}

#[derive(Serialize)]
struct LogInReply {
    success: bool,
    token: String,
    role: &'static str,
    name: String,
}

#[derive(Deserialize)]
struct RegisterBody {
    name: Option<Text>,
    email: Option<Text>,
    password: Option<Text>,
}

#[derive(Deserialize)]
struct VerifyEmailBody {
    email: Option<Text>,
    code: Option<Text>,
}

#[derive(Deserialize)]
struct EmailBody {
    email: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResetPasswordBody {
    email: Option<Text>,
    token: Option<Text>,
    new_password: Option<Text>,
}

/// `POST /api/auth/login` `{email, password}`: 200 `{success, token, role, name}`.
async fn log_in(
    State(AccountsState(accounts)): State<AccountsState>,
    address: ClientAddress,
    ApiJson(body): ApiJson<LogInBody>,
) -> Result<Response, Refusal> {
    let (Some(email), Some(password)) = (given(body.email), given(body.password)) else {
        return Err(Refusal::bad_request("Email and password are required"));
    };
    // An invalid address gets the same response as an unknown one.
    let email = email.parse().map_err(|_: EmailError| LogInError::Wrong)?;
    let logged_in = accounts.log_in(LogIn { email, password, from: Some(address.route()) }).await?;
    let role = logged_in.role.word();
    let reply = LogInReply { success: true, token: logged_in.token, role, name: logged_in.name };
    Ok(Json(reply).into_response())
}

/// `POST /api/auth/register` `{name, email, password}`: 201.
async fn register(
    State(AccountsState(accounts)): State<AccountsState>,
    ApiJson(body): ApiJson<RegisterBody>,
) -> Result<Response, Refusal> {
    let (Some(name), Some(email), Some(password)) = (given(body.name), given(body.email), given(body.password)) else {
        return Err(Refusal::bad_request("Name, email and password are required"));
    };
    let (name, email, password) = (Name::parse(&name)?, email.parse()?, NewPassword::parse(password)?);
    accounts.register(Register { name, email, password, details: Details::default(), proof: Proof::Link }).await?;
    Ok(done(StatusCode::CREATED, "User registered successfully"))
}

/// `POST /api/auth/verify-email` `{email, code}`: 200.
async fn verify_email(
    State(AccountsState(accounts)): State<AccountsState>,
    ApiJson(body): ApiJson<VerifyEmailBody>,
) -> Result<Response, Refusal> {
    let (Some(email), Some(code)) = (given(body.email), given(body.code)) else {
        return Err(Refusal::bad_request("Email and code are required"));
    };
    let email = email.parse().map_err(|_: EmailError| RedeemError::Invalid)?;
    accounts.verify_email(VerifyEmail { email, code }).await?;
    Ok(done(StatusCode::OK, "Email verified successfully"))
}

/// `POST /api/auth/resend-verification` `{email}`: 200, whether or not the account exists.
async fn resend_verification(
    State(AccountsState(accounts)): State<AccountsState>,
    ApiJson(body): ApiJson<EmailBody>,
) -> Result<Response, Refusal> {
    let email = given(body.email).ok_or(Refusal::bad_request("Email is required"))?.parse()?;
    accounts.resend_verification(ResendVerification { email });
    Ok(done(StatusCode::OK, "If this address waits to be verified, a new link has been sent"))
}

/// `POST /api/auth/forgot-password` `{email}`: 200, whether or not the account exists.
async fn forgot_password(
    State(AccountsState(accounts)): State<AccountsState>,
    ApiJson(body): ApiJson<EmailBody>,
) -> Result<Response, Refusal> {
    let email = given(body.email).ok_or(Refusal::bad_request("Email is required"))?.parse()?;
    accounts.forgot_password(ForgotPassword { email });
    Ok(done(StatusCode::OK, "If this address has an account, a link to reset the password has been sent"))
}

/// `POST /api/auth/reset-password` `{email, token, newPassword}`: 200.
async fn reset_password(
    State(AccountsState(accounts)): State<AccountsState>,
    ApiJson(body): ApiJson<ResetPasswordBody>,
) -> Result<Response, Refusal> {
    let fields = (given(body.email), given(body.token), given(body.new_password));
    let (Some(email), Some(code), Some(password)) = fields else {
        return Err(Refusal::bad_request("Email, token and new password are required"));
    };
    let email = email.parse().map_err(|_: EmailError| ResetPasswordError::Invalid)?;
    accounts.reset_password(ResetPassword { email, code, password: NewPassword::parse(password)? }).await?;
    Ok(done(StatusCode::OK, "Password reset successfully"))
}

/// `GET /api/auth/google`: Google accounts are not supported. A browser that follows the page's button is redirected to the page,
/// which shows an error; other clients get 501.
async fn google(State(AccountsState(accounts)): State<AccountsState>, headers: HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accepted.contains("text/html") {
        let page = format!("{}/auth/google/success?error=not_configured", accounts.client_url());
        return (StatusCode::FOUND, [(LOCATION, page.as_str())]).into_response();
    }
    Refusal::new(StatusCode::NOT_IMPLEMENTED, "Google sign-in is not set up on this server").into_response()
}

impl From<EmailError> for Refusal {
    fn from(_: EmailError) -> Self {
        Self::bad_request("Invalid email address")
    }
}

impl From<NameError> for Refusal {
    fn from(_: NameError) -> Self {
        Self::bad_request("Name must have 1 to 100 characters")
    }
}

impl From<NewPasswordError> for Refusal {
    fn from(error: NewPasswordError) -> Self {
        Self::bad_request(match error {
            NewPasswordError::TooShort => "Password must be at least 6 characters",
            NewPasswordError::TooLong => "Password is too long",
        })
    }
}

impl From<LogInError> for Refusal {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::Wrong => Self::unauthorized("Invalid email or password"),
            LogInError::Blocked => Self::forbidden("Account is blocked."),
            LogInError::Banned(banned) => Self::forbidden("Account is blocked.").banned(banned),
            LogInError::Unverified => Self::forbidden("Account not verified. Please verify OTP."),
            LogInError::TooManyTries(error) => error.into(),
            LogInError::Password(error) => error.into(),
            LogInError::Store(error) => error.into(),
        }
    }
}

impl From<RegisterError> for Refusal {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::EmailTaken | RegisterError::UsernameTaken => Self::conflict("User already exists"),
            RegisterError::TooManyTries(error) => error.into(),
            RegisterError::Password(error) => error.into(),
            RegisterError::Store(error) => error.into(),
        }
    }
}

impl From<RedeemError> for Refusal {
    fn from(error: RedeemError) -> Self {
        match error {
            RedeemError::Invalid => Self::bad_request(INVALID_CODE),
            RedeemError::Store(error) => error.into(),
        }
    }
}

impl From<ResetPasswordError> for Refusal {
    fn from(error: ResetPasswordError) -> Self {
        match error {
            ResetPasswordError::Invalid => Self::bad_request(INVALID_CODE),
            ResetPasswordError::Password(error) => error.into(),
            ResetPasswordError::Store(error) => error.into(),
        }
    }
}
