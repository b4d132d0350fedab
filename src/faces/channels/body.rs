//! The body of a request: a JSON object of bounded size.

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Map, Value};

use super::reply::Problem;
use crate::faces::http::body::{ReadBodyError, read_json_text};
use crate::json;

/// Largest body, in bytes.
const MAX_BODY: usize = 256 << 10;

/// A JSON object. An empty body counts as `{}`.
#[derive(Debug, Default)]
pub(in crate::faces) struct Fields(pub(in crate::faces) Map<String, Value>);

impl Fields {
    /// A string field; `None` if it is missing or not a string.
    pub(in crate::faces) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// A number field: a JSON number, or a string of digits.
    pub(in crate::faces) fn number(&self, name: &str) -> Option<u64> {
        match self.0.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// Several string fields. The error names those that are missing or empty.
    pub(in crate::faces) fn required<const N: usize>(&self, names: [&'static str; N]) -> Result<[String; N], Problem> {
        let missing = |name: &&str| self.text(name).is_none_or(str::is_empty);
        let missing: Vec<_> =
            names.iter().filter(|name| missing(name)).map(|name| (*name, "This field is required.")).collect();
        if missing.is_empty() {
            Ok(names.map(|name| self.text(name).unwrap_or_default().to_owned()))
        } else {
            Err(Problem::fields(&missing))
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let text = read_json_text(request, MAX_BODY).await.map_err(|error| {
            let status = match error {
                ReadBodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                ReadBodyError::Unreadable => StatusCode::BAD_REQUEST,
            };
            Problem::error(status, &error.to_string())
        })?;
        match json::read(&text) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) => Err(Problem::detail(StatusCode::BAD_REQUEST, "Invalid data. Expected a dictionary.")),
            Err(error) => Err(Problem::detail(StatusCode::BAD_REQUEST, &format!("JSON parse error - {error}"))),
        }
    }
}
