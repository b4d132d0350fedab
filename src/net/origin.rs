//! Which pages may use the server, and protection against cross-site request forgery.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;
use url::{Origin, Position, Url};

use super::cookies::has_cookie;
use super::refusal::refusal;

/// Schemes whose pages have an opaque origin, or that are not of pages.
const NOT_PAGES: [&str; 9] = ["about", "blob", "data", "file", "ftp", "javascript", "mailto", "ws", "wss"];

/// Cookies that authenticate: the dashboard's, and those of the storefront's customers and panels.
const CREDENTIAL_COOKIES: [&str; 3] = ["token", "sessionid", "panel"];

/// The URL of a frontend, e.g. `https://shop.example.com`: its pages may use the server, and links in mails lead there.
/// `https://*.example.com` means every name below `example.com`, but not `example.com`; `capacitor://localhost` is an app.
///
/// ```
/// use deskline::net::ClientUrl;
/// let url: ClientUrl = " https://Shop.Example.com:443/desk/".parse().unwrap();
/// assert_eq!((url.as_str(), url.origin()), ("https://Shop.Example.com:443/desk", "https://shop.example.com"));
/// assert!("*".parse::<ClientUrl>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientUrl {
    /// As configured, without a final slash.
    text: String,
    /// As a browser sends it; for a wildcard, `https://*.example.com`.
    origin: String,
}

/// Why a text is not a [`ClientUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClientUrlError {
    /// `*`: any origin.
    #[error("browsers refuse `*` for requests with credentials\nhint: name each origin, like https://shop.example.com")]
    Everybody,
    /// A `*` that is not the first part of a host name.
    #[error("`*` is only allowed as the first part of a host name\nhint: write https://*.example.com")]
    Wildcard,
    /// Not a URL, or one that no page has.
    #[error("not an origin like https://shop.example.com")]
    NoAddress,
}

impl ClientUrl {
    /// The URL as configured, without a final slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The origin as a browser sends it: without a path, and without the default port.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether a link can lead there: it is HTTP or HTTPS, and has no wildcard.
    #[must_use]
    pub fn is_page(&self) -> bool {
        self.origin.starts_with("http") && self.wildcard().is_none()
    }

    /// For a wildcard: the scheme with `://`, and the suffix that a host must have.
    fn wildcard(&self) -> Option<(&str, &str)> {
        self.origin.split_once('*')
    }
}

impl FromStr for ClientUrl {
    type Err = ClientUrlError;

    fn from_str(text: &str) -> Result<Self, ClientUrlError> {
        let text = text.trim().trim_end_matches('/');
        if text == "*" {
            return Err(ClientUrlError::Everybody);
        }
        let plain = text.replacen("://*.", "://", 1);
        if plain.contains('*') {
            return Err(ClientUrlError::Wildcard);
        }
        let url = Url::parse(&plain).map_err(|_| ClientUrlError::NoAddress)?;
        // The parser corrects these, as browsers do, but links begin with the text as configured.
        let is_malformed =
            !plain.contains("://") || plain.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\');
        let has_more = url[..Position::BeforeHost].contains('@') || url.query().is_some() || url.fragment().is_some();
        if is_malformed || has_more || !url.has_host() || NOT_PAGES.contains(&url.scheme()) {
            return Err(ClientUrlError::NoAddress);
        }
        let (text, origin) = (text.to_owned(), origin_of(&url));
        if plain == text {
            return Ok(Self { text, origin });
        }
        // `https://*.com` would allow every shop in the world.
        let is_narrow = url.host_str().is_some_and(|host| host.contains('.') || host == "localhost");
        let origin = origin.replacen("://", "://*.", 1);
        if is_narrow { Ok(Self { text, origin }) } else { Err(ClientUrlError::Wildcard) }
    }
}

/// The origin of a URL as a browser writes it: in lower case, without a path and without the default port.
fn origin_of(url: &Url) -> String {
    match url.origin() {
        origin @ Origin::Tuple(..) => origin.ascii_serialization(),
        // Apps have schemes of their own, such as `capacitor://localhost`.
        Origin::Opaque(_) => {
            format!("{}://{}", url.scheme(), url[Position::BeforeHost..Position::AfterPort].to_ascii_lowercase())
        }
    }
}

/// The same for a text; `None` if it is not a URL, such as the `null` of a page with an opaque origin.
fn read_origin(text: &str) -> Option<String> {
    Url::parse(text).ok().filter(Url::has_host).map(|url| origin_of(&url))
}

/// The origins whose pages may use the server. Clones share them.
#[derive(Debug, Clone)]
pub struct Origins(Arc<Known>);

#[derive(Debug)]
struct Known {
    clients: Vec<ClientUrl>,
    /// Origins of the server itself.
    own: Vec<String>,
}

impl Origins {
    /// The origins of `clients`, and `own`, those of the server itself.
    #[must_use]
    pub fn new(clients: &[ClientUrl], own: &[String]) -> Self {
        Self(Arc::new(Known {
            clients: clients.to_vec(),
            own: own.iter().filter_map(|url| read_origin(url)).collect(),
        }))
    }

