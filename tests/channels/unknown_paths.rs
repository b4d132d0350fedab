//! What the products have and this server has not.

use deskline::domain::Role;

use crate::harness::{TestServer, Who};

/// The first thing that generation A's panel asks for in the morning is the shop's settings; it gets a new token at a 401 alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_token_is_refused_even_where_there_is_nothing() {
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
        assert_eq!(proxied.status(), 404, "what a proxy in front has asked for is no token of ours");
    }
}
