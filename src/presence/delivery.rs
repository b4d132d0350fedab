//! An event on its way to one person.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use crate::domain::{DeskEvent, Person};

/// An event, and the person it goes to. All their connections share it.
pub struct Delivery<'a> {
    /// What happened.
    pub event: &'a DeskEvent,
    /// Who is told, which decides how it looks.
    pub viewer: &'a Person,
    /// It comes from the log, in the course of catching up: if there is no room for it, it is tried again.
    pub is_replay: bool,
    /// What was encoded for them already.
    pub frames: &'a Frames,
}

/// Encoded once per person and dialect, however many connections they have.
#[derive(Default)]
pub struct Frames {
    encoded: Mutex<Vec<(&'static str, Arc<dyn Any + Send + Sync>)>>,
}

impl Frames {
    /// What `encode` gave the first time for this dialect.
    pub fn get_or_encode<T: Send + Sync + 'static>(&self, dialect: &'static str, encode: impl FnOnce() -> T) -> Arc<T> {
        let mut encoded = self.encoded.lock().unwrap_or_else(PoisonError::into_inner);
        let known = encoded.iter().find(|(name, _)| *name == dialect).map(|(_, frame)| frame.clone());
        if let Some(frame) = known.and_then(|frame| frame.downcast::<T>().ok()) {
            return frame;
        }
        let frame = Arc::new(encode());
        encoded.push((dialect, frame.clone()));
        frame
    }
}
