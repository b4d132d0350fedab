//! A polling session whose requests a test controls.

use serde_json::Value;

/// A raw polling session. The client of the testkit hides its requests, and polls by itself.
pub(crate) struct Polls {
    client: reqwest::Client,
    url: String,
}

impl Polls {
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_by(reqwest::Client::new(), url).await
    }

    /// Opens a session with a browser's user agent.
    pub(crate) async fn open_in_browser(url: &str) -> Self {
        Self::open_by(reqwest::Client::builder().user_agent("Mozilla/5.0").build().unwrap(), url).await
    }

    async fn open_by(client: reqwest::Client, url: &str) -> Self {
        let url = format!("{url}/socket.io/?EIO=4&transport=polling");
        let open = client.get(format!("{url}&t=handshake")).send().await.unwrap().text().await.unwrap();
        let open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
        let polls = Self { client, url: format!("{url}&sid={}", open["sid"].as_str().unwrap()) };
        polls.send("40").await;
        // A packet before CONNECT would end the session.
        polls.poll_for("40{").await;
        polls
    }

    pub(crate) async fn send(&self, packet: &str) {
        self.post(packet, "").await;
    }

    /// The same, with this `t` parameter.
    pub(crate) async fn send_as(&self, t: &str, packet: &str) {
        self.post(packet, &format!("&t={t}")).await;
    }

    async fn post(&self, packet: &str, query: &str) {
        let answer = self.client.post(format!("{}{query}", self.url)).body(packet.to_owned()).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.text().await.unwrap(), "ok");
    }

    /// Polls until a response contains `wanted`.
    pub(crate) async fn poll_for(&self, wanted: &str) {
        for _ in 0..20 {
            let answer = self.poll().await;
            assert!(!answer.contains("Session ID unknown"), "its session was closed before {wanted:?} arrived");
            if answer.contains(wanted) {
                return;
            }
        }
        panic!("{wanted:?} never came");
    }

    pub(crate) async fn poll(&self) -> String {
        self.get("").await
    }

    /// The same, with this `t` parameter.
    pub(crate) async fn poll_as(&self, t: &str) -> String {
        self.get(&format!("&t={t}")).await
    }

    async fn get(&self, query: &str) -> String {
        self.client.get(format!("{}{query}", self.url)).send().await.unwrap().text().await.unwrap()
    }
}
