//! The file that `manage.py dumpdata` has written: a list of rows, `{"model", "pk", "fields"}`.
//!
//! It is streamed. Only the position of each row is held in memory, and for a message its room and the time by which it
//! is sorted: about 50 bytes a message.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::rows::{self, MessageKey, Pk, RoomFields, Row, UserFields};
use super::{DjangoError, Product};
use crate::domain::Timestamp;
use crate::json;

/// The position of a row in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowSpan {
    offset: u64,
    length: u32,
}

/// The data of a room that is held in memory.
#[derive(Debug, Clone)]
pub(super) struct RoomAt {
    pub(super) pk: u128,
    pub(super) span: RowSpan,
    pub(super) owner: Option<Owner>,
    pub(super) is_closed: bool,
    pub(super) last_message_at: Timestamp,
}

/// What identifies the customer of a room.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    Account(u64),
    Session(String),
}

/// The data of a message that is held in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MessageAt {
    pub(super) room: u128,
    pub(super) at: Timestamp,
    pub(super) pk: u64,
    offset: u64,
    length: u32,
}

impl MessageAt {
    pub(super) const fn span(&self) -> RowSpan {
        RowSpan { offset: self.offset, length: self.length }
    }
}

/// A dump, after the first pass.
pub struct Dump {
    file: Arc<File>,
    /// The product that it comes from.
    pub product: Product,
    pub(super) users: BTreeMap<u64, RowSpan>,
    pub(super) rooms: Vec<RoomAt>,
    /// By room, in the order in which they were sent.
    pub(super) messages: Vec<MessageAt>,
    /// The names of its models.
    pub(super) labels: Labels,
    /// Rows of models that are ignored.
    pub(super) others: BTreeMap<String, u64>,
    /// Malformed rows.
    pub(super) unreadable: BTreeMap<String, Vec<String>>,
}

/// The names of the models in a dump.
#[derive(Debug, Default)]
pub(super) struct Labels {
    pub(super) user: String,
    pub(super) room: String,
    pub(super) message: String,
}

impl Dump {
    /// Makes the first pass over a dump. Reports the progress in bytes. Blocks.
    ///
    /// # Errors
    /// [`DjangoError`] if it cannot be read, or is not a dump of one of the two products.
    pub fn read(path: &Path, progress: impl Fn(u64, u64)) -> Result<Self, DjangoError> {
        let failed = |error| DjangoError::File(path.to_owned(), error);
        let file = File::open(path).map_err(failed)?;
        let total = file.metadata().map_err(failed)?.len();
        let mut index = Index::default();
        let start = start(&file).map_err(failed)?;
        let start = start.ok_or_else(|| DjangoError::Utf16(path.to_owned()))?;
        scan(&file, start, |text, span| {
            index.take(text, span);
            progress(span.offset, total);
        })
        .map_err(|error| DjangoError::Dump(path.to_owned(), error))?;
        progress(total, total);
        index.messages.sort_unstable();
        Ok(Self {
            file: Arc::new(file),
            product: index.product()?,
            users: index.users,
            rooms: index.rooms,
            messages: index.messages,
            labels: index.labels,
            others: index.others,
            unreadable: index.unreadable,
        })
    }

    /// How many rows there are to import.
    #[must_use]
    pub fn rows(&self) -> u64 {
        (self.users.len() + self.rooms.len() + self.messages.len()) as u64
    }

    /// The rows at these positions.
    pub(super) async fn texts(&self, spans: Vec<RowSpan>) -> Result<Vec<String>, DjangoError> {
        let file = Arc::clone(&self.file);
        let read = tokio::task::spawn_blocking(move || spans.into_iter().map(|span| text(&file, span)).collect());
        read.await.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(DjangoError::Reading)
    }
}

