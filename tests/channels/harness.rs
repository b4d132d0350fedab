//! The real server on port 0 over a temporary data file, and clients for both dialects.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser;
use deskline::app::{self, Parts};
use deskline::auth::{Secret, Tokens};
use deskline::config::Config;
use deskline::domain::{AccountStatus, Clock as _, PendingCodes, Role, SystemClock, User, UserId};
use deskline::mail::{Mail, MailError, Mailer};
use deskline::store::sqlite::SqliteStore;
use deskline::store::{NewUser, OpenStore, Profile, Stores};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;

/// How long anything that shall happen may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long is listened for what shall not happen.
pub(crate) const SILENCE: Duration = Duration::from_millis(250);

pub(crate) struct TestServer {
    pub(crate) address: String,
    pub(crate) stores: Stores,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) http: reqwest::Client,
    mails: Mutex<mpsc::UnboundedReceiver<Mail>>,
    stop: CancellationToken,
    folder: tempfile::TempDir,
}

/// Keeps what it is given.
struct Outbox(mpsc::UnboundedSender<Mail>);

#[async_trait]
impl Mailer for Outbox {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        self.0.send(mail).map_err(|_| MailError::NotTaken("the test is over".into()))
    }
}

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments).await
    }

    /// A server on what is in this folder.
    pub(crate) async fn start_in(folder: tempfile::TempDir, arguments: &[&str]) -> Self {
        let data = folder.path().join("deskline.db");
        let fixed = ["deskline", "--data", data.to_str().unwrap(), "--offline-grace", "300ms"];
        let config = Cli::try_parse_from(fixed.iter().chain(arguments)).unwrap().config.complete().unwrap();
        let store = OpenStore::Sqlite(SqliteStore::open(&data).unwrap());
        let stores = store.stores();
        let tokens = Arc::new(Tokens::new(&Secret::from("a-secret-for-tests"), Duration::from_hours(1)));
        let (outbox, mails) = mpsc::unbounded_channel();
        let parts = Parts {
            store,
            tokens: tokens.clone(),
            clock: Arc::new(SystemClock),
            mailer: Arc::new(Outbox(outbox)),
            lock: None,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move { app::serve(vec![listener], parts, &config, stopped).await.unwrap() });
        let http = reqwest::Client::builder().build().unwrap();
        Self { address, stores, tokens, http, mails: Mutex::new(mails), stop, folder }
    }

    /// An account with the password `secret-1`, and the beginning of its address as its username.
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
        let mut request = self.http.request(method.parse().unwrap(), format!("http://{}{path}", self.address));
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
        let Who::Bearer(token) = who else { panic!("who sends files has a token") };
        let request = self.http.post(format!("http://{}/api/chat/messages/", self.address));
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

    /// A socket that a page of this origin opens, or the status with which the handshake was refused.
    pub(crate) async fn try_socket_from(&self, path: &str, origin: &str) -> Result<Socket, u16> {
        Socket::try_connect(&self.address, path, &[("origin", origin.to_owned())]).await
    }

    /// A socket, or the status with which the handshake was refused.
    pub(crate) async fn try_socket(&self, path: &str, session: Option<&str>) -> Result<Socket, u16> {
        let cookie = session.map(|session| ("cookie", format!("sessionid={session}")));
        Socket::try_connect(&self.address, path, cookie.as_slice()).await
    }

    /// A socket whose handshake has these headers besides, or the status with which it was refused.
    pub(crate) async fn try_socket_with(&self, path: &str, headers: &[(&'static str, String)]) -> Result<Socket, u16> {
        Socket::try_connect(&self.address, path, headers).await
    }

    /// Stops it, as an operator would.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// How many attachments are kept.
    pub(crate) fn files(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("deskline.db.files")).map_or(0, Iterator::count)
    }

    /// A room made by a visitor: its id, and the session.
    pub(crate) async fn visit(&self, name: &str) -> (String, Who) {
        let body = serde_json::json!({"customer_name": name, "customer_email": format!("{name}@example.com")});
        let made = self.post("/api/public/chat-rooms/", &Who::Nobody, body).await;
        assert_eq!(made.status, 201, "{}", made.json);
        (made.json["id"].as_str().unwrap().to_owned(), made.session().unwrap())
    }
}

/// An account with the password `secret-1`, and the beginning of its address as its username.
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
        at: now,
    };
    let user = stores.users.create_user(new).await.unwrap();
    let username = email.split('@').next().map(str::to_owned);
    stores.profiles.save_profile(Profile { username, ..Profile::empty(user.id) }).await.unwrap();
    user
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Who asks.
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
    /// The first that it sets, but for that by which a browser is known that fetches files: every sign-in sets that one.
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

    /// The session that came with it.
    pub(crate) fn session(&self) -> Option<Who> {
        let secret = self.cookie.as_ref()?.strip_prefix("sessionid=")?.split(';').next()?;
        Some(Who::Session(secret.to_owned()))
    }
}

/// The names of an object's fields, in the order of the alphabet.
pub(crate) fn keys(object: &Value) -> Vec<&str> {
    object.as_object().unwrap().keys().map(String::as_str).collect()
}

/// A websocket client that answers pings only when it is read, like a page that is busy.
pub(crate) struct Socket(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    pub(crate) async fn connect(address: &str, path: &str) -> Self {
        Self::try_connect(address, path, &[]).await.unwrap()
    }

    /// A socket, or the status with which the handshake was refused.
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

    /// Sends a frame, unless the socket has ended.
    pub(crate) async fn try_send(&mut self, frame: &Value) {
        drop(self.0.send(Message::text(frame.to_string())).await);
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        timeout(PATIENCE, self.next_or_end()).await.expect("a frame in time").expect("a frame, not the end")
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

    /// The next frame, or the code with which the socket was closed.
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

    /// The code with which the socket is closed; frames before that are dropped.
    pub(crate) async fn end(&mut self) -> u16 {
        let end = async {
            loop {
                if let Err(code) = self.next_or_end().await {
                    return code;
                }
            }
        };
        timeout(PATIENCE, end).await.expect("the end in time")
    }

    /// The next frame, if one comes in a moment.
    pub(crate) async fn hears(&mut self) -> Option<Value> {
        timeout(SILENCE, self.next()).await.ok()
    }

    /// Asserts that no frame of these types comes for a moment.
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
