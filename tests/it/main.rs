//! The server as its clients and its operator see it: real sockets, a real data file, and sometimes a real process.
//!
//! Names are sentences. Nothing waits without a deadline, and what is random prints its seed.
#![cfg(test)]

mod architecture;
mod backup;
mod caching;
mod chat;
mod data_files;
mod delivery;
mod dependencies;
mod escaped_names;
mod exit_codes;
mod faults;
mod hostile;
mod limits;
mod load;
mod log_rate;
mod mistakes;
mod model;
mod odd_json;
mod older_connections;
mod operation;
mod own_entries;
mod peers;
mod presence;
mod protocol;
mod prove;
mod recovery;
mod settings_page;
#[expect(dead_code, reason = "the other suites need a little more")]
#[path = "../support/mod.rs"]
mod shared;
mod spelling;
mod support;
mod transport;
mod unread_log;
mod unread_websockets;
mod unreadable_receipts;
mod verify;
