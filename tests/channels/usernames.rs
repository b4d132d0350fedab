//! An account that was added on the command line with a user name can sign in with it on pages that ask for one.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{TestServer, Who};

#[tokio::test(flavor = "multi_thread")]
async fn an_account_added_with_a_username_can_sign_in_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deskline.db");
    let mut command = Command::new(env!("CARGO_BIN_EXE_deskline"));
    command.args(["user", "add", "--role", "admin", "--username", "ada7", "ada@x.test", "--data"]).arg(&data);
    let mut added = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    added.stdin.take().unwrap().write_all(b"secret-1\n").unwrap();
    let output = added.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let server = TestServer::start_in(folder, &[]).await;
    for path in ["/api/auth/login/", "/api/login", "/api/accounts/admin/login/step1/"] {
        let credentials = json!({"username": "ada7", "password": "secret-1"});
        assert_eq!(server.post(path, &Who::Nobody, credentials).await.status, 200, "{path}");
    }
}