    /// The origin, if there is only one.
    pub(super) fn only(&self) -> Option<String> {
        match self.0.clients.as_slice() {
            [only] if only.wildcard().is_none() => Some(only.origin().to_owned()),
            _ => None,
        }
    }

    /// Whether the settings name this origin.
    #[must_use]
    pub fn names(&self, origin: &str) -> bool {
        read_origin(origin).is_some_and(|origin| self.has_client(&origin))
    }

    /// The same for an origin as a browser writes it.
    fn has_client(&self, origin: &str) -> bool {
        self.0.clients.iter().any(|client| match client.wildcard() {
            None => client.origin() == origin,
            Some((scheme, below)) => origin
                .strip_prefix(scheme)
                .and_then(|host| host.strip_suffix(below))
                .is_some_and(|name| !name.is_empty()),
        })
    }

    /// Whether a page of this origin may use the server: one that the settings name, or one of the server itself. `host`: the `Host`
    /// of the request.
    #[must_use]
    pub fn allows(&self, origin: &str, host: Option<&str>) -> bool {
        let Some(origin) = read_origin(origin) else { return false };
        if self.has_client(&origin) || self.0.own.contains(&origin) {
            return true;
        }
        let is_known =
            |host: &str| self.0.own.iter().any(|own| own.split_once("://").is_some_and(|(_, own)| own == host));
        // Without a setting for this host, one of the server's own pages may have been loaded with or without TLS.
        host.filter(|host| !is_known(&host.to_ascii_lowercase())).is_some_and(|host| {
            ["http", "https"]
                .into_iter()
                .any(|scheme| read_origin(&format!("{scheme}://{host}")).as_ref() == Some(&origin))
        })
    }

    /// Returns a 403 response if the request was sent by a page of a foreign origin and is authenticated only by what the browser adds
    /// automatically, a cookie or a password. Applies to sockets and to requests that may change something.
    ///
    /// A token is accepted from any origin, since only a page that was given it can send it. The portal's sockets always check the
    /// origin, as those of the replaced server did. Programs send no `Origin`.
    #[must_use]
    pub fn refuse(&self, request: &Request) -> Option<Response> {
        let message = "Pages of this origin may not use this server";
        is_forged(self, request).then(|| refusal(StatusCode::FORBIDDEN, "forbidden", message, None))
    }
}

fn is_forged(origins: &Origins, request: &Request) -> bool {
    let (headers, path) = (request.headers(), request.uri().path());
    let text = |name: header::HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let is_socket = path.starts_with("/socket.io/") || path.starts_with("/ws/");
    match text(header::ORIGIN) {
        Some(origin) if origins.allows(origin, text(header::HOST)) => false,
        Some(_) => {
            let changes = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
            is_portal_socket(path) || ((is_socket || changes) && has_ambient_credentials(headers))
        }
        // A page can also send requests without an `Origin`, for an image or a script.
        None => {
            let is_cross_site = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
            is_socket && is_cross_site && has_ambient_credentials(headers)
        }
    }
}

