//! Accounts in the replaced server's shape, with additional fields of ours.

use std::collections::BTreeMap;

use bson::{Bson, DateTime, Document, bson, deserialize_from_document, doc};
use serde::Deserialize;

use super::documents::{USERS, date, int, object_id, time, whole};
use super::profiles::{self, PROFILE, ProfileDocument};
use super::{malformed_accounts, session_documents};
use crate::domain::{
    AccountStatus, CodePurpose, Email, PendingCode, PendingCodes, Role, Sessions, Timestamp, User, UserId,
};
use crate::store::{CodesChange, NewUser, StoreError, UserChange};

/// An account, written by the old server or by us.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserDocument {
    #[serde(rename = "_id")]
    id: Bson,
    // The old server's fields. Other programs can bypass its schema, so they may have any type.
    name: Option<Bson>,
    email: Option<Bson>,
    password: Option<Bson>,
    role: Option<Bson>,
    status: Option<Bson>,
    created_at: Option<Bson>,
    updated_at: Option<Bson>,
    /// Ours; accounts of the old server get one when they are first read.
    pub(super) number: Option<i64>,
    /// Ours: the address is a placeholder.
    #[serde(default)]
    visitor: bool,
    /// Ours: pending mailed codes, by purpose.
    #[serde(default)]
    codes: BTreeMap<String, CodeDocument>,
    /// The only code, as an earlier version stored it. Removed with the next change of any code.
    code: Option<OnlyCodeDocument>,
    /// Ours: the profile.
    #[serde(default, rename = "personalDetails")]
    profile: ProfileDocument,
    /// Ours: the second from which tokens are valid.
    #[serde(default)]
    sessions_valid_from: i64,
    /// Ours: tokens that were logged out, by digest, and when they expire.
    #[serde(default)]
    ended_tokens: BTreeMap<String, DateTime>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodeDocument {
    digest: String,
    expires_at: DateTime,
    failures: i64,
}

#[derive(Debug, Deserialize)]
struct OnlyCodeDocument {
    purpose: String,
    #[serde(flatten)]
    code: CodeDocument,
}

impl UserDocument {
    /// `None` if it cannot be a user id; the document is not an account then.
    pub(super) fn id(&self) -> Option<UserId> {
        self.id.as_object_id().map(|id| UserId::from_bytes(id.bytes()))
    }

    /// Which tokens are revoked.
    pub(super) fn sessions(&self) -> Sessions {
        session_documents::read(self.sessions_valid_from, &self.ended_tokens)
    }

    /// The id as it is stored, for log lines.
    pub(super) fn raw_id(&self) -> &Bson {
        &self.id
    }
}

/// The old server's own fields of an account.
struct OldFields {
    name: Option<String>,
    email: Option<String>,
    password_hash: Option<String>,
    role: Role,
    status: AccountStatus,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    /// Fields that could not be read.
    odd: Vec<&'static str>,
}

impl OldFields {
    /// Missing fields have the defaults of the old server's schema.
    fn of(document: &UserDocument) -> Self {
        let mut reading = Reading::default();
        Self {
            name: reading.text("name", document.name.as_ref()),
            email: reading.text("email", document.email.as_ref()),
            password_hash: reading.text("password", document.password.as_ref()),
            role: reading.word("role", document.role.as_ref(), Role::Customer, Role::Customer),
            status: reading.word("status", document.status.as_ref(), AccountStatus::Unverified, AccountStatus::Blocked),
            created_at: reading.time("createdAt", document.created_at.as_ref()),
            updated_at: reading.time("updatedAt", document.updated_at.as_ref()),
            odd: reading.odd,
        }
    }
}

/// The malformed fields of an account; `None` if the document is not an account.
pub(super) fn odd_fields(document: Document) -> Option<Vec<&'static str>> {
    let document: UserDocument = deserialize_from_document(document).ok()?;
    document.id()?;
    Some(OldFields::of(&document).odd)
}

/// Reads the fields of an account as far as possible. A field that is not a text or date counts as missing, an unknown
/// role as the least one, an unknown status as blocked.
#[derive(Default)]
struct Reading {
    odd: Vec<&'static str>,
}

impl Reading {
    fn text(&mut self, field: &'static str, value: Option<&Bson>) -> Option<String> {
        match value {
            None | Some(Bson::Null | Bson::Undefined) => None,
            Some(Bson::String(text)) => Some(text.clone()),
            Some(_) => self.missing(field),
        }
    }

    fn time(&mut self, field: &'static str, value: Option<&Bson>) -> Option<Timestamp> {
        match value {
            None | Some(Bson::Null | Bson::Undefined) => None,
            Some(Bson::DateTime(at)) => Some(time(*at)),
            Some(_) => self.missing(field),
        }
    }

