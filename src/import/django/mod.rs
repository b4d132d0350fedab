//! `deskline import --django-dump`: imports a dump of the storefront or the portal, written by `manage.py dumpdata`.
//!
//! Reading order: [`dump`] (the file), [`rows`] (its content), [`ids`], then what is imported, in this order: [`people`],
//! [`rooms`], [`logs`] with their [`files`]; [`report`].
//!
//! A second run changes nothing, and one with a newer dump imports what is new: ids of accounts and conversations are derived from
//! their rows, and messages have client message ids that are.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use super::End;
use crate::store::{AppendError, RestoreError, SaveUserError, StoreError};

mod dump;
mod files;
mod ids;
mod logs;
mod people;
mod report;
mod rooms;
mod rows;

pub use dump::Dump;
use ids::Ids;
use people::People;
pub use report::{Note, Noted, Report, Tally};

/// Which of the two products a dump is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// The storefront.
    Storefront,
    /// The portal.
    Drivecash,
}

/// Distinguishes the rows of one old database from those of another: 1 to 32 letters, digits and hyphens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source(String);

/// The text cannot be the name of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name of 1 to 32 letters, digits and hyphens")]
pub struct SourceError;

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fits { Ok(Self(text.to_ascii_lowercase())) } else { Err(SourceError) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Product> for Source {
    fn from(product: Product) -> Self {
        let name = match product {
            Product::Storefront => "storefront",
            Product::Drivecash => "drivecash",
        };
        Self(name.to_owned())
    }
}

/// How to import a dump.
#[derive(Debug, Clone)]
pub struct Options {
    /// The name of the database that it comes from: that of the product, if there is only one.
    pub source: Option<Source>,
    /// The old server's `MEDIA_ROOT`, from which attachments are copied.
    pub media: Option<PathBuf>,
    /// The folder in which attachments are stored.
    pub files: PathBuf,
    /// Whether to merge an account into the existing one with the same address, rooms included. Only safe if both servers confirm
    /// addresses by mail: otherwise, somebody who has claimed another person's address gets access to that person's messages.
    pub joins_accounts: bool,
}

/// Why an import failed. What was imported until then stays.
#[derive(Debug, thiserror::Error)]
pub enum DjangoError {
    /// The file is missing, or cannot be read.
    #[error("cannot read {0}")]
    File(PathBuf, #[source] io::Error),
    /// The file is not a dump, or is damaged.
    #[error("{0} is not a dump of `manage.py dumpdata`")]
    Dump(PathBuf, #[source] serde_json::Error),
    /// The file is in UTF-16, as some shells write it.
    #[error(
        "{0} is in UTF-16\nhint: write the dump with `manage.py dumpdata --output FILE`, or convert it: iconv -f UTF-16 -t UTF-8"
    )]
    Utf16(PathBuf),
    /// The file was changed during the import.
    #[error("cannot re-read a row")]
    Reading(#[source] io::Error),
    /// The dump has rooms of both products.
    #[error("the dump has rooms of both products\nhint: make a dump of each product")]
    TwoProducts,
    /// The dump has no users and no rooms.
    #[error(
        "the dump has no users and no rooms\nhint: dump the app with ChatRoom and ChatMessage, and the one with the users"
    )]
    Nothing,
    /// An attachment could not be copied.
    #[error("cannot copy {0}")]
    Copy(PathBuf, #[source] io::Error),
    /// An entry was not stored.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// An account clashes with another one.
    #[error(transparent)]
    SaveUser(#[from] SaveUserError),
    /// The target has something else in its place.
    #[error(transparent)]
    Restore(#[from] RestoreError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports a dump. Reports the progress in rows.
///
/// # Errors
/// [`DjangoError`]; what was imported so far stays, and the next run continues from there.
pub async fn import(
    dump: &Dump,
    to: &End,
    options: &Options,
    progress: impl Fn(u64) + Sync,
) -> Result<Report, DjangoError> {
    let source = options.source.clone().unwrap_or_else(|| dump.product.into());
    let mut taking = Taking {
        dump,
        to,
        options,
        ids: Ids::new(source),
        people: People::default(),
        report: Report::default(),
        looked_at: 0,
        progress: &progress,
    };
    taking.note_omissions();
    taking.take_people().await?;
    taking.take_rooms().await?;
    Ok(taking.report)
}

/// An import in progress.
struct Taking<'a> {
    dump: &'a Dump,
    to: &'a End,
    options: &'a Options,
    ids: Ids,
    people: People,
    report: Report,
    looked_at: u64,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl Taking<'_> {
    fn look(&mut self, rows: usize) {
        self.looked_at += rows as u64;
        (self.progress)(self.looked_at);
    }

    fn note_omissions(&mut self) {
        for (model, count) in &self.dump.others {
            let note = match model.rsplit('.').next().unwrap_or_default() {
                "otp" => Note::Code,
                "chatnotification" => Note::Notification,
                _ => Note::Elsewhere,
            };
            self.report.note_many(model, note, *count, None::<&str>);
        }
        for (model, keys) in &self.dump.unreadable {
            for key in keys {
                self.report.note(model, Note::Unreadable, key);
            }
        }
    }
}
