//! The token in a request.

use axum::http::{HeaderMap, header};

use crate::auth::{TokenError, token_in_header};
use crate::net::cookie_value;

/// The token in the `Authorization` header, with or without `Bearer `; `None` if there is none.
///
/// # Errors
/// [`TokenError::Invalid`] if the header is not ASCII.
pub(in crate::faces) fn header_token(headers: &HeaderMap) -> Result<Option<&str>, TokenError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let token = token_in_header(value.to_str().map_err(|_| TokenError::Invalid)?);
    Ok(Some(token).filter(|token| !token.is_empty()))
}

/// The token in the cookie `token`; `None` if there is none.
pub(in crate::faces) fn cookie_token(headers: &HeaderMap) -> Option<&str> {
    cookie_value(headers, "token").filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(name: header::HeaderName, value: &'static [u8]) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_bytes(value).unwrap())])
    }

    #[test]
    fn an_empty_token_is_none_and_an_unreadable_header_is_invalid() {
        for (value, token) in [
            (&b"Bearer x"[..], Ok(Some("x"))),
            (b"x", Ok(Some("x"))),
            (b"Bearer ", Ok(None)),
            (b"Basic eDp5", Ok(None)),
            (b"", Ok(None)),
            ("Bearer \u{e9}".as_bytes(), Err(TokenError::Invalid)),
        ] {
            assert_eq!(header_token(&headers(header::AUTHORIZATION, value)), token, "{value:?}");
        }
        assert_eq!(header_token(&HeaderMap::new()), Ok(None));
        assert_eq!(cookie_token(&headers(header::COOKIE, b"token=x")), Some("x"));
        assert_eq!(cookie_token(&headers(header::COOKIE, b"token=")), None);
    }
}