    /// Parses a word; `default` if it is missing, `least` if it is unknown.
    fn word<T: std::str::FromStr>(&mut self, field: &'static str, value: Option<&Bson>, default: T, least: T) -> T {
        let before = self.odd.len();
        match self.text(field, value) {
            Some(word) => word.parse().unwrap_or_else(|_| {
                self.odd.push(field);
                least
            }),
            None if self.odd.len() > before => least,
            None => default,
        }
    }

    fn missing<T>(&mut self, field: &'static str) -> Option<T> {
        self.odd.push(field);
        None
    }
}

impl TryFrom<UserDocument> for User {
    type Error = StoreError;

    fn try_from(document: UserDocument) -> Result<Self, StoreError> {
        let raw_id = document.id.clone();
        let unreadable = || StoreError::Corrupt(format!("account {raw_id} in {USERS}"));
        let object_id = document.id.as_object_id().ok_or_else(unreadable)?;
        let id = UserId::from_bytes(object_id.bytes());
        let OldFields { name, email, password_hash, role, status, created_at, updated_at, odd } =
            OldFields::of(&document);
        malformed_accounts::note(id, &odd);
        let only = document.code.as_ref().map(|only| (&only.purpose, &only.code));
        let pending_codes: Option<PendingCodes> = only.into_iter().chain(&document.codes).map(pending_code).collect();
        let created_at = created_at.unwrap_or_else(|| time(object_id.timestamp()));
        Ok(Self {
            id,
            number: whole(document.number.ok_or_else(unreadable)?),
            status,
            name: name.unwrap_or_default(),
            email: email.filter(|_| !document.visitor).map(Email::stored),
            password_hash,
            role,
            pending_codes: pending_codes.ok_or_else(unreadable)?,
            sessions: document.sessions(),
            profile: document.profile.into(),
            created_at,
            updated_at: updated_at.unwrap_or(created_at),
        })
    }
}

/// `None` if it is malformed.
fn pending_code((purpose, code): (&String, &CodeDocument)) -> Option<(CodePurpose, PendingCode)> {
    let CodeDocument { digest, expires_at, failures } = code;
    let failures = u32::try_from(*failures).ok()?;
    Some((purpose.parse().ok()?, PendingCode { digest: digest.clone(), expires_at: time(*expires_at), failures }))
}

/// A new account in the old shape, with our fields in addition.
pub(super) fn new_user(new: &NewUser, number: u64) -> Document {
    let mut document = doc! {
        "_id": object_id(new.id.bytes()),
        "name": &new.name,
        "email": new.email.as_ref().map_or_else(|| placeholder(new.id), |email| email.as_str().to_owned()),
        "googleId": null,
        "role": new.role.word(),
        "status": new.status.word(),
        "otp": null,
        "createdAt": date(new.at),
        "updatedAt": date(new.at),
        "__v": 0,
        "number": int(number),
    };
    if let Some(hash) = &new.password_hash {
        document.insert("password", hash);
    }
    if new.email.is_none() {
        document.insert("visitor", true);
    }
    if !new.pending_codes.is_empty() {
        let codes = new.pending_codes.iter().map(|(purpose, code)| (purpose.word().to_owned(), code_document(code)));
        document.insert("codes", codes.collect::<Document>());
    }
    if let Some(profile) = profiles::written(&new.profile) {
        document.insert(PROFILE, profile);
    }
    document
}

/// The update for this change, except for the tokens that it revokes.
pub(super) fn changed(change: UserChange, at: Timestamp) -> Document {
    let mut set = doc! { "updatedAt": date(at) };
    let mut unset = Document::new();
    if let Some(name) = change.name {
        set.insert("name", name);
    }
    if let Some(email) = change.email {
        set.insert("email", email.as_str());
        unset.insert("visitor", "");
    }
    if let Some(hash) = change.password_hash {
        set.insert("password", hash);
    }
    if let Some(role) = change.role {
        set.insert("role", role.word());
    }
    if let Some(status) = change.status {
        set.insert("status", status.word());
    }
    let place = |purpose: CodePurpose| format!("codes.{}", purpose.word());
    if !matches!(change.codes, CodesChange::Keep) {
        unset.insert("code", "");
    }
    match change.codes {
        CodesChange::Keep => {}
        CodesChange::Put(purpose, code) => drop(set.insert(place(purpose), code_document(&code))),
        CodesChange::Remove(purpose) => drop(unset.insert(place(purpose), "")),
        CodesChange::RemoveAll => drop(unset.insert("codes", "")),
    }
    profiles::add_change(change.profile, &mut set, &mut unset);
    let mut update = doc! { "$set": set };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    update
}

fn code_document(code: &PendingCode) -> Bson {
    bson!({
        "digest": &code.digest,
        "expiresAt": date(code.expires_at),
        "failures": i64::from(code.failures),
    })
}

/// The old schema requires a unique address. Nobody can own a domain under `.invalid`.
fn placeholder(id: UserId) -> String {
    format!("visitor-{id}@visitor.invalid")
}
