//! The cookies of a request.

use axum::http::{HeaderMap, header};
use cookie::Cookie;

/// All cookies of a request, in the order in which they were sent. Malformed ones are skipped.
///
/// Values are neither unquoted nor percent-decoded.
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = Cookie<'_>> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(Cookie::split_parse).filter_map(Result::ok)
}

/// The value of the first cookie with this name. It may be empty.
#[must_use]
pub fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    cookies(headers).find(|cookie| cookie.name() == name).and_then(|cookie| cookie.value_raw())
}

/// Whether a request has a cookie with any of these names.
pub(super) fn has_cookie(headers: &HeaderMap, names: &[&str]) -> bool {
    cookies(headers).any(|cookie| names.contains(&cookie.name()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn odd_cookies_are_read_as_they_were_sent() {
        for (lines, value) in [
            (&["token=x"][..], Some("x")),
            (&["a=b; token=x"], Some("x")),
            (&["a=b;token=x"], Some("x")),
            (&["a=b;  token=x  "], Some("x")),
            (&[" token = x "], Some("x")),
            (&["token=x; token=y"], Some("x")),
            (&["a=b", "token=x", "token=y"], Some("x")),
            (&["token=; token=y"], Some("")),
            (&["token=a=b="], Some("a=b=")),
            (&["token==x"], Some("=x")),
            (&[r#"token="x""#], Some(r#""x""#)),
            (&[r#"token="x"#], Some(r#""x"#)),
            (&["token=%41+b"], Some("%41+b")),
            (&["token=a,b"], Some("a,b")),
            (&["token=x; Path=/; HttpOnly"], Some("x")),
            (&["$Version=1;;; =y; z; token=x;"], Some("x")),
            (&["a=caf\u{e9}; token=y", "token=x"], Some("x")),
            (&["token"], None),
            (&["TOKEN=x"], None),
            (&["xtoken=x; token2=y"], None),
            (&["=x", "", ";", "; ;"], None),
            (&[], None),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_bytes(line.as_bytes()).unwrap());
            }
            assert_eq!(cookie_value(&headers, "token"), value, "{lines:?}");
            assert_eq!(has_cookie(&headers, &["sessionid", "token"]), value.is_some(), "{lines:?}");
        }
    }
}
