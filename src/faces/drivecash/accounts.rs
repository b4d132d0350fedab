//! `/api/accounts/...`: registration with a mailed code of six digits, the caller's profile, and password resets.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::auth::{digits, pair, redeem};
use super::wire::{OwnUserBody, UserBody};
use crate::accounts::fields::{Name, NewPassword};
use crate::accounts::forgot_password::ForgotPassword;
use crate::accounts::profile::ProfileDetails;
use crate::accounts::register::{Details, Proof, Register};
use crate::accounts::reset_password::{ResetPassword, ResetPasswordError};
use crate::domain::{BirthDate, CodePurpose, Email, NameParts, User};
use crate::faces::channels::Channels;
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller::Caller;
use crate::faces::channels::new_password::{is_too_short, new_password};
use crate::faces::channels::reply::{Problem, bad_email, password_problem};

const TOO_SHORT: &str = "This password is too short. It must contain at least 8 characters.";

/// Longest phone number, in characters.
const MAX_PHONE: usize = 20;

pub(super) fn routes() -> Router<Channels> {
    Router::new()
        .route("/api/accounts/register/", post(register))
        .route("/api/accounts/verify-otp/", post(verify))
        .route("/api/accounts/profile/", get(profile))
        .route("/api/accounts/profile/update/", put(update).patch(update))
        .route("/api/accounts/password-reset-request/", post(request_reset))
        .route("/api/accounts/password-reset/", post(reset))
}

/// `POST register/` `{first_name, last_name, email, phone_number?, date_of_birth?, password, password2}`: 201. The account is
/// inactive until `verify-otp/`.
async fn register(State(channels): State<Channels>, fields: Fields) -> Result<Response, Problem> {
    let [first, last, email, password, again] =
        fields.required(["first_name", "last_name", "email", "password", "password2"])?;
    if password != again {
        return Err(Problem::fields(&[("password", "Password fields didn't match.")]));
    }
    let details =
        Details { username: None, phone: phone(&fields)?.unwrap_or_default(), birth_date: birth_date(&fields)? };
    let ask = Register {
        name: name(&first, &last)?,
        email: email.parse().map_err(|_| bad_email())?,
        password: new_password(password, "password", TOO_SHORT)?,
        details,
        proof: Proof::Digits,
    };
    let user = channels.accounts.register(ask).await?;
    let message = "Registration successful. Please verify your email with the OTP sent.";
    Ok((StatusCode::CREATED, Json(json!({"message": message, "user_id": user.number}))).into_response())
}

/// `POST verify-otp/` `{user_id, otp_code}`: activates the account, and logs in.
async fn verify(State(channels): State<Channels>, fields: Fields) -> Result<Response, Problem> {
    let signed_in = redeem(&channels, &fields, CodePurpose::VerifyEmail).await?;
    Ok(Json(json!({
        "message": "Email verified successfully.",
        "user": UserBody::new(&signed_in.user),
        "tokens": pair(&signed_in.tokens),
    }))
    .into_response())
}

/// `GET profile/`. The page reads the name from `user`. The other sections are about loans, which this server does not have.
async fn profile(Caller(user): Caller) -> Json<Value> {
    Json(json!({
        "user": OwnUserBody::new(&user),
        "personal_info": {}, "contact": {}, "employment": {}, "address": {}, "banking": {}, "vehicle": {},
        "loan_summary": {
            "total_applications": 0, "approved_count": 0, "pending_count": 0, "total_approved_amount": 0, "active_loans": 0,
        },
    }))
}

/// `profile/update/` `{first_name?, last_name?, phone_number?, date_of_birth?}`: `{message, user}`. The address cannot
/// be changed here.
async fn update(
    State(channels): State<Channels>,
    Caller(user): Caller,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let details =
        ProfileDetails { name: new_name(&user, &fields)?, phone: phone(&fields)?, birth_date: birth_date(&fields)? };
    let user = channels.accounts.change_details(&user, details).await?;
    channels.desk.attendance.account_changed(user.id).await;
    Ok(Json(json!({"message": "Profile updated successfully", "user": OwnUserBody::new(&user)})))
}

