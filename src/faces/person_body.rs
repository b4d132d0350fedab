//! A person as the Node product writes them, over REST and Socket.IO alike.

use serde::Serialize;

use crate::domain::event::SeenPerson;

#[derive(Serialize)]
pub(super) struct PersonBody<'a> {
    #[serde(rename = "_id")]
    id: String,
    name: &'a str,
    email: &'a str,
}

impl<'a> From<SeenPerson<'a>> for PersonBody<'a> {
    fn from(seen: SeenPerson<'a>) -> Self {
        Self { id: seen.id.to_string(), name: &seen.shown.name, email: &seen.shown.email }
    }
}