fn is_portal_socket(path: &str) -> bool {
    let room = path.strip_prefix("/ws/chat/").map(|room| room.trim_end_matches('/'));
    room.is_some_and(|room| !room.is_empty() && room.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Whether the request has credentials that a browser adds automatically, whichever page sends it.
fn has_ambient_credentials(headers: &HeaderMap) -> bool {
    let mut authorizations = headers.get_all(header::AUTHORIZATION).iter().filter_map(|value| value.to_str().ok());
    let has_password =
        authorizations.any(|value| value.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic ")));
    has_password || has_cookie(headers, &CREDENTIAL_COOKIES)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(clients: &[&str], own: &[&str]) -> Origins {
        let clients: Vec<ClientUrl> = clients.iter().map(|url| url.parse().unwrap()).collect();
        Origins::new(&clients, &own.iter().map(|&url| url.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn an_origin_is_written_as_a_browser_writes_it() {
        for (url, origin) in [
            ("http://localhost:5173", "http://localhost:5173"),
            (" https://shop.test/ ", "https://shop.test"),
            ("https://SHOP.test:443/desk/", "https://shop.test"),
            ("http://shop.test:80", "http://shop.test"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("https://shop.test:80", "https://shop.test:80"),
            ("capacitor://localhost", "capacitor://localhost"),
            ("tauri://localhost", "tauri://localhost"),
            ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
            ("app://Desk.Example:8080", "app://desk.example:8080"),
            ("https://größe.test", "https://xn--gre-6ka8i.test"),
            ("https://shop.test:", "https://shop.test"),
        ] {
            assert_eq!(url.parse::<ClientUrl>().unwrap().origin(), origin);
        }
    }

    #[test]
    fn urls_that_no_page_has_are_rejected() {
        assert_eq!("*".parse::<ClientUrl>(), Err(ClientUrlError::Everybody));
        for text in [
            "",
            "/",
            "null",
            "shop.test",
            "ftp://shop.test",
            "https://",
            "https://a b",
            "https://a?b",
            "https://a#b",
            "https://u@a",
            "https://:p@a",
            "https:shop.test",
            "https:/shop.test",
            "https:\\\\shop.test",
            "https://shop\n.test",
            "https://shop.test/\tdesk",
            "https://shop.test:99999",
            "https://shop.test:x",
            "https://[::1",
            "https://a%00b",
            "localhost:5173",
            "about://blank",
            "file:///x",
            "javascript://x",
            "wss://shop.test",
        ] {
            assert_eq!(text.parse::<ClientUrl>(), Err(ClientUrlError::NoAddress), "{text}");
        }
        for text in
            ["https://*", "https://*.com", "https://a.*.test", "https://*a.test", "*://a.test", "https://*.*.test"]
        {
            assert_eq!(text.parse::<ClientUrl>(), Err(ClientUrlError::Wildcard), "{text}");
        }
    }

    #[test]
    fn a_wildcard_means_every_subdomain_and_nothing_else() {
        let origins = origins(&["https://*.example.com", "capacitor://localhost"], &[]);
        for origin in
            ["https://a.example.com", "https://a.b.example.com", "https://A.Example.com:443", "capacitor://localhost"]
        {
            assert!(origins.names(origin), "{origin}");
        }
        for origin in [
            "https://example.com",
            "https://.example.com.evil.test",
            "https://evilexample.com",
            "http://a.example.com",
            "https://a.example.com:444",
            "https://example.com.evil.test",
            "null",
            "",
            "https://localhost",
            "https://evil.test/.example.com",
            "https://evil.test#.example.com",
            "https://evil.test?.example.com",
            "https://evil.test\\.example.com",
            "https://u:p@evil.test",
            "https://a.example.com, https://evil.test",
        ] {
            assert!(!origins.names(origin), "{origin}");
        }
    }

    #[test]
    fn the_servers_own_pages_may_use_it() {
        let local = origins(&["http://localhost:5173"], &[]);
        assert!(local.allows("http://127.0.0.1:3000", Some("127.0.0.1:3000")), "the console");
        assert!(local.allows("https://chat.test", Some("chat.test")), "behind TLS");
        assert!(!local.allows("https://evil.test", Some("chat.test")));
        assert!(!local.allows("https://chat.test:8443", Some("chat.test")));
        assert!(!local.allows("null", Some("null")));
        let public = origins(&["http://localhost:5173"], &["https://chat.test"]);
        assert!(public.allows("https://chat.test", Some("chat.test")));
        assert!(!public.allows("http://chat.test", Some("chat.test")), "the setting says https");
    }

    #[test]
    fn credentials_that_a_browser_adds_are_accepted_from_known_pages_only() {
        let origins = origins(&["https://shop.test"], &[]);
        let asks = |method: &str, path: &str, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method).uri(path).header("host", "chat.test");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            is_forged(&origins, &request.body(axum::body::Body::empty()).unwrap())
        };
        let (cookie, basic) = (("cookie", "a=b; token=x"), ("authorization", "Basic eDp5"));
        for foreign in
            ["https://evil.test", "null", "https://shop.test.evil.test", "http://shop.test", "https://shop.test:444"]
        {
            for proof in [cookie, basic, ("cookie", "sessionid=x")] {
                for (method, path) in [
                    ("GET", "/socket.io/?EIO=4&transport=polling"),
                    ("GET", "/socket.io/?EIO=4&transport=websocket"),
                    ("POST", "/socket.io/?EIO=4&transport=polling&sid=x"),
                    ("GET", "/ws/chat/0191d9a0-0000-7000-8000-000000000000/"),
                    ("POST", "/api/public/chat-rooms/"),
                ] {
                    assert!(asks(method, path, &[("origin", foreign), proof]), "{foreign} {proof:?} {method} {path}");
                    assert!(!asks(method, path, &[("origin", "https://shop.test"), proof]));
                    assert!(!asks(method, path, &[proof]), "programs send no origin");
                }
            }
            assert!(
                !asks("GET", "/socket.io/?EIO=4&transport=polling", &[("origin", foreign)]),
                "it has to send a token"
            );
            assert!(!asks("POST", "/api/auth/login", &[("origin", foreign), ("authorization", "Bearer x")]));
            assert!(asks("GET", "/ws/chat/12/?token=x", &[("origin", foreign)]), "as the replaced server did");
        }
        assert!(!asks("GET", "/ws/chat/12/?token=x", &[("origin", "https://shop.test")]));
        assert!(asks("GET", "/socket.io/?EIO=4&transport=polling", &[("sec-fetch-site", "cross-site"), cookie]));
        assert!(!asks("GET", "/socket.io/?EIO=4&transport=polling", &[("sec-fetch-site", "same-origin"), cookie]));
    }
}
