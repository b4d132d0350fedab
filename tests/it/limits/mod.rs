//! Limits by address and person, over the wire.

mod bans;
mod floods;
mod origin;
mod requests;
mod sessions;