/// `POST password-reset-request/` `{email}`: mails a code of twelve digits if the address has an account. The response is the same
/// if not.
async fn request_reset(State(channels): State<Channels>, fields: Fields) -> Result<Json<Value>, Problem> {
    let [email] = fields.required(["email"])?;
    let email: Email = email.parse().map_err(|_| bad_email())?;
    channels.accounts.forgot_password_digits(ForgotPassword { email });
    Ok(Json(json!({"message": "If the address has an account, a code to choose a new password was sent to it."})))
}

/// `POST password-reset/` `{email, otp_code, password, password2}`, or `new_password` in place of the passwords. The page shows
/// `error` only, so every error is written there.
async fn reset(State(channels): State<Channels>, fields: Fields) -> Result<Json<Value>, Problem> {
    let refuse = |why: &str| Problem::error(StatusCode::BAD_REQUEST, why);
    let password = fields.text("password").or_else(|| fields.text("new_password"));
    let code = digits(&fields, "otp_code").filter(|code| !code.is_empty());
    let (Some(email), Some(code), Some(password)) = (fields.text("email"), code, password) else {
        return Err(refuse("email, otp_code and password are required"));
    };
    if fields.text("password2").is_some_and(|again| again != password) {
        return Err(refuse("Password fields didn't match."));
    }
    let email: Email = email.parse().map_err(|_| refuse("Enter a valid email address."))?;
    if is_too_short(password) {
        return Err(refuse(TOO_SHORT));
    }
    let password = NewPassword::parse(password.to_owned()).map_err(|_| refuse("This password is too long."))?;
    let reset = channels.accounts.reset_password(ResetPassword { email, code, password }).await;
    reset.map_err(|error| match error {
        ResetPasswordError::Invalid => refuse("Invalid or expired OTP"),
        ResetPasswordError::Password(error) => password_problem(error),
        ResetPasswordError::Store(error) => error.into(),
    })?;
    Ok(Json(json!({"message": "Password reset successfully"})))
}

fn name(first: &str, last: &str) -> Result<Name, Problem> {
    Name::parse_parts(first, last).map_err(|_| Problem::fields(&[("first_name", "Enter a valid name.")]))
}

/// The name after an update of one or both of its parts; `None` if neither is given.
fn new_name(user: &User, fields: &Fields) -> Result<Option<Name>, Problem> {
    let (first, last) = (fields.text("first_name"), fields.text("last_name"));
    if first.is_none() && last.is_none() {
        return Ok(None);
    }
    let old = NameParts::of(&user.name, user.profile.name_parts.as_ref());
    name(first.unwrap_or(&old.first), last.unwrap_or(&old.last)).map(Some)
}

fn phone(fields: &Fields) -> Result<Option<String>, Problem> {
    let text = fields.text("phone_number").map(str::trim);
    if text.is_some_and(|text| text.chars().count() > MAX_PHONE || text.contains(char::is_control)) {
        return Err(Problem::fields(&[("phone_number", "Ensure this field has no more than 20 characters.")]));
    }
    Ok(text.map(str::to_owned))
}

fn birth_date(fields: &Fields) -> Result<Option<BirthDate>, Problem> {
    const WRONG: &str = "Date has wrong format. Use one of these formats instead: YYYY-MM-DD.";
    match fields.0.get("date_of_birth") {
        None | Some(Value::Null) => Ok(None),
        // The page's form sends the field even when it is blank.
        Some(Value::String(blank)) if blank.is_empty() => Ok(None),
        Some(value) => {
            let date = value.as_str().and_then(|text| text.parse().ok());
            date.map(Some).ok_or_else(|| Problem::fields(&[("date_of_birth", WRONG)]))
        }
    }
}
