//! Imports users as accounts.

use std::collections::{HashMap, HashSet};

use super::dump::RowSpan;
use super::rows::{self, Row, UserFields};
use super::{DjangoError, Note, Product, Taking};
use crate::domain::{AccountStatus, Email, NameParts, PendingCodes, Profile, Role, Sessions, User, UserId};
use crate::json;
use crate::store::{NewUser, UserKey};

/// How many rows are read at once.
const CHUNK: usize = 500;

/// The maximum length of a name, in characters.
const MAX_NAME: usize = 100;

/// The account of a user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    pub(super) id: UserId,
    pub(super) is_agent: bool,
}

/// The accounts of the users of the dump.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) accounts: HashMap<u64, Account>,
    /// Accounts that were created from this dump.
    own: HashSet<UserId>,
    /// Agents by address and by username, as messages refer to them.
    pub(super) agents: HashMap<String, UserId>,
    /// The first agent, admins first: the author of messages without one.
    pub(super) first_agent: Option<(bool, UserId)>,
}

impl Taking<'_> {
    pub(super) async fn take_people(&mut self) -> Result<(), DjangoError> {
        let spans: Vec<(u64, RowSpan)> = self.dump.users.iter().map(|(pk, span)| (*pk, *span)).collect();
        for chunk in spans.chunks(CHUNK) {
            let texts = self.dump.texts(chunk.iter().map(|(_, span)| *span).collect()).await?;
            let fields = texts.iter().map(|text| {
                let row: Row<'_> = serde_json::from_str(text).ok()?;
                json::read::<UserFields>(row.fields.get().as_bytes()).ok()
            });
            for ((pk, _), fields) in chunk.iter().zip(fields) {
                if let Some(fields) = fields {
                    self.take_user(*pk, fields).await?;
                }
            }
            self.look(chunk.len());
        }
        Ok(())
    }

    async fn take_user(&mut self, pk: u64, fields: UserFields) -> Result<(), DjangoError> {
        let model = &self.dump.labels.user;
        let created_at = rows::time(fields.created_at.as_ref().or(fields.date_joined.as_ref())).unwrap_or_default();
        let id = self.ids.account(pk, created_at);
        let users = &self.to.stores.users;
        if let Some(kept) = users.user(id).await? {
            self.report.taken(model, false);
            self.people.own.insert(id);
            self.people.know(pk, &kept, &fields);
            return Ok(());
        }
        let addresses = [fields.email.as_deref(), fields.username.as_deref()];
        let mut email: Option<Email> = addresses.into_iter().flatten().find_map(|address| address.parse().ok());
        if let Some(taken) = &email
            && let Some(other) = users.find_user(UserKey::Email(taken)).await?
        {
            if self.people.own.contains(&other.id) {
                email = None;
            } else if self.options.joins_accounts {
                self.report.note(model, Note::Joined, pk);
                self.people.know(pk, &other, &fields);
                return Ok(());
            } else {
                self.report.note(model, Note::AddressTaken, pk);
                return Ok(());
            }
        }
        let email = email.unwrap_or_else(|| {
            self.report.note(model, Note::NoAddress, pk);
            // Nobody can own this domain. The account can log in with its username.
            Email::stored(format!("{pk}@{}.invalid", self.ids.source()))
        });
        let hash = password_hash(&fields.password);
        if hash.is_none() && !fields.password.starts_with('!') {
            self.report.note(model, Note::Password, pk);
        }
        let profile = self.profile(pk, &fields).await?;
        let user = User {
            id,
            number: pk,
            name: name_of(&fields, &email),
            email: Some(email),
            password_hash: hash,
            role: role(&fields),
            status: status(&fields, self.dump.product),
            pending_codes: PendingCodes::new(),
            sessions: Sessions::default(),
            profile,
            created_at,
            updated_at: rows::time(fields.updated_at.as_ref()).unwrap_or(created_at),
        };
        self.people.know(pk, &user, &fields);
        self.put(user).await?;
        self.people.own.insert(id);
        self.report.taken(model, true);
        Ok(())
    }

    /// Stores an account with its old number, which old tokens contain, unless another account has that number.
    async fn put(&mut self, user: User) -> Result<(), DjangoError> {
        if self.to.stores.users.find_user(UserKey::Number(user.number)).await?.is_none() && user.number > 0 {
            self.to.maintenance.restore_user(user).await?;
            return Ok(());
        }
        self.report.note(&self.dump.labels.user, Note::UserNumberTaken, user.number);
        let User { id, name, email, password_hash, role, status, pending_codes, profile, created_at: at, .. } = user;
        let new = NewUser { id, name, email, password_hash, role, status, pending_codes, profile, at };
        self.to.stores.users.create_user(new).await?;
        Ok(())
    }

    async fn profile(&mut self, pk: u64, fields: &UserFields) -> Result<Profile, DjangoError> {
        let mut username = fields.username.clone().filter(|username| !username.is_empty());
        if let Some(wanted) = &username
            && self.to.stores.users.find_user(UserKey::Username(wanted)).await?.is_some()
        {
            self.report.note(&self.dump.labels.user, Note::UsernameTaken, pk);
            username = None;
        }
        Ok(Profile {
            username,
            name_parts: Some(parts_of(fields)).filter(|parts| !parts.full().is_empty()),
            phone: fields.phone_number.clone().unwrap_or_default(),
            birth_date: fields.date_of_birth.as_ref().and_then(|date| date.parse().ok()),
            ..Profile::default()
        })
    }
}

