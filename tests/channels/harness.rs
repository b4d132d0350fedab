//! Servers and clients of this suite. The websocket stays raw: the tests check close codes, refused handshakes and
//! invalid frames.

use std::sync::Arc;
use std::time::Duration;

use deskline::domain::{AccountStatus, Clock as _, PendingCodes, Profile, Role, SystemClock, User, UserId};
use deskline::store::{NewUser, Stores};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

pub(crate) use crate::shared::server::TestServer;

/// Timeout of anything that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for something that must not happen.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), flags).await
    }

    /// A server on the data file in this folder.
    pub(crate) async fn start_in(folder: tempfile::TempDir, flags: &[&str]) -> Self {
        Self::open(folder, &[&["--offline-grace", "300ms"], flags].concat(), Arc::new(SystemClock)).await
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Creates an account with the password `secret-1`, and the beginning of its address as its user name.
    pub(crate) async fn account(&self, name: &str, email: &str, role: Role) -> User {
        make_account(&self.stores, name, email, role).await
    }

    /// What follows `marker` in the next mail, up to the end of the line.
    pub(crate) async fn mailed(&self, marker: &str) -> String {
        let mail = timeout(PATIENCE, async { self.mails.lock().await.recv().await }).await.unwrap().unwrap();
        mail.text.split_once(marker).unwrap().1.lines().next().unwrap().to_owned()
    }

    pub(crate) fn token(&self, user: &User) -> String {
        self.tokens.issue_pair(user, "", SystemClock.now()).access
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, who: &Who, body: Option<Value>) -> Answer {
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        request = match who {
            Who::Nobody => request,
            Who::Bearer(token) => request.bearer_auth(token),
            Who::Session(secret) => request.header("cookie", format!("sessionid={secret}")),
        };
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Answer::of(request.send().await.unwrap()).await
    }

    /// Sends a form with a message.
    pub(crate) async fn upload(&self, who: &Who, form: reqwest::multipart::Form) -> Answer {
        let Who::Bearer(token) = who else { panic!("uploads need a token") };
        let request = self.http.post(format!("{}/api/chat/messages/", self.url));
        Answer::of(request.bearer_auth(token).multipart(form).send().await.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, who: &Who) -> Answer {
        self.ask("GET", path, who, None).await
    }

    pub(crate) async fn post(&self, path: &str, who: &Who, body: Value) -> Answer {
        self.ask("POST", path, who, Some(body)).await
    }

    pub(crate) async fn socket(&self, path: &str) -> Socket {
        self.try_socket(path, None).await.unwrap()
    }

    /// The same, from a page of this origin.
    pub(crate) async fn try_socket_from(&self, path: &str, origin: &str) -> Result<Socket, u16> {
        Socket::try_connect(self.address(), path, &[("origin", origin.to_owned())]).await
    }

    /// Opens a socket; an error is the status of a refused handshake.
    pub(crate) async fn try_socket(&self, path: &str, session: Option<&str>) -> Result<Socket, u16> {
        let cookie = session.map(|session| ("cookie", format!("sessionid={session}")));
        Socket::try_connect(self.address(), path, cookie.as_slice()).await
    }

    /// The same, with these headers.
    pub(crate) async fn try_socket_with(&self, path: &str, headers: &[(&'static str, String)]) -> Result<Socket, u16> {
        Socket::try_connect(self.address(), path, headers).await
    }

    /// Number of stored attachments.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(self.folder().join("deskline.db.files")).map_or(0, Iterator::count)
    }

    /// Opens a visitor's conversation. Returns its id and the session.
    pub(crate) async fn visit(&self, name: &str) -> (String, Who) {
        let body = serde_json::json!({"customer_name": name, "customer_email": format!("{name}@example.com")});
        let made = self.post("/api/public/chat-rooms/", &Who::Nobody, body).await;
        assert_eq!(made.status, 201, "{}", made.json);
        (made.json["id"].as_str().unwrap().to_owned(), made.session().unwrap())
    }
}

/// Creates an account with the password `secret-1`, and the beginning of its address as its user name.
pub(crate) async fn make_account(stores: &Stores, name: &str, email: &str, role: Role) -> User {
    let now = SystemClock.now();
    let new = NewUser {
        id: UserId::generate(now),
        name: name.into(),
        email: Some(email.parse().unwrap()),
        password_hash: Some(bcrypt::hash("secret-1", 4).unwrap()),
        role,
        status: AccountStatus::Active,
        pending_codes: PendingCodes::new(),
        profile: Profile { username: email.split('@').next().map(str::to_owned), ..Profile::default() },
        at: now,
    };
    stores.users.create_user(new).await.unwrap()
}

/// Credentials of a request.
#[derive(Debug, Clone)]
pub(crate) enum Who {
    Nobody,
    Bearer(String),
    Session(String),
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) json: Value,
    /// The first cookie it sets, apart from the one for attachments, which every sign-in sets.
    pub(crate) cookie: Option<String>,
    pub(crate) challenge: Option<String>,
}

impl Answer {
    pub(crate) async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        let header =
            |name| headers.get(name).map(|value: &reqwest::header::HeaderValue| value.to_str().unwrap().to_owned());
        let mut cookies = headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap());
        let cookie = cookies.find(|cookie| !cookie.starts_with("media=")).map(str::to_owned);
        Answer { status, json, cookie, challenge: header("www-authenticate") }
    }

    /// The session that it starts.
    pub(crate) fn session(&self) -> Option<Who> {
        let secret = self.cookie.as_ref()?.strip_prefix("sessionid=")?.split(';').next()?;
        Some(Who::Session(secret.to_owned()))
    }
}

/// The names of an object's fields, sorted.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A websocket. Answers pings only while it is read, like a busy page.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn connect(address: &str, path: &str) -> Self {
        Self::try_connect(address, path, &[]).await.unwrap()
    }

    /// Opens a socket; an error is the status of a refused handshake.
    async fn try_connect(address: &str, path: &str, headers: &[(&'static str, String)]) -> Result<Self, u16> {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
        let mut request = format!("ws://{address}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        match connect_async(request).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    /// Sends a frame, unless the socket is closed.
    pub(crate) async fn try_send(&mut self, frame: &Value) {
        drop(self.0.send(Message::text(frame.to_string())).await);
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        timeout(PATIENCE, self.next_or_end()).await.expect("no frame in time").expect("the socket was closed")
    }

    /// The next frame of this type; others before it are dropped.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next frame; an error is the close code.
    pub(crate) async fn next_or_end(&mut self) -> Result<Value, u16> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map_or(1005, |frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(1006),
            }
        }
    }

    /// The close code; frames before it are dropped.
    pub(crate) async fn end(&mut self) -> u16 {
        let end = async {
            loop {
                if let Err(code) = self.next_or_end().await {
                    return code;
                }
            }
        };
        timeout(PATIENCE, end).await.expect("the socket was not closed in time")
    }

    /// The next frame, if one arrives within [`SILENCE`].
    pub(crate) async fn hears(&mut self) -> Option<Value> {
        timeout(SILENCE, self.next()).await.ok()
    }

    /// Asserts that no frame of these types arrives within [`SILENCE`].
    pub(crate) async fn hears_none_of(&mut self, kinds: &[&str]) {
        let unwanted = async {
            loop {
                let frame = self.next_or_end().await;
                if frame.as_ref().map_or(true, |frame| kinds.iter().any(|kind| frame["type"] == *kind)) {
                    return frame;
                }
            }
        };
        if let Ok(frame) = timeout(SILENCE, unwanted).await {
            panic!("heard {frame:?}");
        }
    }
}
