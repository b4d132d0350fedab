//! Log-in and accounts: `/api/auth/...` with a final slash, `/api/login` and the like without, and `/api/api/auth/...`, which the
//! admin panel of one generation requests.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::Storefront;
use super::wire::UserBody;
use crate::accounts::change_email::ChangeEmail;
use crate::accounts::fields::{Name, NewPassword, Username};
use crate::accounts::profile::ChangeProfileError;
use crate::accounts::register::{Details, Proof, Register};
use crate::accounts::sign_in::{SignIn, SignedIn};
use crate::accounts::visitors::VisitorDetails;
use crate::domain::{Email, User};
use crate::faces::channels::Channels;
use crate::faces::channels::body::Fields;
use crate::faces::channels::caller::{self, Caller};
use crate::faces::channels::new_password::new_password;
use crate::faces::channels::reply::{Problem, bad_email, email_taken, log_in_problem, username_taken};
use crate::faces::http::cookies;
use crate::net::{ClientAddress, ServerUrl};

pub(super) fn routes() -> Router<Storefront> {
    let mut router = Router::new();
    for prefix in ["/api/auth", "/api/api/auth"] {
        router = router
            .route(&format!("{prefix}/login/"), post(log_in))
            .route(&format!("{prefix}/refresh/"), post(refresh))
            .route(&format!("{prefix}/me/"), get(me))
            .route(&format!("{prefix}/profile/"), put(profile))
            .route(&format!("{prefix}/password/"), post(password));
    }
    router
        .route("/api/login", post(log_in_wrapped))
        .route("/api/refresh", post(refresh))
        .route("/api/me", get(me_wrapped))
        .route("/api/register", post(register))
}

/// The parts of a request that a log-in needs.
type LogIn = (State<Channels>, ClientAddress, HeaderMap, ServerUrl, Fields);

/// `POST login/` `{username, password}`. The username may be an email address. A visitor's conversation becomes the account's.
async fn log_in((State(channels), address, headers, server_url, fields): LogIn) -> Result<Response, Problem> {
    let signed_in = sign_in(&channels, address, &fields).await?;
    let body = json!({
        "refresh": signed_in.tokens.refresh,
        "access": signed_in.tokens.access,
        "user": UserBody::new(&signed_in.user),
    });
    respond(&channels, &headers, &server_url, &signed_in, &body).await
}

/// The same for the newer frontend, which reads `success` and `data.user`.
async fn log_in_wrapped((State(channels), address, headers, server_url, fields): LogIn) -> Result<Response, Problem> {
    let signed_in = sign_in(&channels, address, &fields).await?;
    let user = json!(UserBody::new(&signed_in.user));
    let body = json!({
        "refresh": signed_in.tokens.refresh,
        "access": signed_in.tokens.access,
        "user": user,
        "success": true,
        "data": {"user": user},
    });
    respond(&channels, &headers, &server_url, &signed_in, &body).await
}

async fn sign_in(channels: &Channels, address: ClientAddress, fields: &Fields) -> Result<SignedIn, Problem> {
    // Customers of one generation log in with `email`.
    let login = if fields.text("username").is_none() && fields.text("email").is_some() { "email" } else { "username" };
    let [login, password] = fields.required([login, "password"])?;
    let wrong = Problem::detail(StatusCode::UNAUTHORIZED, "No active account found with the given credentials");
    channels
        .accounts
        .sign_in(SignIn { login, password, from: Some(address.route()) })
        .await
        .map_err(|error| log_in_problem(error, wrong))
}

/// The response to a log-in, with its cookies.
async fn respond(
    channels: &Channels,
    headers: &HeaderMap,
    server_url: &ServerUrl,
    signed_in: &SignedIn,
    body: &Value,
) -> Result<Response, Problem> {
    let was_visitor = merge_visitor(channels, headers, &signed_in.user).await?;
    let mut response = Json(body).into_response();
    if was_visitor {
        cookies::SESSION.remove(&mut response);
    }
    mark_browser(&mut response, signed_in, server_url);
    Ok(response)
}

/// Sets the cookies that identify a browser where its page sends no token: for files, and for the sockets of an agent's panel.
fn mark_browser(response: &mut Response, signed_in: &SignedIn, server_url: &ServerUrl) {
    cookies::MEDIA.set(response, &signed_in.tokens.refresh, server_url);
    if signed_in.user.role.is_agent() {
        cookies::PANEL.set(response, &signed_in.tokens.refresh, server_url);
    }
}

/// Moves a visitor's conversation to the account that logs in with the visitor's cookie, and ends the visitor's session. Agents have no
/// conversation of their own, so their visitor sessions stay.
async fn merge_visitor(channels: &Channels, headers: &HeaderMap, user: &User) -> Result<bool, Problem> {
    let Some(secret) = cookies::SESSION.of(headers).filter(|_| !user.role.is_agent()) else { return Ok(false) };
    let Some(visitor) = channels.accounts.visitor(secret).await? else { return Ok(false) };
    channels.desk.conversations.merge_visitor(&caller::person(&visitor), &caller::person(user)).await?;
    let phone = &visitor.profile.phone;
    if user.profile.phone.is_empty() && !phone.is_empty() {
        channels
            .accounts
            .change_visitor(user, VisitorDetails { phone: Some(phone.clone()), ..VisitorDetails::default() })
            .await?;
    }
    channels.accounts.end_session(&visitor).await?;
    Ok(true)
}

