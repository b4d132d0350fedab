//! No cache may store a response with messages. Every route of every dialect is requested, as declared in the sources.

use std::collections::BTreeSet;
use std::path::Path;

use reqwest::{Method, header};
use serde_json::json;

use crate::support::{SOON, TestServer};

/// The value for a path parameter.
fn filled(route: &str, customer: &str) -> Vec<String> {
    let parts = route.split('/').map(|part| match part {
        "{user}" => customer,
        "{id}" | "{room}" | "{message}" | "{notification}" => "1",
        part => part,
    });
    let path = parts.collect::<Vec<_>>().join("/");
    match path.strip_prefix("{prefix}") {
        Some(rest) => ["/api/auth", "/api/api/auth"].map(|prefix| format!("{prefix}{rest}")).into(),
        None => vec![path],
    }
}

/// The path of each `.route("...")` and `.route(&format!("..."))` in the sources below this folder.
fn routes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            let declared = source.split(".route(").skip(1).filter_map(|rest| rest.split('"').nth(1));
            found.extend(declared.filter(|route| route.starts_with(['/', '{'])).map(str::to_owned));
        }
    }
}

/// Files that are the same for everybody, or that only the browser may cache, for as long as their link is valid.
fn may_be_stored(path: &str) -> bool {
    path.starts_with("/console/") || path.starts_with("/media/")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cache_may_store_a_response_with_messages_on_any_route() {
    let server = TestServer::start(&[]).await;
    let (ann, ada) = (server.customer("ann").await, server.agent("ada").await);
    let writing = server.enter(&ann).await;
    let words = "what ann wrote in confidence";
    let ask = json!({"receiverId": ada.id.to_string(), "message": words});
    assert_eq!(writing.emit_ack("send-message", ask).await.unwrap()["ok"], true);

    let mut found = BTreeSet::new();
    routes(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut found);
    assert!(found.len() > 80, "too few routes were found in the sources: {found:?}");
    found.extend(["/socket.io/?EIO=4&transport=polling", "/no/such/path"].map(str::to_owned));
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(SOON).build().unwrap();
    let mut with_words = BTreeSet::new();
    // Methods that change data come last, so that the others find something to read.
    for method in [Method::GET, Method::POST, Method::PATCH, Method::PUT, Method::DELETE] {
        for path in found.iter().flat_map(|route| filled(route, &ann.id.to_string())) {
            for token in [None, Some(&ann.token), Some(&ada.token)] {
                let mut request = client.request(method.clone(), format!("{}{path}", server.url));
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                if method != Method::GET {
                    request = request.header(header::CONTENT_TYPE, "application/json").body("{}");
                }
                let answer = request.send().await.unwrap_or_else(|error| panic!("{method} {path}: {error}"));
                let (status, headers) = (answer.status(), answer.headers().clone());
                let stored = headers.get(header::CACHE_CONTROL).map(|value| value.to_str().unwrap().to_owned());
                if answer.text().await.unwrap().contains(words) {
                    with_words.insert(path.clone());
                }
                let is_fine = stored.as_deref() == Some("no-store") || may_be_stored(&path);
                assert!(is_fine, "{method} {path} is answered with {status} and {stored:?}");
            }
        }
    }
    assert!(with_words.len() >= 4, "only these routes returned the messages: {with_words:?}");
}
