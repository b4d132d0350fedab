//! An event on its way to one person.

use std::any::Any;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::{DeskEvent, Person};

/// An event, and the person it goes to. All their connections share it.
pub struct Outgoing<'a> {
    /// What happened.
    pub event: &'a DeskEvent,
    /// Who it goes to, which decides what it shows.
    pub viewer: &'a Person,
    /// It is replayed from the log: if there is no room for it, it is retried.
    pub is_replay: bool,
    /// What has been encoded for them already.
    pub frames: &'a Frames,
}

impl Outgoing<'_> {
    /// Whether it shows the link to a file, which starts with the address by which its client reaches this server.
    #[must_use]
    pub fn shows_link(&self) -> bool {
        match self.event {
            DeskEvent::Entry(event) => event.attachment_path.is_some(),
            DeskEvent::Typing(_) | DeskEvent::Presence(_) | DeskEvent::Status(_) => false,
        }
    }
}

/// Encoded once per person, dialect and address of the server, however many connections they have.
#[derive(Default)]
pub struct Frames {
    encoded: Mutex<Vec<(Key, Arc<dyn Any + Send + Sync>)>>,
}

/// The dialect, and the address with which links begin; none if there is no link.
type Key = (&'static str, Option<Box<str>>);

impl Frames {
    /// The result of the first `encode` for this dialect, and for this address of the server if links show it.
    pub fn get_or_encode<T: Send + Sync + 'static>(
        &self,
        dialect: &'static str,
        server_url: Option<&str>,
        encode: impl FnOnce() -> T,
    ) -> Arc<T> {
        let mut encoded = self.encoded.lock();
        let is_it = |(name, url): &Key| *name == dialect && url.as_deref() == server_url;
        let known = encoded.iter().find(|(key, _)| is_it(key)).map(|(_, frame)| frame.clone());
        if let Some(frame) = known.and_then(|frame| frame.downcast::<T>().ok()) {
            return frame;
        }
        let frame = Arc::new(encode());
        encoded.push(((dialect, server_url.map(Into::into)), frame.clone()));
        frame
    }
}
