//! The Channels face over the wire: real sockets, the real server, both dialects.
#![cfg(test)]

mod access;
mod accounts;
mod attachments;
mod bans;
mod capability;
mod coming_back;
mod cross;
mod deleted_people;
mod desk_identity;
mod django;
#[path = "../support/dump.rs"]
mod dump;
mod floods;
mod frames;
mod golden_drivecash;
mod golden_storefront;
mod harness;
mod head;
mod heartbeat;
mod history;
mod hostile;
mod listeners;
mod media;
mod names;
mod overview;
mod own_account;
mod pages;
mod panel;
mod portal_pages;
mod program;
mod receipts;
mod recording;
mod removed;
mod revise;
mod rooms;
mod routes;
mod sessions;
#[expect(dead_code, unused_imports, reason = "this suite has its own accounts and clients")]
#[path = "../support/mod.rs"]
mod shared;
mod surrogates;
mod typing;
mod unknown_paths;
mod usernames;
