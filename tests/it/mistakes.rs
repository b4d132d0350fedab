//! Operators' mistakes: each is reported with a line that says what to do, and with an exit code for scripts: 2 if the
//! command line is invalid, 1 if the command fails.
#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::{Output, Stdio};

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::support::{PROGRAM, STOP, ServerProcess};

/// The program in this folder, with an empty environment.
fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    timeout(STOP, program(folder.path(), arguments).output()).await.expect("it does not exit").unwrap()
}

/// The text on stderr for an invalid command line.
fn usage(sentence: &str) -> String {
    format!("error: {sentence}\n\nFor more information, try '--help'.\n")
}

async fn assert_refused(folder: &TempDir, arguments: &[&str], code: i32, prints: &str) {
    let output = run(folder, arguments).await;
    assert_eq!(String::from_utf8_lossy(&output.stderr), prints, "{arguments:?}");
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

#[tokio::test]
async fn an_invalid_setting_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let address = |given: &str, port: &str| {
        format!(
            "invalid value '{given}' for '--listen <ADDRESS>': an address and a port are required, e.g. 127.0.0.1:{port} for \
             this machine only, or 0.0.0.0:{port} for all networks"
        )
    };
    let cases: [(&[&str], String); 9] = [
        (&["--listen", "4501"], address("4501", "4501")),
        (&["--listen", ":4501"], address(":4501", "4501")),
        (&["--listen", "localhost:4501"], address("localhost:4501", "4501")),
        (&["--listen", "shop"], address("shop", "3000")),
        (
            &["--max-attachment", "99999999999"],
            "invalid value '99999999999' for '--max-attachment <MIB>': 99999999999 is not in 1..=10240".into(),
        ),
        (
            &["--send-rate", "4294967295"],
            "invalid value '4294967295' for '--send-rate <PER_SECOND>': 4294967295 is not in 0..=1000000".into(),
        ),
        (
            &["--send-rate", "4294967296"],
            "invalid value '4294967296' for '--send-rate <PER_SECOND>': 4294967296 is not in 0..=1000000".into(),
        ),
        (&["--history-page", "0"], "invalid value '0' for '--history-page <MESSAGES>': 0 is not in 1..=1000".into()),
        (
            &["user", "add", "ann@desk.test", "--role", "boss"],
            "invalid value 'boss' for '--role <ROLE>': must be one of: user, agent, admin".into(),
        ),
    ];
    for (arguments, sentence) in cases {
        assert_refused(&folder, arguments, 2, &usage(&sentence)).await;
    }
}

#[tokio::test]
async fn a_failed_start_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    let listen = ["--listen", "127.0.0.1:0"];
    let cases: [(&[&str], String); 4] = [
        (
            &["--listen", &taken],
            format!(
                "cannot listen on {taken}\nhint: another program uses this port; stop it, or choose another port with --listen"
            ),
        ),
        (
            &[&listen[..], &["--data", "nowhere/desk.db"]].concat(),
            "the folder of the data file nowhere/desk.db does not exist\nhint: create it, or choose another path with --data"
                .into(),
        ),
        // Not even root can create a file there.
        (
            &[&listen[..], &["--data", "/sys/desk.db"]].concat(),
            "the folder of the data file /sys/desk.db is not writable for this user\nhint: make it writable, or choose \
             another path with --data"
                .into(),
        ),
        (
            &[&listen[..], &["--data", "folder"]].concat(),
            "the data file folder is a folder\nhint: name a file in it with --data".into(),
        ),
    ];
    for (arguments, sentence) in cases {
        assert_refused(&folder, arguments, 1, &format!("deskline: {sentence}\n")).await;
    }
    assert!(!folder.path().join("folder.lock").exists(), "a failed start has left a lock file behind");
}

#[tokio::test]
async fn a_misspelt_variable_in_the_env_file_is_named_whatever_the_command() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), "DESKLINE_LISTN=127.0.0.1:1\n").unwrap();
    let sentence = "deskline: unknown setting DESKLINE_LISTN in the .env file\nhint: did you mean DESKLINE_LISTEN? Otherwise \
                    remove the line\n";
    for arguments in [&[][..], &["serve"], &["check-config"], &["user", "list"], &["verify"]] {
        assert_refused(&folder, arguments, 1, sentence).await;
    }
}

#[tokio::test]
async fn the_data_file_can_be_named_anywhere_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let none = "deskline: data file desk.db does not exist\nhint: pass the data file of the server with --data FILE\n";
    for arguments in [
        ["--data", "desk.db", "user", "list"],
        ["user", "--data", "desk.db", "list"],
        ["user", "list", "--data", "desk.db"],
    ] {
        assert_refused(&folder, &arguments, 1, none).await;
    }
    let no_folder = "deskline: the folder of the data file nowhere/desk.db does not exist\nhint: create it, or choose another \
                     path with --data\n";
    for arguments in [["--data", "nowhere/desk.db", "serve"], ["serve", "--data", "nowhere/desk.db"]] {
        assert_refused(&folder, &arguments, 1, no_folder).await;
    }
}

#[tokio::test]
async fn commands_beside_a_running_demo_use_its_data_file() {
    let folder = tempfile::tempdir().unwrap();
    let demo = ServerProcess::start(program(folder.path(), &["--demo", "--listen", "127.0.0.1:0"])).await;
    let elsewhere = "deskline: data file deskline.db does not exist\nhint: pass the data file of the server with --data \
                     deskline-demo.db\n";
    assert_refused(&folder, &["user", "list"], 1, elsewhere).await;
    let listed = run(&folder, &["user", "list", "--data", "deskline-demo.db"]).await;
    let lines = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.status.success() && lines.contains("admin"), "{lines}");
    let second = "deskline: another deskline is already serving deskline-demo.db\n";
    assert_refused(&folder, &["--demo", "--listen", "127.0.0.1:0"], 1, second).await;
    demo.signal("TERM").await;
    assert_eq!(demo.ended().await.0.code(), Some(0));
}

#[tokio::test]
async fn an_unreachable_mongodb_is_reported_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    // A port that is bound, but that nobody listens on.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let uri = format!("mongodb://{address}/desk?serverSelectionTimeoutMS=300");
    let why = "no MongoDB server can be reached, or none of them can be written to; see that it runs at the address of \
               --mongodb-uri";
    let refused = format!("deskline: opening the store, MongoDB at {address}/desk: the store is unavailable: {why}\n");
    assert_refused(&folder, &["user", "list", "--mongodb-uri", &uri], 1, &refused).await;

    // A server waits for it, and logs that.
    let secret = "a secret of the tests alone, and of nothing else";
    let arguments = ["--listen", "127.0.0.1:0", "--jwt-secret", secret, "--mongodb-uri", &uri];
    let mut server = program(folder.path(), &arguments).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = tokio::io::AsyncBufReadExt::lines(tokio::io::BufReader::new(server.stderr.take().unwrap()));
    let line = timeout(STOP, lines.next_line()).await.expect("it logs nothing").unwrap().unwrap();
    let sentence = format!("Waiting for the store: MongoDB at {address}/desk error=\"{why}\"");
    assert!(line.ends_with(&sentence), "{line}");
    let pid = server.id().unwrap().to_string();
    assert!(Command::new("sh").args(["-c", "kill \"$0\"", &pid]).status().await.unwrap().success());
    assert_eq!(timeout(STOP, server.wait()).await.expect("it does not stop").unwrap().code(), Some(0));
}
