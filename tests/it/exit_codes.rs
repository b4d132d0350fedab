//! Exit codes of `prove` and `bench`: 0 if everything holds, 1 if an invariant or a bound does not, 2 if the run
//! failed.

use std::process::Output;

use serde_json::json;
use tempfile::TempDir;

use crate::support::{PROGRAM, run};

fn text_of(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn assert_exit(output: &Output, code: i32, says: &str) {
    let text = text_of(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(text.contains(says), "{text}");
}

/// A file with the figures of a run.
fn figures(folder: &TempDir, name: &str, p99: f64) -> String {
    let file = folder.path().join(name);
    std::fs::write(&file, json!([{"title": "50 pairs", "delivered_ms": {"p99": p99}}]).to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_run_that_is_slower_than_allowed_fails_the_comparison() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (figures(&folder, "one", 20.0), figures(&folder, "other", 60.0));
    let compare = async |a: &str, b: &str, more: &[&str]| run(&[&["bench", "--compare", a, b], more].concat()).await;
    assert_exit(&compare(&one, &other, &[]).await, 0, "3.00");
    assert_exit(&compare(&one, &other, &["--within", "3"]).await, 0, "3.00");
    assert_exit(&compare(&one, &other, &["--within", "2"]).await, 1, "delivered_ms.p99 is 60.00, beyond 42.00");
    assert_exit(&compare(&one, "nowhere.json", &[]).await, 2, "deskline: reading the figures of nowhere.json");
    std::fs::write(&one, "junk").unwrap();
    assert_exit(&compare(&one, &other, &[]).await, 2, "deskline: reading the figures of");
}

#[tokio::test]
async fn a_proof_without_messages_fails() {
    let prove = async |server: &str| {
        run(&["prove", "--server", server, "--kill", "0", "--life", "0s", "--customers", "1"]).await
    };
    assert_exit(&prove(PROGRAM).await, 1, "NOT PROVEN: seed ");
    assert_exit(&prove("/nowhere/deskline").await, 2, "deskline: starting /nowhere/deskline");
}
