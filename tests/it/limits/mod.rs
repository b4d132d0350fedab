//! What one address may do, over the wire: how much is enough, and what it is told then.

mod bans;
mod floods;
mod origin;
mod requests;
mod sessions;