impl People {
    fn know(&mut self, pk: u64, user: &User, fields: &UserFields) {
        let is_agent = user.role.is_agent();
        self.accounts.insert(pk, Account { id: user.id, is_agent });
        if !is_agent {
            return;
        }
        let names = [fields.email.as_ref(), fields.username.as_ref()].into_iter().flatten();
        self.agents.extend(names.filter(|name| !name.is_empty()).map(|name| (name.clone(), user.id)));
        let is_admin = user.role == Role::Admin;
        if self.first_agent.is_none_or(|(known_is_admin, _)| is_admin && !known_is_admin) {
            self.first_agent = Some((is_admin, user.id));
        }
    }
}

fn role(fields: &UserFields) -> Role {
    if fields.is_superuser || fields.user_type.as_deref() == Some("admin") {
        Role::Admin
    } else if fields.is_staff {
        Role::Agent
    } else {
        Role::Customer
    }
}

/// In the portal, an inactive account is unconfirmed; in the storefront, it is blocked.
fn status(fields: &UserFields, product: Product) -> AccountStatus {
    match (fields.is_active, fields.is_verified, product) {
        (Some(false), Some(false), Product::Drivecash) => AccountStatus::Unverified,
        (Some(false), _, _) => AccountStatus::Blocked,
        _ => AccountStatus::Active,
    }
}

fn name_of(fields: &UserFields, email: &Email) -> String {
    let full = parts_of(fields).full();
    let names = [&full, fields.username.as_ref().unwrap_or(&full)];
    let name = names.into_iter().map(|name| harmless(name)).find(|name| !name.is_empty());
    name.unwrap_or_else(|| email.local_part().to_owned())
}

/// The parts of the name, sanitized.
fn parts_of(fields: &UserFields) -> NameParts {
    let [first, last] =
        [&fields.first_name, &fields.last_name].map(|part| harmless(part.as_deref().unwrap_or_default()));
    NameParts::new(&first, &last)
}

/// Sanitizes a name.
pub(super) fn harmless(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    name.trim().chars().take(MAX_NAME).collect::<String>().trim_end().to_owned()
}

/// The password hash in our form; `None` for unsupported kinds, and for unusable passwords.
fn password_hash(hash: &str) -> Option<String> {
    if hash.starts_with("pbkdf2_sha256$") {
        return Some(hash.to_owned());
    }
    // Django puts the name of the algorithm before some hashes.
    let own = hash.strip_prefix("argon2").filter(|own| own.starts_with("$argon2id$"));
    own.or_else(|| hash.strip_prefix("bcrypt$").filter(|own| own.starts_with("$2"))).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_password_hashes_are_converted() {
        for (hash, taken) in [
            ("pbkdf2_sha256$1000000$salt$hash=", Some("pbkdf2_sha256$1000000$salt$hash=")),
            ("argon2$argon2id$v=19$m=102400,t=2,p=8$salt$hash", Some("$argon2id$v=19$m=102400,t=2,p=8$salt$hash")),
            ("bcrypt$$2b$12$saltsaltsalt", Some("$2b$12$saltsaltsalt")),
            ("bcrypt_sha256$$2b$12$saltsaltsalt", None),
            ("pbkdf2_sha1$1$salt$hash", None),
            ("!unusable", None),
            ("", None),
        ] {
            assert_eq!(password_hash(hash).as_deref(), taken, "{hash}");
        }
    }

    #[test]
    fn everybody_has_a_name() {
        let email = "ann@x.test".parse().unwrap();
        let name = |first: &str, last: &str, username: Option<&str>| {
            let text = |text: &str| Some(text.to_owned());
            let fields = UserFields {
                first_name: text(first),
                last_name: text(last),
                username: username.map(str::to_owned),
                ..UserFields::default()
            };
            name_of(&fields, &email)
        };
        assert_eq!(name("Ann", "Lee", None), "Ann Lee");
        assert_eq!(name("", "", Some("ann7")), "ann7");
        assert_eq!(name(" ", "\n", None), "ann");
    }
}