fn text(mut file: &File, span: RowSpan) -> io::Result<String> {
    file.seek(SeekFrom::Start(span.offset))?;
    let mut bytes = vec![0; span.length as usize];
    file.read_exact(&mut bytes)?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// The offset at which the JSON begins, after a byte order mark. `None` if the file is in UTF-16.
fn start(mut file: &File) -> io::Result<Option<u64>> {
    let mut head = Vec::new();
    file.take(3).read_to_end(&mut head)?;
    let start = match *head.as_slice() {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] | [0, b'[', ..] | [b'[', 0, ..] => return Ok(None),
        [0xEF, 0xBB, 0xBF] => 3,
        _ => 0,
    };
    file.seek(SeekFrom::Start(start))?;
    Ok(Some(start))
}

/// Calls a function with each row and its position.
fn scan(file: &File, start: u64, each: impl FnMut(&str, RowSpan)) -> Result<(), serde_json::Error> {
    let read = Cell::new(start);
    let bytes = Counting { inner: BufReader::with_capacity(1 << 20, file), read: &read };
    let mut deserializer = serde_json::Deserializer::from_reader(bytes);
    deserializer.deserialize_seq(Rows { read: &read, each })?;
    deserializer.end()
}

/// Counts the bytes that the parser has read. It reads them one by one, and none after the end of an object.
struct Counting<'a, R> {
    inner: R,
    read: &'a Cell<u64>,
}

impl<R: io::Read> io::Read for Counting<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        self.read.set(self.read.get() + count as u64);
        Ok(count)
    }
}

struct Rows<'a, F> {
    read: &'a Cell<u64>,
    each: F,
}

impl<'de, F: FnMut(&str, RowSpan)> Visitor<'de> for Rows<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the list of rows that `manage.py dumpdata` writes")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<Box<RawValue>>()? {
            let text = row.get();
            let length = u32::try_from(text.len()).map_err(|_| serde::de::Error::custom("a row is too long"))?;
            (self.each)(text, RowSpan { offset: self.read.get().saturating_sub(length.into()), length });
        }
        Ok(())
    }
}

#[derive(Default)]
struct Index {
    users: BTreeMap<u64, RowSpan>,
    rooms: Vec<RoomAt>,
    messages: Vec<MessageAt>,
    labels: Labels,
    others: BTreeMap<String, u64>,
    unreadable: BTreeMap<String, Vec<String>>,
    has_uuids: bool,
    has_numbers: bool,
    has_user_types: bool,
}

