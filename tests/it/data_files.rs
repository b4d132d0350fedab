//! Only their owner can read a server's files, only one server uses them at a time, and passwords are not echoed.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{PROGRAM, STOP, ServerProcess, Site, run};

/// The permissions of every file and folder in a folder.
fn rights(folder: &Path) -> BTreeMap<String, u32> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let mode = |entry: std::fs::DirEntry| {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        (entry.file_name().into_string().unwrap(), mode)
    };
    entries.map(mode).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_owner_can_read_files_beside_the_data_file_whatever_the_umask() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("desk.db");
    let mut command = Command::new("sh");
    command.args(["-c", r#"umask 000; exec "$0" "$@""#, PROGRAM, "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    let server = ServerProcess::start(command).await;
    let rights = rights(folder.path());
    for name in ["desk.db", "desk.db-wal", "desk.db-shm", "desk.db.secret"] {
        assert_eq!(rights.get(name), Some(&0o600), "{rights:?}");
    }
    // The lock file is empty.
    assert!(rights.iter().all(|(name, mode)| *mode == 0o600 || name == "desk.db.lock"), "{rights:?}");
    server.signal("TERM").await;
    assert!(server.ended().await.0.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_server_is_refused_whatever_link_it_is_given() {
    let (site, _) = Site::with(&[]).await;
    let server = site.start(&[]).await;
    let elsewhere = tempfile::tempdir_in(site.data().parent().unwrap()).unwrap();
    let (symbolic, hard) = (elsewhere.path().join("symbolic.db"), elsewhere.path().join("hard.db"));
    std::os::unix::fs::symlink(site.data(), &symbolic).unwrap();
    std::fs::hard_link(site.data(), &hard).unwrap();
    for link in [symbolic, hard] {
        let link = link.to_str().unwrap();
        let refused = run(&["--listen", "127.0.0.1:0", "--data", link]).await;
        let sentence = format!("deskline: another deskline is already serving {link}\n");
        assert_eq!(String::from_utf8_lossy(&refused.stderr), sentence);
        assert_eq!(refused.status.code(), Some(1));
    }
    server.signal("TERM").await;
    assert!(server.ended().await.0.success());
    // When the first one has stopped, another server can use any name of the file.
    let data = elsewhere.path().join("symbolic.db");
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0", "--data"]).arg(data);
    ServerProcess::start(command).await;
}

/// Waits until the terminal of a process, or of one of its children, has echo turned off.
async fn until_nothing_is_shown(process: u32) {
    let began = Instant::now();
    loop {
        let script = r"for child in $(cat /proc/$0/task/$0/children); do stty -a < /proc/$child/fd/0; done";
        let shown = Command::new("sh").args(["-c", script, &process.to_string()]).output().await.unwrap();
        if String::from_utf8_lossy(&shown.stdout).contains(" -echo ") {
            return;
        }
        assert!(began.elapsed() < STOP, "{}", String::from_utf8_lossy(&shown.stdout));
        sleep(Duration::from_millis(20)).await;
    }
}

/// Runs the program in a terminal, and types this when echo is off. Returns everything that the terminal has shown.
async fn type_unseen(command_line: &str, password: &str) -> String {
    let mut script = Command::new("script");
    script.args(["-qec", command_line, "/dev/null"]).kill_on_drop(true);
    let mut terminal = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut screen) = (terminal.stdin.take().unwrap(), terminal.stdout.take().unwrap());
    until_nothing_is_shown(terminal.id().unwrap()).await;
    keys.write_all(format!("{password}\n").as_bytes()).await.unwrap();
    let mut shown = String::new();
    timeout(STOP, screen.read_to_string(&mut shown)).await.expect("the program does not exit").unwrap();
    let status = timeout(STOP, terminal.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{shown}");
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_does_not_show_a_password_that_is_typed() {
    let (site, _) = Site::with(&[]).await;
    let data = site.data();
    for (verb, password) in [("add", "correct horse"), ("password", "battery staple")] {
        let line = format!("'{PROGRAM}' user --data '{}' {verb} ann@desk.test", data.display());
        let shown = type_unseen(&line, password).await;
        assert!(!shown.contains(password), "{shown}");
        assert!(shown.contains("Password: "), "{shown}");
        assert!(shown.contains("Added ann@desk.test") || shown.contains("Done."), "{shown}");
        // It was read correctly: its owner can log in with it.
        let server = site.start(&[]).await;
        let log_in = serde_json::json!({"email": "ann@desk.test", "password": password});
        let answer = reqwest::Client::new().post(format!("{}/api/auth/login", server.url)).json(&log_in).send();
        assert_eq!(answer.await.unwrap().status(), 200, "{verb}");
        server.signal("TERM").await;
        server.ended().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_or_well_known_secret_is_refused_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("desk.db");
    let next = "hint: set JWT_SECRET to the output of `openssl rand -hex 32`, here and on the replaced server";
    let short = format!(
        "deskline: the JWT secret can be guessed: it has fewer than 32 bytes, or repeats a few of them\n{next}; as long as \
         that one needs a short secret, start with --allow-short-secret\n"
    );
    let known = format!(
        "deskline: the JWT secret \"mysecretkey\" is well-known, so anybody could sign in as an admin\n{next}; everybody then \
         has to log in again\n"
    );
    for (secret, sentence) in [("thirty-one bytes are too few ..", &short), ("mysecretkey", &known)] {
        let arguments = ["--listen", "127.0.0.1:0", "--jwt-secret", secret, "--data", data.to_str().unwrap()];
        let refused = run(&arguments).await;
        assert_eq!(String::from_utf8_lossy(&refused.stderr), **sentence);
        assert_eq!(refused.status.code(), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_without_a_mail_server_logs_what_does_not_work() {
    let (site, _) = Site::with(&[]).await;
    let sentence = "No mail server is set (--smtp-url): nobody can confirm an address, reset a password, or log in to the portal \
                    as an agent";
    for (flags, says) in
        [(&[][..], true), (&["--smtp-url", "smtp://127.0.0.1:1", "--mail-from", "desk@desk.test"], false)]
    {
        let server = site.start(flags).await;
        server.signal("TERM").await;
        let (status, log) = server.ended().await;
        assert!(status.success());
        assert_eq!(log.contains(sentence), says, "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_cannot_be_mailed_is_not_logged() {
    let (site, _) = Site::with(&[]).await;
    let server = site.start(&[]).await;
    let http = reqwest::Client::new();
    let ann = serde_json::json!({"name": "Ann", "email": "ann@desk.test", "password": "secret-1"});
    for path in ["register", "forgot-password"] {
        let answer = http.post(format!("{}/api/auth/{path}", server.url)).json(&ann).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }
    server.signal("TERM").await;
    let (status, log) = server.ended().await;
    assert!(status.success(), "{log}");
    assert!(log.contains("Could not send a mail"), "{log}");
    for link in ["/auth/verify", "/auth/reset-password", "code=", "token="] {
        assert!(!log.contains(link), "{link}: {log}");
    }
}
