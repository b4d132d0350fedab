//! The body of a request: a JSON object of bounded size, with strings of bounded length.

use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Refusal;
use crate::faces::http::body::{ReadBodyError, read_json_text};
use crate::json;

/// Largest body, in bytes.
pub const MAX_BODY: usize = 64 * 1024;

/// A JSON object, whatever the content type of the request. An empty body counts as `{}`.
///
/// Errors are `{success: false, message}`: 413 if it is larger than [`MAX_BODY`], otherwise 400.
#[derive(Debug, Clone, Copy)]
pub struct ApiJson<T>(pub T);

/// A string from a client: at most 4096 bytes, without NUL.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Text(String);

/// Longest string, in bytes.
const MAX_TEXT: usize = 4096;

impl TryFrom<String> for Text {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.len() > MAX_TEXT || text.contains('\0') {
            Err("not a string of at most 4096 bytes")
        } else {
            Ok(Self(text))
        }
    }
}

/// The value of a field; `None` if it is missing, `null` or empty, between which these clients do not distinguish.
pub(super) fn given(field: Option<Text>) -> Option<String> {
    field.map(|text| text.0).filter(|text| !text.is_empty())
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let object = read_json_text(request, MAX_BODY).await.map_err(|error| match error {
            ReadBodyError::TooLarge => Refusal::too_large("The request body is too large"),
            ReadBodyError::Unreadable => Refusal::bad_request("The request body could not be read"),
        })?;
        // serde would deserialize a list as a struct, field by field.
        if !object.starts_with(b"{") {
            return Err(Refusal::bad_request("The request body must be a JSON object"));
        }
        json::read(&object).map(Self).map_err(|error| {
            Refusal::bad_request(if error.is_data() {
                "The request body has a field of the wrong type"
            } else {
                "The request body is not valid JSON"
            })
        })
    }
}
