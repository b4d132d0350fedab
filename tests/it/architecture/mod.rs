//! Checks which modules may name which: collects the paths in the sources ([`reader`]) and applies the rules
//! ([`rules`]).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

mod reader;
mod rules;

use reader::{paths, test_modules};
use rules::{AREAS, RULES};

/// A module's path: `["desk", "send_message"]`.
type Place = Vec<String>;

#[test]
fn every_part_names_only_what_it_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    assert!(sources.len() > 50, "found only {} sources", sources.len());
    // A module that is declared for tests only is ignored, including the modules below it.
    let test_only: Vec<Place> = sources.iter().flat_map(|(place, text)| test_modules(place, text)).collect();
    let mut found = Vec::new();
    for (place, text) in &sources {
        if !test_only.iter().any(|module| place.starts_with(module)) {
            found.extend(violations(place, text));
        }
    }
    assert!(found.is_empty(), "{} violations:\n{}", found.len(), found.join("\n"));
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<(Place, String)>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).unwrap().with_extension("");
            let mut place: Place = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            if place.last().is_some_and(|last| last == "mod" || (place.len() == 1 && last == "lib")) {
                place.pop();
            }
            sources.push((place, fs::read_to_string(&path).unwrap()));
        }
    }
}

/// The paths in this source that a rule forbids.
fn violations(place: &Place, source: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let here = place.join("::");
    for path in paths(place, source) {
        for rule in RULES.iter().filter(|rule| (rule.binds)(place)) {
            if rule.forbids(&path) {
                found.insert(format!("{here} names {path}: {}", rule.says));
            }
        }
        if let ([first, own, ..], Some(rest)) = (place.as_slice(), path.strip_prefix("crate::faces::"))
            && first == "faces"
            && let Some(other) = rest.split("::").next()
            && !may_name(own, other)
        {
            found.insert(format!("{here} names {path}: no face names another, and what they share names none"));
        }
        if let Some(rest) = path.strip_prefix("crate::desk::")
            && let Some((area, inner)) = rest.split_once("::")
            && AREAS.contains(&area)
            && !place.starts_with(&at(&format!("desk::{area}")))
            && inner.starts_with(|c: char| c.is_ascii_lowercase())
        {
            found.insert(format!("{here} names {path}: an area of the desk is entered by its mod.rs"));
        }
    }
    found.into_iter().collect()
}

/// Whether modules in one folder of the faces may name another folder.
fn may_name(own: &str, other: &str) -> bool {
    let shared: &[&str] = match own {
        "dashboard" => &["http", "socketio"],
        "storefront" | "drivecash" => &["http", "channels"],
        "storefront_and_portal" => &["channels", "storefront", "drivecash"],
        "channels" | "socketio" | "limits" | "history_limit" => &["http"],
        "checks" => &["limits"],
        _ => &[],
    };
    own == other || shared.contains(&other)
}

fn at(place: &str) -> Place {
    place.split("::").map(str::to_owned).collect()
}

#[test]
fn planted_violations_are_found() {
    for (place, source) in [
        ("domain::entry", "use std::sync::Arc; use tokio::time::Instant;"),
        ("domain::user", "fn f() { let _ = crate::store::open(); }"),
        ("domain::user", "use super::super::store::StoreError;"),
        ("domain::user", "#[derive(serde::Serialize)] struct A;"),
        ("domain", "use std::{fmt, fs::File};"),
        ("desk::messages::send_message", "use serde_json::Value;"),
        ("desk::messages::send_message", "use crate::{domain::Seq, faces::{dashboard::rest, ops}};"),
        ("desk", "use crate::store::{StoreError, sqlite::SqliteStore};"),
        ("desk::attendance::connect", "fn f() { rusqlite::Connection::open(\"x\"); }"),
        ("faces::channels::media", "use super::super::storefront::wire;"),
        ("faces::dashboard::rest", "use socketioxide::SocketIo;"),
        ("faces::storefront", "use crate::faces::socketio;"),
        ("faces::socketio::polls", "use crate::faces::dashboard::wire;"),
        ("faces::console", "use crate::desk::Desk;"),
        ("faces::console", "use super::dashboard::rest::Caller;"),
        ("cli::serve", "use crate::faces::console; fn f() { console::routes() }"),
        ("accounts::log_in", "use crate::config::Config;"),
        ("store::mongo", "use rusqlite::Row as Line;"),
        ("presence", "use crate::desk::Desk;"),
        ("cli::serve", "use crate::desk::Desk; fn f() { Desk::open(a, b); }"),
        ("faces::ops", "fn f() { std::env::var(\"X\"); }"),
        ("desk::attendance::revalidate", "fn f() { let now = std::time::SystemTime::now(); }"),
        ("desk::attendance::revalidate", "use std::time::{Duration, SystemTime};"),
        ("accounts", "fn f() { time::OffsetDateTime::now_utc() }"),
        ("desk::delivery::resume", "use crate::desk::history::History;"),
        ("desk::log", "use super::messages::SendMessageError;"),
        ("desk::log::publish", "use crate::desk::attendance::Attendance;"),
        ("desk::messages::mark_read", "use crate::desk::delivery::cursors::Cursors;"),
        ("desk::attendance::drain", "use crate::desk::Desk;"),
        ("desk::directory", "use super::delivery::Delivery;"),
        ("faces::rest::chat", "use crate::desk::log::lanes::Lanes;"),
        ("app", "use crate::lab::testkit::socketio::Client;"),
    ] {
        assert!(!violations(&at(place), source).is_empty(), "not found in {place}: {source}");
    }
}

#[test]
fn allowed_paths_pass() {
    for (place, source) in [
        ("domain::entry", "use std::{fmt, sync::Arc}; use super::{Seq, UserId}; use crate::domain::ids::UserId;"),
        ("domain::entry", "/// Not [`tokio::time`]. \nstruct A; // rusqlite::Row"),
        ("domain::entry", "const A: &str = \"tokio::time\"; const B: &str = r#\"a \" serde::Serialize\"#;"),
        (
            "domain::entry",
            "fn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' } #[cfg(test)] mod tests { use tokio::x; }",
        ),
        (
            "desk::attendance::connect",
            "use crate::presence::Connection; use super::Attendance; use tokio::time::Instant;",
        ),
        ("faces::dashboard::socketio", "use super::wire::encode; use crate::faces::socketio::query::Query;"),
        ("store::sqlite::rows", "use rusqlite::Row; use crate::domain::Seq;"),
        ("app", "use crate::store::sqlite::SqliteStore; fn f() { Desk::open(a, b); }"),
        ("config::auth", "fn f() { std::env::var(\"X\"); }"),
        ("desk::log", "use super::attendance::Typing; fn f() -> impl Future + use<> { g(); }"),
        ("desk::delivery", "use cursors::Cursors; use super::directory::Directory;"),
    ] {
        assert_eq!(violations(&at(place), source), Vec::<String>::new(), "{place}: {source}");
    }
}

#[test]
fn modules_for_tests_alone_are_known_by_their_mark() {
    let source = "#[cfg(test)]\npub(crate) mod contract;\npub mod sqlite;\n#[cfg(test)] mod inline { fn f() {} }";
    assert_eq!(test_modules(&at("store"), source)[0], at("store::contract"));
    let source = "#[cfg(test)]\n#[path = \"token_tests.rs\"]\nmod tests;";
    assert!(test_modules(&at("auth::token"), source).contains(&at("auth::token_tests")));
}
