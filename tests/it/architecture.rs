//! Who may name whom: reads what the sources name, and holds it against the rules.
//!
//! It reads tokens, not meanings: comments, texts and what is compiled for tests alone are left out, `use` trees are
//! spread out, and `super::` and `self::` are resolved, so that `use crate::{a::b, c}` and `crate::a::b::f()` look alike.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A module's place: `["desk", "send_message"]`.
type Place = Vec<String>;

#[test]
fn every_part_names_only_what_it_may() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    collect(&root, &root, &mut sources);
    assert!(sources.len() > 50, "found only {} sources", sources.len());
    // A module that is declared for tests alone is left out together with what lies below it.
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

/// A rule: whom it binds, and what these must not name.
struct Rule {
    /// Says why, when it is broken.
    says: &'static str,
    /// Whether it binds this module.
    binds: fn(&Place) -> bool,
    /// Paths that must not be named; one ends anywhere below.
    forbids: &'static [&'static str],
}

/// Whether a module lies at or below a path.
fn within(place: &Place, path: &str) -> bool {
    let path: Vec<&str> = path.split("::").collect();
    place.len() >= path.len() && place.iter().zip(&path).all(|(have, want)| have == want)
}

/// Whether a module is, or lies below, one of several.
fn within_any(place: &Place, paths: &[&str]) -> bool {
    paths.iter().any(|path| within(place, path))
}

const RULES: &[Rule] = &[
    Rule {
        says: "domain does no I/O and knows no runtime, wire or driver",
        binds: |place| within(place, "domain"),
        forbids: &[
            "tokio",
            "tokio_util",
            "futures_util",
            "axum",
            "hyper",
            "tower",
            "tower_http",
            "socketioxide",
            "serde",
            "serde_json",
            "rusqlite",
            "mongodb",
            "lettre",
            "clap",
            "tracing",
            "std::fs",
            "std::net",
            "std::io",
            "std::env",
            "std::process",
            "std::thread",
            "crate::accounts",
            "crate::app",
            "crate::auth",
            "crate::bench",
            "crate::prove",
            "crate::rig",
            "crate::cli",
            "crate::config",
            "crate::desk",
            "crate::faces",
            "crate::mail",
            "crate::net",
            "crate::presence",
            "crate::relay",
            "crate::store",
        ],
    },
    Rule {
        says: "desk knows no wire and no driver",
        binds: |place| within(place, "desk"),
        forbids: &[
            "axum",
            "hyper",
            "hyper_util",
            "tower",
            "tower_http",
            "socketioxide",
            "serde",
            "serde_json",
            "rusqlite",
            "mongodb",
            "lettre",
            "clap",
            "std::fs",
            "std::net",
            "crate::app",
            "crate::bench",
            "crate::prove",
            "crate::rig",
            "crate::cli",
            "crate::config",
            "crate::faces",
            "crate::net",
            "crate::store::sqlite",
            "crate::store::mongo",
        ],
    },
    Rule {
        says: "ports and accounts know no face, and nothing that is built above them",
        binds: |place| within_any(place, &["accounts", "auth", "mail", "presence", "relay", "store"]),
        forbids: &[
            "axum",
            "hyper",
            "tower",
            "tower_http",
            "socketioxide",
            "clap",
            "crate::app",
            "crate::bench",
            "crate::prove",
            "crate::rig",
            "crate::cli",
            "crate::config",
            "crate::desk",
            "crate::faces",
            "crate::net",
        ],
    },
    Rule {
        says: "only store/sqlite knows SQLite (scratch stores are seeded in a file of their own)",
        binds: |place| !within_any(place, &["store::sqlite", "rig::scratch"]),
        forbids: &["rusqlite"],
    },
    Rule {
        says: "only store/mongo knows MongoDB",
        binds: |place| !within(place, "store::mongo"),
        forbids: &["mongodb", "bson"],
    },
    Rule {
        says: "only faces/socketio knows Socket.IO; app.rs joins it to the rest",
        binds: |place| !within_any(place, &["faces::socketio", "app"]),
        forbids: &["socketioxide", "engineioxide"],
    },
    Rule {
        says: "only faces, net and app.rs know HTTP (and the clients that try them out)",
        binds: |place| !within_any(place, &["faces", "net", "app", "rig"]),
        forbids: &["axum", "hyper", "tower_http"],
    },
    Rule {
        says: "only app.rs and cli choose a store, and store::location opens it",
        binds: |place| !within_any(place, &["app", "cli", "store::location", "store::sqlite"]),
        forbids: &["crate::store::sqlite"],
    },
    Rule {
        says: "only app.rs and cli choose a store, and store::location opens it",
        binds: |place| !within_any(place, &["app", "cli", "store::location", "store::mongo"]),
        forbids: &["crate::store::mongo"],
    },
    Rule {
        says: "only app.rs builds the desk, the accounts and the mailers, and joins the faces",
        binds: |place| !within(place, "app"),
        forbids: &[
            "Desk::open",
            "crate::desk::Desk::open",
            "Accounts::new",
            "crate::accounts::Accounts::new",
            "SmtpMailer::new",
            "crate::mail::SmtpMailer::new",
            "socketio::layer",
            "crate::faces::socketio::layer",
            "rest::routes",
            "crate::faces::rest::routes",
            "ops::routes",
            "crate::faces::ops::routes",
        ],
    },
    Rule {
        says: "only config reads the environment",
        binds: |place| !within(place, "config"),
        forbids: &[
            "std::env::var",
            "std::env::var_os",
            "std::env::vars",
            "std::env::vars_os",
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "dotenvy",
        ],
    },
    Rule {
        says: "only domain::clock reads the system clock",
        binds: |place| !within(place, "domain::clock"),
        forbids: &[
            "std::time::SystemTime",
            "SystemTime::now",
            "OffsetDateTime::now_utc",
            "OffsetDateTime::now_local",
            "time::OffsetDateTime::now_utc",
            "chrono",
        ],
    },
    Rule {
        says: "faces and the desk are below app.rs, the command line and the settings",
        binds: |place| within_any(place, &["faces", "net"]),
        forbids: &["crate::app", "crate::bench", "crate::prove", "crate::rig", "crate::cli", "crate::config"],
    },
];

