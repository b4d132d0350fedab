//! The rules.

use super::Place;

/// A rule: the modules that it applies to, and the paths that they must not name.
pub(super) struct Rule {
    /// The text that is shown when it is violated.
    pub(super) says: &'static str,
    /// Whether it applies to this module.
    pub(super) binds: fn(&Place) -> bool,
    /// Paths that must not be named, including everything below them.
    forbids: &'static [&'static [&'static str]],
}

impl Rule {
    /// Whether it forbids a path.
    pub(super) fn forbids(&self, path: &str) -> bool {
        self.forbids
            .iter()
            .copied()
            .flatten()
            .any(|forbidden| path.strip_prefix(forbidden).is_some_and(|rest| rest.is_empty() || rest.starts_with("::")))
    }
}

/// Whether a module is at or below a path.
fn within(place: &Place, path: &str) -> bool {
    let path: Vec<&str> = path.split("::").collect();
    place.len() >= path.len() && place.iter().zip(&path).all(|(have, want)| have == want)
}

/// Whether a module is at or below one of several paths.
fn within_any(place: &Place, paths: &[&str]) -> bool {
    paths.iter().any(|path| within(place, path))
}

/// Crates that communicate with clients.
const WIRES: &[&str] = &["axum", "hyper", "hyper_util", "tower", "tower_http", "socketioxide"];

/// Crates for formats.
const FORMATS: &[&str] = &["serde", "serde_json"];

/// Crates of drivers: stores and mail.
const DRIVERS: &[&str] = &["rusqlite", "mongodb", "bson", "lettre"];

/// The top modules: nothing below may name them.
const PROGRAM: &[&str] = &["clap", "crate::app", "crate::lab", "crate::cli", "crate::config"];

/// The modules between clients and the desk.
const FACES: &[&str] = &["crate::faces", "crate::net"];

const STORES: &str = "only app.rs and cli choose a store, and store::location opens it";

/// The areas of the desk.
pub(super) const AREAS: &[&str] = &["attendance", "conversations", "delivery", "history", "log", "messages"];

const ORDER: &str = "an area of the desk names only those that desk/mod.rs lists for it";

pub(super) const RULES: &[Rule] = &[
    Rule {
        says: "only desk/mod.rs joins the areas of the desk",
        binds: |place| within(place, "desk") && place.len() > 1,
        forbids: &[&["crate::desk::Desk"]],
    },
    Rule {
        says: "the parts that areas of the desk share know no area",
        binds: |place| {
            within_any(place, &["desk::directory", "desk::event_builder", "desk::failure_log", "desk::tasks"])
        },
        forbids: &[&[
            "crate::desk::attendance",
            "crate::desk::conversations",
            "crate::desk::delivery",
            "crate::desk::history",
            "crate::desk::log",
            "crate::desk::messages",
        ]],
    },
    Rule {
        says: ORDER,
        binds: |place| within(place, "desk::delivery"),
        forbids: &[&[
            "crate::desk::attendance",
            "crate::desk::conversations",
            "crate::desk::history",
            "crate::desk::log",
            "crate::desk::messages",
        ]],
    },
    Rule {
        says: ORDER,
        binds: |place| within(place, "desk::attendance"),
        forbids: &[&[
            "crate::desk::conversations",
            "crate::desk::history",
            "crate::desk::log",
            "crate::desk::messages",
        ]],
    },
    Rule {
        says: ORDER,
        binds: |place| within(place, "desk::log"),
        forbids: &[&[
            "crate::desk::attendance::Announcements",
            "crate::desk::attendance::Attendance",
            "crate::desk::attendance::Revalidation",
            "crate::desk::conversations",
            "crate::desk::history",
            "crate::desk::messages",
        ]],
    },
    Rule {
        says: ORDER,
        binds: |place| within(place, "desk::messages"),
        forbids: &[&["crate::desk::attendance", "crate::desk::conversations", "crate::desk::history"]],
    },
    Rule {
        says: ORDER,
        binds: |place| within(place, "desk::conversations"),
        forbids: &[&["crate::desk::delivery", "crate::desk::history", "crate::desk::log"]],
    },
    Rule {
        says: ORDER,
        binds: |place| within(place, "desk::history"),
        forbids: &[&["crate::desk::attendance", "crate::desk::log"]],
    },
    Rule {
        says: "domain does no I/O and knows no runtime, wire or driver",
        binds: |place| within(place, "domain"),
        forbids: &[
            WIRES,
            FORMATS,
            DRIVERS,
            PROGRAM,
            FACES,
            &["tokio", "tokio_util", "futures_util", "tracing"],
            &["std::fs", "std::net", "std::io", "std::env", "std::process", "std::thread"],
            &["crate::accounts", "crate::auth", "crate::desk", "crate::mail", "crate::presence", "crate::store"],
        ],
    },
    Rule {
        says: "desk knows no wire and no driver",
        binds: |place| within(place, "desk"),
        forbids: &[
            WIRES,
            FORMATS,
            DRIVERS,
            PROGRAM,
            FACES,
            &["std::fs", "std::net", "crate::store::sqlite", "crate::store::mongo"],
        ],
    },
    Rule {
        says: "ports and accounts know no face, and nothing that is built above them",
        binds: |place| within_any(place, &["accounts", "auth", "limits", "mail", "presence", "store"]),
        forbids: &[WIRES, PROGRAM, FACES, &["crate::desk"]],
    },
    Rule {
        says: "faces and the desk are below app.rs, the command line and the settings",
        binds: |place| within_any(place, &["faces", "net"]),
        forbids: &[PROGRAM],
    },
    Rule {
        says: "the lab is not part of the server: only its commands name it",
        binds: |place| !within_any(place, &["lab", "cli"]),
        forbids: &[&["crate::lab"]],
    },
    Rule {
        says: "the console is a client: it gets its data over the wire",
        binds: |place| within(place, "faces::console"),
        forbids: &[&["crate"]],
    },
    Rule {
        says: "only store/sqlite knows SQLite (except for the file in which scratch stores are seeded)",
        binds: |place| !within_any(place, &["store::sqlite", "lab::testkit::scratch"]),
        forbids: &[&["rusqlite"]],
    },
    Rule {
        says: "only store/mongo knows MongoDB",
        binds: |place| !within(place, "store::mongo"),
        forbids: &[&["mongodb", "bson"]],
    },
    Rule {
        says: "only faces/socketio and faces/dashboard/socketio know Socket.IO; app.rs joins them to the rest",
        binds: |place| !within_any(place, &["faces::socketio", "faces::dashboard::socketio", "app"]),
        forbids: &[&["socketioxide", "engineioxide"]],
    },
    Rule {
        says: "only faces, net and app.rs know HTTP (and the clients of the lab)",
        binds: |place| !within_any(place, &["faces", "net", "app", "lab::testkit"]),
        forbids: &[&["axum", "hyper", "tower_http"]],
    },
    Rule {
        says: STORES,
        binds: |place| !within_any(place, &["app", "cli", "store::location", "store::sqlite"]),
        forbids: &[&["crate::store::sqlite"]],
    },
    Rule {
        says: STORES,
        binds: |place| !within_any(place, &["app", "cli", "store::location", "store::mongo"]),
        forbids: &[&["crate::store::mongo"]],
    },
    Rule {
        says: "only app.rs builds the desk, the accounts and the mailers, and joins the faces",
        binds: |place| !within(place, "app"),
        forbids: &[
            &["Desk::open", "crate::desk::Desk::open"],
            &["Accounts::new", "crate::accounts::Accounts::new"],
            &["SmtpMailer::new", "crate::mail::SmtpMailer::new"],
            &["socketio::layer", "crate::faces::dashboard::socketio::layer"],
            &["rest::routes", "crate::faces::dashboard::rest::routes"],
            &["storefront_and_portal::routes", "crate::faces::storefront_and_portal::routes"],
            &["ops::routes", "crate::faces::ops::routes"],
            &["console::routes", "crate::faces::console::routes"],
        ],
    },
    Rule {
        says: "only config reads the environment",
        binds: |place| !within(place, "config"),
        forbids: &[
            &["std::env::var", "std::env::var_os", "std::env::vars", "std::env::vars_os"],
            &["env::var", "env::var_os", "env::vars", "env::vars_os", "dotenvy"],
        ],
    },
    Rule {
        says: "only domain::clock reads the system clock",
        binds: |place| !within(place, "domain::clock"),
        forbids: &[
            &["std::time::SystemTime", "SystemTime::now", "chrono"],
            &["OffsetDateTime::now_utc", "OffsetDateTime::now_local", "time::OffsetDateTime::now_utc"],
        ],
    },
];
