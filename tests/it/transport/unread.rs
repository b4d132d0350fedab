//! Data that waits for websockets that never read takes a bounded amount of memory in total, which is returned.

use std::time::Duration;

use deskline::domain::Role;
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::support::{PROGRAM, SOON, ServerProcess, Site, Wire, enter};

/// Number of agents, and of each one's websockets that never read.
const AGENTS: usize = 20;
const SOCKETS: usize = 5;

/// Number of messages to each of them, and of characters in each.
const SAID: usize = 200;
const LENGTH: usize = 20_000;

/// How much the process may grow while that data waits, and after these websockets are closed.
const GROWTH: usize = 64 << 20;
const LEFT: usize = 32 << 20;

/// Makes the allocator return freed memory at once.
const EXACT: [(&str, &str); 1] = [("_RJEM_MALLOC_CONF", "narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0")];

fn resident(server: &ServerProcess) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_websockets_that_never_read_cost_little_and_others_receive_everything() {
    let names: Vec<String> = (0..AGENTS).map(|n| format!("agent{n}")).collect();
    let agents = names.iter().map(|name| (name.as_str(), Role::Admin));
    let people: Vec<_> = [("ada", Role::Admin), ("ann", Role::Customer)].into_iter().chain(agents).collect();
    let (site, people) = Site::with(&people).await;
    let mut command = Command::new(PROGRAM);
    command.args(site.usual()).args(["--send-rate", "0"]).envs(EXACT);
    let server = ServerProcess::start(command).await;
    let (healthy, ann) = (enter(&server.url, &people[0]).await, enter(&server.url, &people[1]).await);
    let mut unread = Vec::new();
    for agent in &people[2..] {
        for _ in 0..SOCKETS {
            let mut wire = Wire::connect_with_buffer(&server.url, Some(4096)).await;
            wire.authenticate(agent).await;
            unread.push(wire);
        }
    }
    let to = people[0].id.to_string();
    let before = resident(&server);
    let mut most = 0;
    for n in 0..SAID {
        let message = format!("{n} {}", "x".repeat(LENGTH - 10));
        let answer = ann.emit_ack("send-message", json!({"receiverId": to, "message": message})).await;
        let answer = answer.unwrap_or_else(|error| panic!("{n}: {error}, {} MiB: {}", most >> 20, server.log()));
        assert_eq!(answer["ok"], true, "{answer}");
        let got =
            healthy.wait_for("receive-message", SOON).await.expect("others are delayed by websockets that never read");
        assert!(got["message"].as_str().unwrap().starts_with(&format!("{n} ")));
        most = most.max(resident(&server).saturating_sub(before));
    }
    assert!(most <= GROWTH, "{} MiB for {} websockets that never read", most >> 20, unread.len());
    drop(unread);
    let dropped = Instant::now();
    while resident(&server).saturating_sub(before) > LEFT {
        assert!(dropped.elapsed() < Duration::from_secs(30), "{} MiB are left", (resident(&server) - before) >> 20);
        sleep(Duration::from_millis(200)).await;
    }
}
