//! People as the replaced server keeps them, with our fields beside its own.

use std::collections::BTreeMap;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, bson, doc};
use serde::Deserialize;

use super::documents::{USERS, date, int, object_id, time, whole};
use super::session_documents;
use crate::domain::{AccountStatus, CodePurpose, Email, PendingCode, PendingCodes, Role, Timestamp, User, UserId};
use crate::store::{CodesChange, NewUser, StoreError, UserChange};

/// An account, as the old server or we have written it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserDocument {
    #[serde(rename = "_id")]
    id: ObjectId,
    name: Option<String>,
    email: Option<String>,
    password: Option<String>,
    role: Option<String>,
    status: Option<String>,
    created_at: Option<DateTime>,
    updated_at: Option<DateTime>,
    /// Ours; the old server's accounts get theirs when they are first read.
    pub(super) number: Option<i64>,
    /// Ours: the address is a placeholder.
    #[serde(default)]
    visitor: bool,
    /// Ours: mailed codes that wait for their use, by purpose.
    #[serde(default)]
    codes: BTreeMap<String, CodeDocument>,
    /// The only one, as an earlier version has kept it. It goes with the next change of any.
    code: Option<OnlyCodeDocument>,
    /// Ours: since which second tokens count.
    #[serde(default)]
    sessions_valid_from: i64,
    /// Ours: tokens that were logged out, by digest, and until when that is remembered.
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
    pub(super) fn id(&self) -> UserId {
        UserId::from_bytes(self.id.bytes())
    }
}

impl TryFrom<UserDocument> for User {
    type Error = StoreError;

    fn try_from(document: UserDocument) -> Result<Self, StoreError> {
        let unreadable = || StoreError::Corrupt(format!("account {} in {USERS}", document.id));
        // What the old server leaves out has its schema's default.
        let role = document.role.as_deref().map_or(Ok(Role::Customer), str::parse).map_err(|_| unreadable())?;
        let status = document.status.as_deref().map_or(Ok(AccountStatus::Unverified), str::parse);
        let only = document.code.as_ref().map(|only| (&only.purpose, &only.code));
        let pending_codes: Option<PendingCodes> = only.into_iter().chain(&document.codes).map(pending_code).collect();
        let created_at = time(document.created_at.unwrap_or_else(|| document.id.timestamp()));
        Ok(Self {
            id: document.id(),
            number: whole(document.number.ok_or_else(unreadable)?),
            status: status.map_err(|_| unreadable())?,
            name: document.name.unwrap_or_default(),
            email: document.email.filter(|_| !document.visitor).map(Email::stored),
            password_hash: document.password,
            role,
            pending_codes: pending_codes.ok_or_else(unreadable)?,
            sessions: session_documents::read(document.sessions_valid_from, &document.ended_tokens),
            created_at,
            updated_at: document.updated_at.map_or(created_at, time),
        })
    }
}

/// `None` if it cannot be understood.
fn pending_code((purpose, code): (&String, &CodeDocument)) -> Option<(CodePurpose, PendingCode)> {
    let CodeDocument { digest, expires_at, failures } = code;
    let failures = u32::try_from(*failures).ok()?;
    Some((purpose.parse().ok()?, PendingCode { digest: digest.clone(), expires_at: time(*expires_at), failures }))
}

/// A new account in the old shape, with our fields beside it.
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
    document
}

/// The update that makes this change, but for the tokens that end with it.
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

/// The old schema wants an address, and each only once. `.invalid` belongs to nobody.
fn placeholder(id: UserId) -> String {
    format!("visitor-{id}@visitor.invalid")
}
