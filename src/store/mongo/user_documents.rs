//! People as the replaced server keeps them, with our fields beside its own.

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, doc};
use serde::Deserialize;

use super::documents::{USERS, date, int, object_id, time, whole};
use crate::domain::{AccountStatus, Email, PendingCode, Role, Timestamp, User, UserId};
use crate::store::{NewUser, StoreError, UserChange};

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
    /// Ours: a mailed code that waits for its use.
    code: Option<CodeDocument>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CodeDocument {
    purpose: String,
    digest: String,
    expires_at: DateTime,
    failures: i64,
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
        let pending_code = match &document.code {
            None => None,
            Some(code) => Some(PendingCode {
                purpose: code.purpose.parse().map_err(|_| unreadable())?,
                digest: code.digest.clone(),
                expires_at: time(code.expires_at),
                failures: u32::try_from(code.failures).map_err(|_| unreadable())?,
            }),
        };
        let created_at = time(document.created_at.unwrap_or_else(|| document.id.timestamp()));
        Ok(Self {
            id: document.id(),
            number: whole(document.number.ok_or_else(unreadable)?),
            status: status.map_err(|_| unreadable())?,
            name: document.name.unwrap_or_default(),
            email: document.email.filter(|_| !document.visitor).map(Email::stored),
            password_hash: document.password,
            role,
            pending_code,
            created_at,
            updated_at: document.updated_at.map_or(created_at, time),
        })
    }
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
    if let Some(code) = &new.pending_code {
        document.insert("code", code_document(code));
    }
    document
}

/// The update that makes this change.
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
    match change.pending_code {
        None => {}
        Some(None) => drop(unset.insert("code", "")),
        Some(Some(code)) => drop(set.insert("code", code_document(&code))),
    }
    let mut update = doc! { "$set": set };
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    update
}

fn code_document(code: &PendingCode) -> Document {
    doc! {
        "purpose": code.purpose.word(),
        "digest": &code.digest,
        "expiresAt": date(code.expires_at),
        "failures": i64::from(code.failures),
    }
}

/// The old schema wants an address, and each only once. `.invalid` belongs to nobody.
fn placeholder(id: UserId) -> String {
    format!("visitor-{id}@visitor.invalid")
}
