//! The report: what was imported or skipped, and why.

use std::collections::BTreeMap;
use std::fmt;

/// How many rows of a kind are listed.
const NAMED: usize = 3;

/// A remark about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Note {
    /// It is malformed.
    #[error("could not be read (dump without --natural-foreign and --natural-primary)")]
    Unreadable,
    /// It is not imported.
    #[error("not part of the chat")]
    Elsewhere,
    /// It is a one-time code.
    #[error("one-time codes expire within minutes; new ones are mailed")]
    Code,
    /// It is a notification.
    #[error("notifications are derived from unread messages")]
    Notification,
    /// Another account has the address.
    #[error("another account has the e-mail address (--join-accounts merges them)")]
    AddressTaken,
    /// Another conversation has the UUID.
    #[error("another conversation has the room's id")]
    RoomTaken,
    /// The room was not imported.
    #[error("the room was not imported")]
    NoRoom,
    /// It is empty.
    #[error("has neither text nor file")]
    Blank,
    /// It was merged into the account with the same address.
    #[error("merged into the account with the same e-mail address, which keeps its password")]
    Joined,
    /// Somebody else has the number.
    #[error("got another number, so their old tokens must not be accepted: use another --jwt-secret")]
    UserNumberTaken,
    /// Another conversation has the number.
    #[error("got another number: old links to /ws/chat/<number>/ lead elsewhere")]
    RoomNumberTaken,
    /// Somebody else has the username.
    #[error("imported without the user name, which is taken")]
    UsernameTaken,
    /// It has no address, a malformed one, or that of an earlier account.
    #[error("has no e-mail address of its own: can log in with the user name, gets no mail")]
    NoAddress,
    /// The password hash is of an unsupported kind.
    #[error("unsupported kind of password hash: the password must be reset")]
    Password,
    /// A customer has one conversation.
    #[error("keeps its own link, since its customer has another conversation or is an agent")]
    Apart,
    /// Somebody else wrote on the customer's side.
    #[error("not by the room's customer, but shown under the customer's name")]
    NotTheCustomer,
    /// Its author is unknown.
    #[error("by an unknown agent, shown as another agent's")]
    UnknownAgent,
    /// It was read, but an older one was not.
    #[error("counts as unread, since an older one is unread")]
    UnreadAgain,
    /// The message that it replies to was not imported.
    #[error("replies to a message that was not imported")]
    NoAnswered,
    /// Its file is missing.
    #[error("the attachment's file was not found; only its name was imported (run again with --media)")]
    NoFile,
    /// The conversation has changed since.
    #[error("has newer messages: read marks and status stay as they are")]
    MovedOn,
}

impl Note {
    /// Whether the row was skipped.
    #[must_use]
    pub const fn is_left_out(self) -> bool {
        use Note::{AddressTaken, Blank, Code, Elsewhere, NoRoom, Notification, RoomTaken, Unreadable};
        matches!(self, Unreadable | Elsewhere | Code | Notification | AddressTaken | RoomTaken | NoRoom | Blank)
    }
}

/// The rows with a remark.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noted {
    /// How many.
    pub count: u64,
    /// The keys of the first few.
    pub keys: Vec<String>,
}

/// The result for the rows of one model.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Imported by this run.
    pub taken: u64,
    /// Imported by an earlier run.
    pub already: u64,
    /// Remarks.
    pub notes: BTreeMap<Note, Noted>,
}

/// The result of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// By the name of the model in the dump.
    pub models: BTreeMap<String, Tally>,
}

impl Report {
    pub(super) fn taken(&mut self, model: &str, is_new: bool) {
        let tally = self.tally(model);
        *if is_new { &mut tally.taken } else { &mut tally.already } += 1;
    }

    pub(super) fn note(&mut self, model: &str, note: Note, key: impl fmt::Display) {
        self.note_many(model, note, 1, Some(key));
    }

    pub(super) fn note_many(&mut self, model: &str, note: Note, count: u64, key: Option<impl fmt::Display>) {
        let noted = self.tally(model).notes.entry(note).or_default();
        noted.count += count;
        if noted.keys.len() < NAMED {
            noted.keys.extend(key.map(|key| key.to_string()));
        }
    }

    fn tally(&mut self, model: &str) -> &mut Tally {
        self.models.entry(model.to_owned()).or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (model, tally) in &self.models {
            let left_out: u64 =
                tally.notes.iter().filter(|(note, _)| note.is_left_out()).map(|(_, noted)| noted.count).sum();
            writeln!(f, "{model}: {} imported, {} existing, {left_out} skipped", tally.taken, tally.already)?;
            for (note, Noted { count, keys }) in &tally.notes {
                let mark = if note.is_left_out() { "skipped" } else { "imported" };
                write!(f, "  {count} {mark}: {note}")?;
                if !keys.is_empty() {
                    let more = if keys.len() as u64 == *count { "" } else { ", ..." };
                    write!(f, " [{}{more}]", keys.join(", "))?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
