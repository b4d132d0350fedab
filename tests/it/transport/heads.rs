//! Request heads that RFC 9112 forbids, and `Cache-Control` of responses.

use super::exchange;
use crate::support::TestServer;

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or("none")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_another_server_could_parse_differently_are_refused() {
    let server = TestServer::start(&[]).await;
    for (request, expected) in [
        ("GET /health HTTP/1.1\r\nHost: a.test\r\n\r\n", "200"),
        ("GET /health HTTP/1.0\r\n\r\n", "200"),
        ("GET http://a.test/health HTTP/1.1\r\nHost: b.test\r\n\r\n", "200"),
        ("GET /health HTTP/1.1\r\n\r\n", "400"),
        ("GET /health HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n", "400"),
        ("GET /health HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", "400"),
        ("GET ftp://a.test/health HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"),
        ("GET /health HTTP/1.1\nHost: a.test\n\n", "400"),
        ("GET /health HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n", "400"),
        ("CONNECT a.test:80 HTTP/1.1\r\nHost: a.test\r\n\r\n", "400"),
    ] {
        let answer = exchange(&server.url, request).await;
        assert_eq!(status(&answer), expected, "{request:?}: {answer}");
    }
    let long = format!("GET /health HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(64 << 10));
    assert_eq!(status(&exchange(&server.url, &long).await), "431");
    let usual = format!("GET /health HTTP/1.1\r\nHost: a.test\r\nX: {}\r\n\r\n", "x".repeat(16 << 10));
    assert_eq!(status(&exchange(&server.url, &usual).await), "200");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_may_contain_bytes_that_a_head_may_not() {
    let server = TestServer::start(&[]).await;
    let body = "{\n\"email\": \"a\",\n\"password\": \"b\"\n}\n";
    let first = format!("POST /api/auth/login HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let both = format!("{first}GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let answers = exchange(&server.url, &both).await;
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 2, "{answers}");
    assert!(answers.contains("Server is healthy"), "{answers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_cannot_become_a_websocket_is_refused() {
    let server = TestServer::start(&[]).await;
    let path = "/socket.io/?EIO=4&transport=websocket";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let whole = format!("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n{key}");
    for (version, headers, expected) in [
        ("1.1", whole.as_str(), "101"),
        ("1.1", key, "400"),
        ("1.1", &format!("Upgrade: websocket\r\n{key}"), "400"),
        ("1.1", &format!("Connection: Upgrade\r\n{key}"), "400"),
        ("1.0", &whole, "400"),
    ] {
        let request = format!("GET {path} HTTP/{version}\r\nHost: a\r\n{headers}\r\n");
        let answer = exchange(&server.url, &request).await;
        assert_eq!(status(&answer), expected, "{request}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn responses_with_messages_may_not_be_cached() {
    let server = TestServer::start(&[]).await;
    let ada = server.agent("ada").await;
    for path in
        ["/api/chat/conversations", "/api/chat/unread-count", "/api/nothing", "/socket.io/?EIO=4&transport=polling"]
    {
        let bearer = format!("Authorization: Bearer {}\r\n", ada.token);
        let answer = exchange(&server.url, &format!("GET {path} HTTP/1.1\r\nHost: a\r\n{bearer}\r\n")).await;
        assert!(answer.to_ascii_lowercase().contains("cache-control: no-store"), "{path}: {answer}");
    }
    let page = exchange(&server.url, "GET /console/ HTTP/1.1\r\nHost: a\r\n\r\n").await.to_ascii_lowercase();
    assert!(page.contains("cache-control: no-cache") && !page.contains("no-store"), "{page}");
}
