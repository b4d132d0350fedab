//! Pages of origins that are not allowed.

use crate::support::TestServer;

#[tokio::test]
async fn a_foreign_page_cannot_open_a_session_with_credentials_that_a_browser_adds() {
    let server = TestServer::start(&["--client-url", "https://*.shop.test,capacitor://localhost"]).await;
    let token = server.customer("ann").await.token;
    let http = reqwest::Client::new();
    let ask = async |path: &str, origin: &str, header: (&str, String)| {
        let asked = http.get(format!("{}{path}", server.url)).header("origin", origin).header(header.0, header.1);
        asked.send().await.unwrap()
    };
    let polling = "/socket.io/?EIO=4&transport=polling";
    let cookie = || ("cookie", format!("token={token}"));
    for foreign in
        ["https://evil.test", "null", "https://a.shop.test.evil.test", "http://a.shop.test", "https://shop.test"]
    {
        let refused = ask(polling, foreign, cookie()).await;
        assert_eq!(refused.status(), 403, "{foreign}");
        assert!(!refused.text().await.unwrap().contains("sid"), "{foreign}");
        assert_eq!(
            ask(polling, foreign, ("x-none", String::new())).await.status(),
            200,
            "{foreign} has to show a token"
        );
        assert_eq!(ask("/ws/chat/1/?token=x", foreign, ("x-none", String::new())).await.status(), 403, "{foreign}");
    }
    for own in ["https://a.shop.test", "capacitor://localhost", server.url.as_str()] {
        let answer = ask(polling, own, cookie()).await;
        assert_eq!(answer.status(), 200, "{own}");
        if own != server.url {
            assert_eq!(answer.headers()["access-control-allow-origin"], own);
        }
    }
}

/// A page can send a request without an `Origin`, for a picture or a script. Browsers then send `Sec-Fetch-Site`.
#[tokio::test]
async fn a_picture_on_a_foreign_page_cannot_open_a_session_with_a_cookie() {
    let server = TestServer::start(&[]).await;
    let token = server.customer("ann").await.token;
    let http = reqwest::Client::new();
    let ask = async |site: &str| {
        let asked = http.get(format!("{}/socket.io/?EIO=4&transport=polling", server.url));
        let asked = asked.header("cookie", format!("token={token}")).header("sec-fetch-site", site);
        asked.send().await.unwrap().status()
    };
    assert_eq!(ask("cross-site").await, 403);
    assert_eq!(ask("same-origin").await, 200);
}
