//! Tests of the files that a browser fetches.

use axum::body::{Body, to_bytes};
use axum::http::Request;
use tower::ServiceExt as _;

use super::*;

async fn ask(method: &str, path: &str, known: Option<&HeaderValue>) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(known) = known {
        request = request.header(IF_NONE_MATCH, known);
    }
    let response = routes().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let headers = response.headers();
    assert_eq!(headers[CONTENT_SECURITY_POLICY], POLICY, "{path}");
    assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    assert_eq!(headers[REFERRER_POLICY], "no-referrer", "{path}");
    response
}

async fn body_of(response: Response) -> Vec<u8> {
    to_bytes(response.into_body(), 1 << 20).await.unwrap().to_vec()
}

#[tokio::test]
async fn every_file_is_served_with_its_type_and_only_if_it_has_changed() {
    for (name, kind, body) in ASSETS {
        let response = ask("GET", &format!("/console/{name}"), None).await;
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        assert_eq!(response.headers()[CONTENT_TYPE], kind, "{name}");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache", "{name}");
        let etag = response.headers()[ETAG].clone();
        assert_eq!(body_of(response).await, body, "{name}");

        let again = ask("GET", &format!("/console/{name}"), Some(&etag)).await;
        assert_eq!((again.status(), &again.headers()[ETAG]), (StatusCode::NOT_MODIFIED, &etag), "{name}");
        assert!(body_of(again).await.is_empty(), "{name}");
    }
}

#[tokio::test]
async fn the_page_is_found_with_and_without_the_slash() {
    let response = ask("GET", "/console/", None).await;
    assert_eq!(
        (response.status(), &response.headers()[CONTENT_TYPE]),
        (StatusCode::OK, &HeaderValue::from_static(HTML))
    );
    assert!(String::from_utf8(body_of(response).await).unwrap().starts_with("<!doctype html>"));
    for (path, location) in [("/console", "/console/"), ("/console?a=b", "/console/?a=b")] {
        let response = ask("GET", path, None).await;
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(response.headers()["location"], location);
    }
    assert!(body_of(ask("HEAD", "/console/", None).await).await.is_empty());
}

#[tokio::test]
async fn unknown_files_are_not_found() {
    for path in ["/console/nothing.js", "/console/..%2fmod.rs", "/console/%00", "/console/main.js%20"] {
        assert_eq!(ask("GET", path, None).await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(ask("POST", "/console/main.js", None).await.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn entity_tags_are_compared_as_a_whole() {
    let etag = ask("GET", "/console/main.js", None).await.headers()[ETAG].clone();
    let tag = etag.to_str().unwrap();
    for known in [format!("\"old\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
        let response = ask("GET", "/console/main.js", Some(&known.parse().unwrap())).await;
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
    }
    for known in ["\"old\"", "", tag.trim_matches('"')] {
        let response = ask("GET", "/console/main.js", Some(&known.parse().unwrap())).await;
        assert_eq!(response.status(), StatusCode::OK, "{known}");
    }
}

/// The policy forbids these. A page that needs them would fail silently.
#[test]
fn the_page_has_no_inline_script_or_style_and_writes_no_markup() {
    for (name, kind, body) in ASSETS {
        let text = std::str::from_utf8(body).unwrap();
        let forbidden: &[&str] = match kind {
            HTML => &["<style", " style=", "javascript:", " onclick", " onload", "://"],
            JAVASCRIPT => &["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"],
            CSS => &["@import", "url("],
            _ => &["<script"],
        };
        for word in forbidden {
            assert!(!text.contains(word), "{name} has {word}");
        }
        for script in text.split("<script").skip(1).filter(|_| kind == HTML) {
            assert!(script.contains("src=") && script.contains("></script>"), "{name}: a script in the page: {script}");
        }
    }
}

/// A missing module would leave an empty page.
#[test]
fn every_file_that_is_named_exists() {
    let names: Vec<&str> = ASSETS.iter().map(|(name, ..)| *name).collect();
    for (name, kind, body) in ASSETS {
        let text = std::str::from_utf8(body).unwrap();
        let marks: &[&str] =
            if kind == HTML { &["src=\"", "link rel=\"icon\" href=\"", "stylesheet\" href=\""] } else { &["from './"] };
        for mark in marks {
            for rest in text.split(mark).skip(1) {
                let named = rest.split(['"', '\'']).next().unwrap();
                assert!(names.contains(&named), "{name} names {named}");
            }
        }
    }
}
