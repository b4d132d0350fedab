//! A store that refuses everything does not fill the log: one line for each refused message would be thousands a minute.
#![cfg(target_os = "linux")]

use deskline::domain::Role;
use serde_json::json;
use tokio::process::Command;

use crate::support::{PROGRAM, ServerProcess, Site, enter};

const REFUSED: usize = 2000;

/// Upper bound of log lines: each of some three places may log twenty in ten seconds, and the test may take a while.
const LINES: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_refused_messages_cause_few_log_lines() {
    let (site, people) = Site::with(&[("ada", Role::Admin), ("ann", Role::Customer)]).await;
    let mut command = Command::new("sh");
    // A write beyond the limit must fail, not kill the process.
    command.args(["-c", r#"trap "" XFSZ; exec "$0" "$@""#, PROGRAM]).args(site.usual()).args(["--send-rate", "0"]);
    let server = ServerProcess::start(command).await;
    let ann = enter(&server.url, &people[1]).await;
    let pid = i32::try_from(server.pid()).unwrap();
    rlimit::prlimit(pid, rlimit::Resource::FSIZE, Some((600_000, rlimit::INFINITY)), None).unwrap();
    let ask = json!({"receiverId": people[0].id.to_string(), "message": "x".repeat(2000)});
    let (mut kept, mut refused) = (0, 0);
    while refused < REFUSED {
        match ann.emit_ack("send-message", ask.clone()).await.unwrap() {
            answer if answer["ok"] == true => kept += 1,
            answer => {
                assert_eq!(answer["code"], "storage_unavailable", "{answer}");
                refused += 1;
            }
        }
        assert!(kept < 5000, "the store does not become full");
    }
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("WARN") || line.contains("ERROR")).count();
    assert!((1..=LINES).contains(&lines), "{lines} lines for {refused} refused messages: {log}");
}