/// `POST refresh/` `{refresh}`: a new pair. A refresh token can be used until it expires.
async fn refresh(State(channels): State<Channels>, server_url: ServerUrl, fields: Fields) -> Result<Response, Problem> {
    let [token] = fields.required(["refresh"])?;
    let signed_in = channels.accounts.refresh(&token).await?;
    let tokens = &signed_in.tokens;
    let body = json!({"access": tokens.access, "refresh": tokens.refresh});
    let mut response = Json(body).into_response();
    mark_browser(&mut response, &signed_in, &server_url);
    Ok(response)
}

async fn me(Caller(user): Caller) -> Json<Value> {
    Json(json!(UserBody::new(&user)))
}

/// The fields, and the same once more under `user`.
async fn me_wrapped(Caller(user): Caller) -> Json<Value> {
    let mut body = json!(UserBody::new(&user));
    body["user"] = json!(UserBody::new(&user));
    Json(body)
}

/// `PUT profile/` `{username?, email?, current_password?}`. Changing the address requires the password, and takes effect when the
/// link mailed to the new address is opened.
async fn profile(
    State(channels): State<Channels>,
    Caller(user): Caller,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Json<Value>, Problem> {
    let username = fields.text("username").map(Username::parse).transpose().map_err(|_| bad_username())?;
    let email = match fields.text("email") {
        None => None,
        Some(text) => Some(text.parse::<Email>().map_err(|_| bad_email())?),
    };
    let accounts = &channels.accounts;
    let refused = |error| match error {
        ChangeProfileError::EmailTaken => email_taken(),
        ChangeProfileError::UsernameTaken => username_taken(),
        ChangeProfileError::LogIn(error) => log_in_problem(error, wrong_password()),
        ChangeProfileError::Store(error) => error.into(),
    };
    // The address first: if it is rejected, nothing has changed yet.
    if let Some(to) = email.filter(|to| user.email.as_ref() != Some(to)) {
        let password = fields.text("current_password").or_else(|| fields.text("password"));
        let password = password.ok_or_else(wrong_password)?.to_owned();
        let ask = ChangeEmail { to, password, server_url: server_url.as_str().to_owned() };
        accounts.change_email(&user, ask).await.map_err(refused)?;
    }
    let user = match username {
        Some(username) => accounts.change_username(&user, username).await.map_err(refused)?,
        None => user,
    };
    Ok(Json(json!(UserBody::new(&user))))
}

fn wrong_password() -> Problem {
    Problem::fields(&[("email", "Changing the address requires your current password (current_password).")])
}

fn bad_username() -> Problem {
    Problem::fields(&[("username", "Enter a valid username.")])
}

/// `POST password/` `{current_password, new_password}`, at least 8 characters. Ends all sessions; the response has new tokens.
async fn password(
    State(channels): State<Channels>,
    Caller(user): Caller,
    server_url: ServerUrl,
    fields: Fields,
) -> Result<Response, Problem> {
    let [current, new] = fields.required(["current_password", "new_password"])?;
    let new = new_password(new, "new_password", "Ensure this field has at least 8 characters.")?;
    let changed = channels.accounts.change_password(&user, current, new).await;
    let signed_in = changed.map_err(|error| {
        let wrong = Problem::detail(StatusCode::BAD_REQUEST, "Current password is incorrect");
        match error {
            ChangeProfileError::LogIn(error) => log_in_problem(error, wrong),
            ChangeProfileError::Store(error) => error.into(),
            ChangeProfileError::EmailTaken | ChangeProfileError::UsernameTaken => wrong,
        }
    })?;
    let body = json!({
        "detail": "Password changed successfully",
        "access": signed_in.tokens.access,
        "refresh": signed_in.tokens.refresh,
    });
    let mut response = Json(body).into_response();
    mark_browser(&mut response, &signed_in, &server_url);
    Ok(response)
}

/// `POST /api/register`: 201. The account is active once the mailed link was opened.
async fn register(State(channels): State<Channels>, fields: Fields) -> Result<Response, Problem> {
    let [username, email, password] = fields.required(["username", "email", "password"])?;
    let email: Email = email.parse().map_err(|_| bad_email())?;
    let password = NewPassword::parse(password)
        .map_err(|_| Problem::fields(&[("password", "Ensure this field has at least 6 characters.")]))?;
    let [first, last] = ["first_name", "last_name"].map(|field| fields.text(field).unwrap_or_default().trim());
    let name =
        if first.is_empty() && last.is_empty() { Name::parse(&username) } else { Name::parse_parts(first, last) };
    let name = name.map_err(|_| bad_username())?;
    let username = Username::parse(&username).map_err(|_| bad_username())?;
    let details = Details { username: Some(username.clone()), ..Details::default() };
    let user = channels.accounts.register(Register { name, email, password, details, proof: Proof::Link }).await?;
    let message = "User registered successfully. Please confirm your e-mail address.";
    let user = json!({
        "id": user.number,
        "username": username.into_string(),
        "email": user.email_text(),
        "is_staff": false,
        "is_superuser": false,
    });
    Ok((StatusCode::CREATED, Json(json!({"message": message, "user": user}))).into_response())
}
