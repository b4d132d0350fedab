//! Rejects request heads that RFC 9112 forbids. hyper parses heads leniently. A proxy in front may parse the same bytes
//! differently, which allows request smuggling.

use axum::http::uri::{Authority, PathAndQuery};
use axum::http::{HeaderValue, Method, StatusCode, Uri, Version, header};
use axum::response::{IntoResponse, Response};
use hyper::Request;

/// Checks a head and returns it in origin form: only the path as its target, the host in `Host`.
///
/// Rejects, with the reason: a missing `Host` in HTTP/1.1, more than one, an invalid one; an absolute target that is not `http` or
/// `https`; `CONNECT`. An absolute target is accepted, as section 3.2.2 requires, and its host replaces that of `Host`.
pub(super) fn checked<B>(mut request: Request<B>) -> Result<Request<B>, &'static str> {
    if request.method() == Method::CONNECT {
        return Err("This server is not a proxy");
    }
    let hosts = request.headers().get_all(header::HOST);
    let mut hosts = hosts.iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if request.version() >= Version::HTTP_11 => return Err("The request has no Host"),
        (Some(_), Some(_)) => return Err("The request has more than one Host"),
        (Some(host), None) if !is_host(host) => return Err("The request has an invalid Host"),
        (None | Some(_), _) => {}
    }
    if let Some(authority) = request.uri().authority() {
        let is_web = matches!(request.uri().scheme_str(), Some("http" | "https"));
        let host = HeaderValue::from_str(authority.as_str()).ok().filter(|host| is_web && is_host(host));
        let Some(host) = host else { return Err("The request has an invalid target") };
        let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
        let Ok(target) = path.parse::<Uri>() else { return Err("The request has an invalid target") };
        *request.uri_mut() = target;
        request.headers_mut().insert(header::HOST, host);
    }
    Ok(request)
}

/// Whether a value is valid for `Host`: a name or an address, with or without a port.
fn is_host(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    // Empty is valid: RFC 9112 requires it if the target has no authority.
    bytes.is_empty() || (!bytes.iter().any(|byte| matches!(byte, b'@' | b',')) && Authority::try_from(bytes).is_ok())
}

/// The response to a malformed request. Closes the connection, since it is unknown where the next request begins.
pub(super) fn bad_request(why: &'static str) -> Response {
    (StatusCode::BAD_REQUEST, [(header::CONNECTION, "close")], why).into_response()
}

/// The response to a request whose body was late.
pub(super) fn too_slow() -> Response {
    (StatusCode::REQUEST_TIMEOUT, [(header::CONNECTION, "close")], "The request's body took too long").into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, hosts: &[&str]) -> Result<Request<()>, &'static str> {
        let mut request = Request::get(target).body(()).unwrap();
        for host in hosts {
            request.headers_mut().append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        checked(request)
    }

    #[test]
    fn exactly_one_valid_host_is_required() {
        for host in ["shop.test", "shop.test:3000", "[::1]:3000", "127.0.0.1", ""] {
            assert!(request("/health", &[host]).is_ok(), "{host}");
        }
        for hosts in
            [&[][..], &["a.test", "a.test"], &["a.test", "b.test"], &["a b"], &["u@a.test"], &["a/b"], &["a,b"]]
        {
            assert!(request("/health", hosts).is_err(), "{hosts:?}");
        }
        let mut old = Request::get("/health").body(()).unwrap();
        *old.version_mut() = Version::HTTP_10;
        assert!(checked(old).is_ok(), "HTTP/1.0 has no Host");
    }

    #[test]
    fn the_host_of_an_absolute_target_replaces_the_header() {
        let request_in_origin_form = request("http://shop.test:81/health?a=b", &["other.test"]).unwrap();
        assert_eq!(request_in_origin_form.uri(), "/health?a=b");
        assert_eq!(request_in_origin_form.headers()[header::HOST], "shop.test:81");
        assert!(request("ftp://shop.test/", &["shop.test"]).is_err());
        assert!(request("http://u@shop.test/", &["shop.test"]).is_err());
    }
}
