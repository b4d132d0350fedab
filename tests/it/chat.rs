//! `deskline chat`: two terminals on a demo server.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{PROGRAM, STOP, Site, run};

/// A running `deskline chat`; killed when it is dropped.
struct Terminal {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Terminal {
    fn open(url: &str, email: &str) -> Self {
        let mut command = Command::new(PROGRAM);
        command.args(["chat", "--url", url, email]).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { input, output: BufReader::new(output).lines(), child }
    }

    async fn enter(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    /// Reads up to a line with this beginning.
    async fn shows(&mut self, beginning: &str) {
        let find = async {
            while let Some(line) = self.output.next_line().await.unwrap() {
                if line.starts_with(beginning) {
                    return;
                }
            }
            panic!("it ended before it showed {beginning:?}");
        };
        timeout(STOP, find).await.unwrap_or_else(|_| panic!("it does not show {beginning:?}"));
    }

    /// Ends the input, and waits for the program to end.
    async fn close(mut self) {
        drop(self.input);
        assert!(timeout(STOP, self.child.wait()).await.expect("it does not exit").unwrap().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_terminals_chat_and_reconnect_after_the_server_was_killed() {
    let (site, _) = Site::with(&[]).await;
    let server = site.start(&["--demo"]).await;
    let url = server.url.clone();
    let (mut agent, mut customer) = (Terminal::open(&url, "admin@demo.test"), Terminal::open(&url, "ann@demo.test"));
    agent.shows("Connected as admin@demo.test").await;
    customer.shows("Connected as ann@demo.test").await;
    agent.enter("nobody has written").await;
    agent.shows("(no recipient yet").await;
    customer.enter("hello").await;
    agent.shows("Ann: hello").await;
    agent.enter("hi Ann").await;
    customer.shows("Ada (support): hi Ann").await;

    server.signal("KILL").await;
    server.ended().await;
    let server = site.start(&["--demo", "--listen", url.strip_prefix("http://").unwrap()]).await;
    customer.shows("(connection lost").await;
    customer.shows("Connected as").await;
    customer.enter("still there?").await;
    agent.shows("Ann: still there?").await;
    agent.enter("/to bob@demo.test").await;
    agent.shows("(no customer with this address").await;
    agent.enter("/to ann@demo.test").await;
    agent.shows("(writing to ann@demo.test)").await;
    agent.enter("yes").await;
    customer.shows("Ada (support): yes").await;
    agent.close().await;
    customer.close().await;
    server.signal("TERM").await;
    server.ended().await;
}

/// Adds an agent to the data file of a running server.
async fn add_agent(site: &Site, email: &str, password: &str) {
    let mut command = Command::new(PROGRAM);
    command.args(["user", "add", "--role", "agent", email, "--data"]).arg(site.data()).stdin(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().unwrap();
    child.stdin.take().unwrap().write_all(format!("{password}\n").as_bytes()).await.unwrap();
    assert!(timeout(STOP, child.wait()).await.expect("it does not exit").unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_agent_changes_the_recipient() {
    let (site, _) = Site::with(&[]).await;
    let server = site.start(&["--demo"]).await;
    add_agent(&site, "eve@demo.test", "password of eve").await;
    let open = |email: &str| Terminal::open(&server.url, email);
    let (mut ada, mut eve) = (open("admin@demo.test"), open("eve@demo.test"));
    let (mut ann, mut bob) = (open("ann@demo.test"), open("bob@demo.test"));
    eve.enter("password of eve").await;
    for terminal in [&mut ada, &mut eve, &mut ann, &mut bob] {
        terminal.shows("Connected as").await;
    }
    ann.enter("it is Ann").await;
    for agent in [&mut ada, &mut eve] {
        agent.shows("Ann: it is Ann").await;
        agent.shows("(writing to ann@demo.test)").await;
    }
    eve.enter("hi from Eve").await;
    ada.shows("eve: hi from Eve").await;
    bob.enter("and it is Bob").await;
    ada.shows("Bob: and it is Bob").await;
    ada.shows("(to answer: /to bob@demo.test)").await;
    ada.enter("still for Ann").await;
    ann.shows("Ada (support): still for Ann").await;
    ada.enter("/to nobody@demo.test").await;
    ada.shows("(no customer with this address").await;
    ada.shows("(writing to ann@demo.test)").await;

    server.signal("TERM").await;
    server.ended().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_not_sent_unencrypted_to_another_machine() {
    for (url, flag, code, says) in [
        ("http://192.0.2.1:3000", None, 1, "would be sent to http://192.0.2.1:3000 without encryption"),
        ("https://127.0.0.1:3000", None, 2, "this client does not speak https"),
        ("http://192.0.2.1:3000", Some("--unencrypted"), 1, "no password"),
        ("http://127.0.0.1:1", None, 1, "no password"),
    ] {
        let output = run(&[&["chat", "--url", url, "x@y.test"][..], flag.as_slice()].concat()).await;
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(code) && error.contains(says), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_a_missing_server_are_reported() {
    let (site, _) = Site::with(&[]).await;
    let server = site.start(&["--demo"]).await;
    let output = run(&["chat", "--url", &server.url, "--password", "wrong", "ann@demo.test"]).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("cannot log in: Invalid email or password"), "{error}");
    let output = run(&["chat", "--url", "http://127.0.0.1:1", "ann@demo.test"]).await;
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("logging in at http://127.0.0.1:1"), "{error}");
}
