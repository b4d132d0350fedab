//! Changes of an account, field by field, so that concurrent changes of different fields do not overwrite each other.

use crate::domain::{
    AccountStatus, BirthDate, CodePurpose, Email, NameParts, PendingCode, PendingCodes, Profile, Role, Sessions,
    Timestamp, TokenDigest, User,
};

/// A change of an account; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// A new name.
    pub name: Option<String>,
    /// A new address.
    pub email: Option<Email>,
    /// A new password hash.
    pub password_hash: Option<String>,
    /// A new role.
    pub role: Option<Role>,
    /// A new status.
    pub status: Option<AccountStatus>,
    /// How the pending codes change.
    pub codes: CodesChange,
    /// Changed fields of the profile.
    pub profile: ProfileChange,
    /// Which tokens are revoked. A new password, and any status but active, revoke all of them.
    pub sessions: SessionsChange,
    /// What must hold for the account to be changed.
    pub condition: UserCondition,
}

impl UserChange {
    /// Which tokens this change revokes.
    pub(crate) fn ended_sessions(&self) -> SessionsChange {
        let shuts_out = self.status.is_some_and(|status| status != AccountStatus::Active);
        if self.password_hash.is_some() || shuts_out { SessionsChange::EndAll } else { self.sessions }
    }
}

/// What must hold for an account to be changed: what the change was decided upon. Otherwise nothing changes, as if there were no such account.
#[derive(Debug, Clone, Default)]
pub struct UserCondition {
    /// It is not blocked.
    pub unless_blocked: bool,
    /// It has this address.
    pub email: Option<Email>,
    /// It has this password hash.
    pub password_hash: Option<String>,
    /// It has this code for this purpose, with as many failures.
    pub code: Option<(CodePurpose, PendingCode)>,
}

impl UserCondition {
    /// Whether it holds for an account.
    pub(crate) fn holds(&self, user: &User) -> bool {
        let Self { unless_blocked, email, password_hash, code } = self;
        !(*unless_blocked && user.status == AccountStatus::Blocked)
            && email.as_ref().is_none_or(|email| user.email.as_ref() == Some(email))
            && password_hash.as_ref().is_none_or(|hash| user.password_hash.as_ref() == Some(hash))
            && code.as_ref().is_none_or(|(purpose, code)| user.pending_codes.get(purpose) == Some(code))
    }
}

/// A change of a profile; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// A new username.
    pub username: Option<String>,
    /// New parts of the name.
    pub name_parts: Option<NameParts>,
    /// A new address; empty for none.
    pub contact_email: Option<String>,
    /// A new phone number; empty for none.
    pub phone: Option<String>,
    /// A new date of birth.
    pub birth_date: Option<BirthDate>,
    /// Whether the visitor's session ends. Only a new visitor gets one.
    pub ends_session: bool,
}

impl ProfileChange {
    /// Applies the change.
    pub(crate) fn make(self, profile: &mut Profile) {
        let Self { username, name_parts, contact_email, phone, birth_date, ends_session } = self;
        profile.username = username.or(profile.username.take());
        profile.name_parts = name_parts.or(profile.name_parts.take());
        if let Some(email) = contact_email {
            profile.contact_email = email;
        }
        if let Some(phone) = phone {
            profile.phone = phone;
        }
        profile.birth_date = birth_date.or(profile.birth_date);
        if ends_session {
            profile.session = None;
        }
    }
}

/// Which tokens of an account are revoked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SessionsChange {
    /// None.
    #[default]
    Keep,
    /// All that were issued so far.
    EndAll,
    /// This one, which expires then.
    EndOne(TokenDigest, Timestamp),
}

impl SessionsChange {
    /// Applies the change.
    pub(crate) fn make(self, sessions: &mut Sessions, at: Timestamp) {
        match self {
            Self::Keep => {}
            Self::EndAll => sessions.end_all(at),
            Self::EndOne(token, until) => sessions.end_one(token, until, at),
        }
    }
}

/// A change of an account's pending codes.
#[derive(Debug, Clone, Default)]
pub enum CodesChange {
    /// Nothing.
    #[default]
    Keep,
    /// Sets the code for a purpose, in place of an earlier one.
    Put(CodePurpose, PendingCode),
    /// Removes the code for a purpose.
    Remove(CodePurpose),
    /// Removes all codes.
    RemoveAll,
}

impl CodesChange {
    /// Applies the change.
    pub(crate) fn make(self, codes: &mut PendingCodes) {
        match self {
            Self::Keep => {}
            Self::Put(purpose, code) => drop(codes.insert(purpose, code)),
            Self::Remove(purpose) => drop(codes.remove(&purpose)),
            Self::RemoveAll => codes.clear(),
        }
    }
}
