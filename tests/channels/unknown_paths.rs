//! Routes of the products that this server does not have.

use deskline::domain::Role;

use crate::harness::{TestServer, Who};

/// Generation A's panel first requests the shop's settings, and gets a new token only after a 401.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_token_is_refused_even_on_unknown_paths() {
    let server = TestServer::start().await;
    let ada = server.account("Ada", "ada@x.test", Role::Admin).await;
    for path in ["/api/admin/store-settings/", "/api/admin/dashboard/stats/", "/api/public/categories/", "/nothing"] {
        for (who, status) in [
            (Who::Nobody, 404),
            (Who::Bearer(server.token(&ada)), 404),
            (Who::Bearer("junk".into()), 401),
            (Who::Bearer(format!("{}x", server.token(&ada))), 401),
        ] {
            assert_eq!(server.get(path, &who).await.status, status, "{path} {who:?}");
        }
        let url = format!("http://{}{path}", server.address());
        let proxied = server.http.get(url).header("authorization", "Basic eDp5").send().await.unwrap();
        assert_eq!(proxied.status(), 404, "the basic authorization of a proxy in front is not a token");
    }
}
