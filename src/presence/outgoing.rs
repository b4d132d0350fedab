//! An event that is being sent to one person.

use std::any::Any;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::domain::{DeskEvent, Person};

/// An event and its recipient. All connections of the person share it.
pub struct Outgoing<'a> {
    /// The event.
    pub event: &'a DeskEvent,
    /// The recipient, which determines what is shown.
    pub viewer: &'a Person,
    /// Whether it is replayed from the log. If it does not fit into a queue, it is then retried.
    pub is_replay: bool,
    /// The frames that were already encoded for this person.
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

/// The frames of an event, encoded once per person, dialect and URL of the server, however many connections the person has.
#[derive(Default)]
pub struct Frames {
    encoded: Mutex<Vec<(Key, Arc<dyn Any + Send + Sync>)>>,
}

/// The dialect, and the URL with which links begin; `None` if there is no link.
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