impl Index {
    fn take(&mut self, text: &str, span: RowSpan) {
        let row: Row<'_> = match serde_json::from_str(text) {
            Ok(row) => row,
            Err(_) => return self.cannot_read("?", "a row without model, pk and fields"),
        };
        let model = row.model.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        let taken = match model.as_str() {
            "user" | "customuser" => self.take_user(&row, span),
            "chatroom" => self.take_room(&row, span),
            "chatmessage" => self.take_message(&row, span),
            _ => {
                *self.others.entry(row.model.to_string()).or_default() += 1;
                Some(())
            }
        };
        if taken.is_none() {
            self.cannot_read(&row.model, &row.pk.to_string());
        }
    }

    fn cannot_read(&mut self, model: &str, pk: &str) {
        self.unreadable.entry(model.to_owned()).or_default().push(pk.to_owned());
    }

    fn take_user(&mut self, row: &Row<'_>, span: RowSpan) -> Option<()> {
        let fields: UserFields = json::read(row.fields.get().as_bytes()).ok()?;
        let Pk::Number(pk) = row.pk else { return None };
        self.has_user_types |= fields.user_type.is_some();
        self.labels.user = row.model.to_string();
        self.users.insert(pk, span);
        Some(())
    }

    fn take_room(&mut self, row: &Row<'_>, span: RowSpan) -> Option<()> {
        let fields: RoomFields = json::read(row.fields.get().as_bytes()).ok()?;
        match row.pk {
            Pk::Number(_) => self.has_numbers = true,
            Pk::Text(_) => self.has_uuids = true,
        }
        let session = Some(fields.customer_session.as_str()).filter(|session| !session.is_empty());
        let owner = fields.user.map(Owner::Account).or_else(|| session.map(|session| Owner::Session(session.into())));
        self.labels.room = row.model.to_string();
        self.rooms.push(RoomAt {
            pk: row.pk.room()?,
            span,
            owner,
            is_closed: fields.is_closed(),
            last_message_at: rows::time(fields.last_message_at.as_ref().or(fields.updated_at.as_ref()))?,
        });
        Some(())
    }

    fn take_message(&mut self, row: &Row<'_>, span: RowSpan) -> Option<()> {
        let fields: MessageKey = json::read(row.fields.get().as_bytes()).ok()?;
        let Pk::Number(pk) = row.pk else { return None };
        self.labels.message = row.model.to_string();
        let RowSpan { offset, length } = span;
        let at = rows::time(Some(&fields.created_at))?;
        self.messages.push(MessageAt { room: fields.room.room()?, at, pk, offset, length });
        Some(())
    }

    /// The storefront's rooms have UUIDs, the portal's have numbers.
    fn product(&self) -> Result<Product, DjangoError> {
        match (self.has_uuids, self.has_numbers) {
            (true, true) => Err(DjangoError::TwoProducts),
            (false, false) if self.users.is_empty() => Err(DjangoError::Nothing),
            (false, has_numbers) if has_numbers || self.has_user_types => Ok(Product::Drivecash),
            (true | false, _) => Ok(Product::Storefront),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn written(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[tokio::test]
    async fn a_row_is_read_again_at_its_position() {
        let rows = [
            r#"{"model": "chat.chatmessage", "pk": 2, "fields": {"room": 7, "created_at": "2026-11-21T08:00:01Z", "message": "é }] ü"}}"#,
            r#"{"model":"chat.chatmessage","pk":1,"fields":{"room":7,"created_at":"2026-11-21T08:00:00Z"}}"#,
            r#"{"model": "chat.chatroom", "pk": 7, "fields": {"user": 1, "updated_at": "2026-11-21T08:00:00Z"}}"#,
        ];
        let file = written(&format!("\n [ {} ,\n{},{}\n]\n", rows[0], rows[1], rows[2]));
        let dump = Dump::read(file.path(), |_, _| ()).unwrap();
        assert_eq!((dump.product, dump.rows()), (Product::Drivecash, 3));
        let spans = dump.messages.iter().map(MessageAt::span).chain([dump.rooms[0].span]).collect();
        assert_eq!(dump.texts(spans).await.unwrap(), [rows[1], rows[0], rows[2]]);
    }

    #[tokio::test]
    async fn a_byte_order_mark_is_skipped_and_utf_16_is_reported() {
        let row = r#"{"model": "chat.chatroom", "pk": 7, "fields": {"user": 1, "updated_at": "2026-11-21T08:00:00Z"}}"#;
        let dump = Dump::read(written(&format!("\u{feff}[{row}]")).path(), |_, _| ()).unwrap();
        assert_eq!(dump.texts(vec![dump.rooms[0].span]).await.unwrap(), [row]);
        let units: Vec<u16> = "\u{feff}[]".encode_utf16().collect();
        for bytes in [
            units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>(),
            units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
            units[1..].iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        ] {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(&bytes).unwrap();
            let refused = Dump::read(file.path(), |_, _| ()).err();
            assert!(matches!(refused, Some(DjangoError::Utf16(_))), "{bytes:?}: {refused:?}");
        }
    }

    #[test]
    fn files_that_are_not_dumps_are_refused() {
        for text in ["", "{}", "[", "[{}", "junk", "[] []"] {
            let refused = Dump::read(written(text).path(), |_, _| ()).err();
            assert!(matches!(refused, Some(DjangoError::Dump(..))), "{text}: {refused:?}");
        }
        for text in ["[]", r#"[{"model": "auth.group", "pk": 1, "fields": {}}]"#, "[5]"] {
            assert!(matches!(Dump::read(written(text).path(), |_, _| ()), Err(DjangoError::Nothing)), "{text}");
        }
    }
}
