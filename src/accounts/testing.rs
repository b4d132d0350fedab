//! Accounts over a real store in a temporary folder, with a fixed clock and a mailer that collects mails.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc};

use super::{AccountParts, Accounts};
use crate::auth::token::DEFAULT_LIFETIME;
use crate::auth::{Passwords, Secret, Tokens};
use crate::domain::{AccountStatus, Email, FixedClock, PendingCodes, Profile, Role, Timestamp, User, UserId};
use crate::limits::Bans;
use crate::mail::{Mail, MailError, Mailer};
use crate::store::sqlite::SqliteStore;
use crate::store::{NewUser, Stores, UserChange, UserKey};

pub(crate) struct Fixture {
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) changed: broadcast::Receiver<UserId>,
    pub(crate) mails: mpsc::UnboundedReceiver<Mail>,
    pub(crate) stores: Stores,
    _folder: TempDir,
}

struct KeepingMailer(mpsc::UnboundedSender<Mail>);

#[async_trait]
impl Mailer for KeepingMailer {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        self.0.send(mail).map_err(|_| MailError::NotAccepted("the test is over".into()))
    }
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stores = SqliteStore::open(&folder.path().join("deskline.db")).unwrap().stores();
        let clock = Arc::new(FixedClock::at(Timestamp::from_millis(1_795_249_336_000)));
        let tokens = Arc::new(Tokens::new(&Secret::from("mysecretkey"), DEFAULT_LIFETIME));
        let (changed_sender, changed) = broadcast::channel(16);
        let (sender, mails) = mpsc::unbounded_channel();
        let accounts = Accounts::new(AccountParts {
            users: Arc::clone(&stores.users),
            mailer: Arc::new(KeepingMailer(sender)),
            passwords: Passwords::quick(),
            tokens: Arc::clone(&tokens),
            clock: clock.clone(),
            bans: Arc::new(Bans::new(clock.clone())),
            client_url: "http://localhost:5173/".into(),
            changed: changed_sender,
        });
        Self { accounts, clock, tokens, changed, mails, stores, _folder: folder }
    }

    /// An account with the password `secret1`, hashed as the replaced server did.
    pub(crate) async fn account(&self, email: &str, role: Role, status: AccountStatus) -> User {
        let at = Timestamp::from_millis(1_795_249_336_000);
        let email: Email = email.parse().unwrap();
        let password_hash = Some(bcrypt::hash("secret1", 4).unwrap());
        let (id, name, email) = (UserId::generate(at), email.local_part().to_owned(), Some(email));
        let new = NewUser {
            id,
            name,
            email,
            password_hash,
            role,
            status,
            pending_codes: PendingCodes::new(),
            profile: Profile::default(),
            at,
        };
        self.stores.users.create_user(new).await.unwrap()
    }

    pub(crate) async fn user(&self, id: UserId) -> User {
        self.stores.users.user(id).await.unwrap().unwrap()
    }

    pub(crate) async fn by_email(&self, email: &str) -> User {
        self.stores.users.find_user(UserKey::Email(&email.parse().unwrap())).await.unwrap().unwrap()
    }

    pub(crate) async fn set_status(&self, id: UserId, status: AccountStatus) {
        let change = UserChange { status: Some(status), ..UserChange::default() };
        self.stores.users.update_user(id, change, Timestamp::from_millis(0)).await.unwrap();
    }

    /// The text after `marker` in the next mail, up to the end of the line.
    pub(crate) async fn mailed(&mut self, marker: &str) -> String {
        let mail = tokio::time::timeout(Duration::from_secs(5), self.mails.recv()).await.unwrap().unwrap();
        mail.text.split_once(marker).unwrap().1.lines().next().unwrap().to_owned()
    }
}
