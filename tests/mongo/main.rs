//! The program on MongoDB: real processes, real sockets, and a real database.
//!
//! `DESKLINE_TEST_MONGO_URI` names the server; `scripts/test-mongo-server` starts one. Without it, these tests print
//! that they are skipped; with `CI=true`, they fail.
#![cfg(test)]

mod away;
mod beside;
mod coming_back;
mod desk_identity;
mod doubt;
#[path = "../support/dump.rs"]
mod dump;
mod failover;
mod golden;
mod import;
mod migration;
mod own_database;
mod prove;
mod proxy;
mod race;
#[expect(dead_code, reason = "this suite does not need the server in this process")]
#[path = "../support/mod.rs"]
mod shared;
mod support;