/// What in this source a rule forbids.
fn violations(place: &Place, source: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let here = place.join("::");
    for path in paths(place, source) {
        for rule in RULES.iter().filter(|rule| (rule.binds)(place)) {
            let broken = rule.forbids.iter().any(|forbidden| {
                path == *forbidden || path.strip_prefix(forbidden).is_some_and(|rest| rest.starts_with("::"))
            });
            if broken {
                found.insert(format!("{here} names {path}: {}", rule.says));
            }
        }
        if let ([first, own, ..], Some(rest)) = (place.as_slice(), path.strip_prefix("crate::faces::"))
            && first == "faces"
            && rest.split("::").next() != Some(own)
        {
            found.insert(format!("{here} names {path}: no face names another"));
        }
    }
    found.into_iter().collect()
}

/// All paths that a source names outside of what is compiled for tests alone.
fn paths(place: &Place, source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = is_name(&tokens[at]) && (at == 0 || tokens[at - 1] != "::");
        if tokens[at] == "use" {
            at = spread(&tokens, at + 1, &mut Vec::new(), &mut found);
        } else if starts && tokens.get(at + 1).is_some_and(|next| next == "::") {
            let mut path = vec![tokens[at].clone()];
            at += 1;
            while tokens.get(at).is_some_and(|token| token == "::") && tokens.get(at + 1).is_some_and(|t| is_name(t)) {
                path.push(tokens[at + 1].clone());
                at += 2;
            }
            found.push(path);
        } else {
            at += 1;
        }
    }
    found.into_iter().map(|path| resolved(place, &path)).collect()
}

/// Spreads out one `use` tree; gives where it ends.
fn spread(tokens: &[String], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = prefix.len();
    let mut ends_in_group = false;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = spread(tokens, at, prefix, found);
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                at += 1;
                ends_in_group = true;
            }
            "as" => at += 2,
            "," | "}" | ";" => break,
            name => {
                prefix.push(name.to_owned());
                at += 1;
            }
        }
    }
    if !ends_in_group && prefix.len() > depth {
        let path = prefix.iter().filter(|name| *name != "*");
        found.push(path.cloned().collect());
    }
    prefix.truncate(depth);
    at
}

/// A path from the crate's root, or as it is if it begins elsewhere.
fn resolved(place: &Place, path: &[String]) -> String {
    let mut names = path.iter().map(String::as_str).peekable();
    let mut base: Vec<&str> = Vec::new();
    match names.peek().copied() {
        Some("crate" | "deskline") => {
            names.next();
            base.push("crate");
        }
        Some("self" | "super") => {
            base.push("crate");
            base.extend(place.iter().map(String::as_str));
            while let Some(name) = names.next_if(|name| *name == "self" || *name == "super") {
                if name == "super" && base.len() > 1 {
                    base.pop();
                }
            }
        }
        Some(_) | None => {}
    }
    base.extend(names.filter(|name| *name != "self"));
    base.join("::")
}

/// Modules that a source declares for tests alone, in files of their own.
fn test_modules(place: &Place, source: &str) -> Vec<Place> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if let Some(end) = test_mark(&tokens, at) {
            let mut rest = tokens[end..].iter().map(String::as_str).skip_while(|token| *token != "mod").skip(1);
            let declares = tokens[end..].iter().take_while(|token| *token != "{" && *token != ";").any(|t| t == "mod");
            if let (true, Some(name), Some(";")) = (declares, rest.next(), rest.next()) {
                found.push(place.iter().cloned().chain([name.to_owned()]).collect());
                // `#[path]` gives the file another name; ours end in it all the same.
                let file = place.last().map(|last| format!("{last}_{name}"));
                found.extend(file.map(|file| {
                    let folder = &place[..place.len() - 1];
                    folder.iter().cloned().chain([file]).collect::<Place>()
                }));
            }
        }
    }
    found
}

/// The end of `#[cfg(test)]`, if that is what begins here.
fn test_mark(tokens: &[String], at: usize) -> Option<usize> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let here = tokens.get(at..at + mark.len())?;
    here.iter().zip(mark).all(|(have, want)| have == want).then_some(at + mark.len())
}

/// Leaves out every item that is marked `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some(end) = test_mark(tokens, at) else {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        };
        at = end;
        let mut depth = 0_usize;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth = depth.saturating_sub(1),
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

/// Names, `::` and single signs, without comments, texts and lifetimes.
fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    let ahead = |at: usize, text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    while at < chars.len() {
        let c = chars[at];
        if ahead(at, "//") {
            while at < chars.len() && chars[at] != '\n' {
                at += 1;
            }
        } else if ahead(at, "/*") {
            while at < chars.len() && !ahead(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if c == '"' || ahead(at, "b\"") {
            at += if c == '"' { 1 } else { 2 };
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if let Some(hashes) = raw_text(&chars[at..]) {
            let end = format!("\"{}", "#".repeat(hashes));
            at += chars[at..].iter().position(|c| *c == '"').unwrap_or_default() + 1;
            while at < chars.len() && !ahead(at, &end) {
                at += 1;
            }
            at += end.len();
        } else if c == '\'' {
            // A character ends with a quote; a lifetime does not.
            if chars.get(at + 1) == Some(&'\\') {
                at += 3;
                while at < chars.len() && chars[at] != '\'' {
                    at += 1;
                }
                at += 1;
            } else {
                at += if chars.get(at + 2) == Some(&'\'') { 3 } else { 1 };
            }
        } else if c.is_alphanumeric() || c == '_' {
            let end = (at..chars.len()).find(|i| !(chars[*i].is_alphanumeric() || chars[*i] == '_'));
            let end = end.unwrap_or(chars.len());
            found.push(chars[at..end].iter().collect());
            at = end;
        } else if ahead(at, "::") {
            found.push("::".into());
            at += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            at += 1;
        }
    }
    found
}

/// How many `#` a raw text has that begins here.
fn raw_text(chars: &[char]) -> Option<usize> {
    let (['r', after @ ..] | ['b', 'r', after @ ..]) = chars else { return None };
    let hashes = after.iter().take_while(|c| **c == '#').count();
    (after.get(hashes) == Some(&'"')).then_some(hashes)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
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
        ("desk::send_message", "use serde_json::Value;"),
        ("desk::send_message", "use crate::{domain::Seq, faces::{rest::reply, ops}};"),
        ("desk", "use crate::store::{StoreError, sqlite::SqliteStore};"),
        ("desk::connect", "fn f() { rusqlite::Connection::open(\"x\"); }"),
        ("faces::rest::chat", "use super::super::socketio::wire;"),
        ("faces::rest", "use socketioxide::SocketIo;"),
        ("faces::rest", "use crate::faces::socketio;"),
        ("accounts::log_in", "use crate::config::Config;"),
        ("store::mongo", "use rusqlite::Row as Line;"),
        ("presence", "use crate::desk::Desk;"),
        ("cli::serve", "use crate::desk::Desk; fn f() { Desk::open(a, b); }"),
        ("faces::ops", "fn f() { std::env::var(\"X\"); }"),
        ("desk::watch", "fn f() { let now = std::time::SystemTime::now(); }"),
        ("desk::watch", "use std::time::{Duration, SystemTime};"),
        ("accounts", "fn f() { time::OffsetDateTime::now_utc() }"),
    ] {
        assert!(!violations(&at(place), source).is_empty(), "not found in {place}: {source}");
    }
}

#[test]
fn what_is_allowed_is_let_through() {
    for (place, source) in [
        ("domain::entry", "use std::{fmt, sync::Arc}; use super::{Seq, UserId}; use crate::domain::ids::UserId;"),
        ("domain::entry", "/// Not [`tokio::time`]. \nstruct A; // rusqlite::Row"),
        ("domain::entry", "const A: &str = \"tokio::time\"; const B: &str = r#\"a \" serde::Serialize\"#;"),
        (
            "domain::entry",
            "fn f<'a>(c: char) -> bool { c == '\"' || c == '\\'' } #[cfg(test)] mod tests { use tokio::x; }",
        ),
        ("desk::connect", "use crate::presence::Connection; use super::Desk; use tokio::time::Instant;"),
        ("faces::socketio::wire", "use super::super::socketio::encode; use crate::faces::socketio::wire::event;"),
        ("store::sqlite::rows", "use rusqlite::Row; use crate::domain::Seq;"),
        ("app", "use crate::store::sqlite::SqliteStore; fn f() { Desk::open(a, b); }"),
        ("config::auth", "fn f() { std::env::var(\"X\"); }"),
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
