//! `deskline backup` while a server is written to and killed, and `deskline restore` elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deskline::domain::{Entry, Role};
use deskline::store::sqlite::SqliteStore;
use serde_json::json;
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::support::{Account, ServerProcess, Site, all_logs, enter, run};

/// Customers who send messages meanwhile.
const CUSTOMERS: [&str; 3] = ["ann", "bob", "cat"];

/// Messages that must be sent before a backup is made.
const SAID: u32 = 30;

const PICTURE: &[u8] = b"not really a picture";
const SECRET_FILE: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A data file with an attachment and a secret, whose server is written to.
struct Busy {
    site: Site,
    accounts: Vec<Account>,
    server: ServerProcess,
    count: Arc<AtomicU32>,
    _talking: JoinSet<()>,
    /// For backups, and what is restored of them.
    folder: TempDir,
}

impl Busy {
    async fn start() -> Self {
        let people: Vec<_> =
            [("ada", Role::Admin)].into_iter().chain(CUSTOMERS.map(|name| (name, Role::Customer))).collect();
        let (site, accounts) = Site::with(&people).await;
        let server = site.start(&[]).await;
        let ann = enter(&server.url, &accounts[1]).await;
        let message = json!({"receiverId": accounts[0].id.to_string(), "message": "a picture"});
        assert_eq!(ann.emit_ack("send-message", message).await.unwrap()["ok"], true);
        server.signal("TERM").await;
        server.ended().await;
        attach(&site.data());
        fs::write(beside(&site.data(), ".secret"), SECRET_FILE).unwrap();

        let server = site.start(&[]).await;
        let (count, mut talking) = (Arc::new(AtomicU32::new(0)), JoinSet::new());
        for account in &accounts[1..] {
            let (client, to, count) = (enter(&server.url, account).await, accounts[0].id.to_string(), count.clone());
            talking.spawn(async move {
                while let Ok(answer) =
                    client.emit_ack("send-message", json!({"receiverId": to, "message": "help"})).await
                {
                    assert!(answer["ok"] == true || answer["retryable"] == true, "{answer}");
                    count.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            });
        }
        let busy = Self { site, accounts, server, count, _talking: talking, folder: tempfile::tempdir().unwrap() };
        busy.goes_on().await;
        busy
    }

    /// Waits until some more messages are stored.
    async fn goes_on(&self) {
        let enough = self.count.load(Ordering::SeqCst) + SAID;
        while self.count.load(Ordering::SeqCst) < enough {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn back_up(&self, name: &str) -> Output {
        run(&["backup", text(&self.at(name)), "--data", text(&self.site.data())]).await
    }

    /// Restores a backup to a folder of its own. Returns the data file there.
    async fn restore(&self, name: &str) -> (PathBuf, Output) {
        let folder = self.at(&format!("from {name}"));
        fs::create_dir_all(&folder).unwrap();
        let data = folder.join("restored.db");
        let output = run(&["restore", text(&self.at(name)), "--data", text(&data)]).await;
        (data, output)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn beside(data: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", text(data)))
}

/// Gives the only message an attachment.
fn attach(data: &Path) {
    let files = beside(data, ".files");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("a1b2.png"), PICTURE).unwrap();
    let connection = rusqlite::Connection::open(data).unwrap();
    let add = "INSERT INTO extras (entry, author, file, name, media_type, size)
               SELECT number, author, 'a1b2.png', 'cat.png', 'image/png', 20 FROM entries LIMIT 1";
    assert_eq!(connection.execute(add, []).unwrap(), 1);
}

async fn logs(data: &Path, agent: &Account) -> Vec<(String, Vec<Entry>)> {
    let stores = SqliteStore::open(data).unwrap().stores();
    let mut logs: Vec<_> = all_logs(&*stores.conversations, agent.id).await;
    logs.sort_by_key(|(id, _)| id.to_string());
    logs.into_iter().map(|(id, log)| (id.to_string(), log)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_of_a_busy_server_is_a_moment_of_all_its_logs() {
    let busy = Busy::start().await;
    for name in ["first.tar", "second.tar"] {
        let output = busy.back_up(name).await;
        assert!(output.status.success() && said(&output).contains("1 attachments"), "{}", said(&output));
        busy.goes_on().await;
    }
    // The server dies while a backup is made.
    let (output, ()) = tokio::join!(busy.back_up("third.tar"), busy.server.signal("KILL"));
    assert!(output.status.success(), "{}", said(&output));

    let whole = logs(&busy.site.data(), &busy.accounts[0]).await;
    let mut before = 0;
    for name in ["first.tar", "second.tar", "third.tar"] {
        let (data, output) = busy.restore(name).await;
        assert!(output.status.success() && said(&output).starts_with("Restored 3 conversations"), "{}", said(&output));
        let restored = logs(&data, &busy.accounts[0]).await;
        for ((id, log), (restored_id, restored)) in whole.iter().zip(&restored) {
            assert_eq!(id, restored_id);
            assert_eq!(restored[..], log[..restored.len()], "the beginning of the log");
        }
        let entries = restored.iter().map(|(_, log)| log.len()).sum();
        assert!(entries >= before + SAID as usize, "{name} has {entries} entries, the one before it {before}");
        before = entries;
        assert_eq!(fs::read(beside(&data, ".files").join("a1b2.png")).unwrap(), PICTURE);
        assert_eq!(fs::read_to_string(beside(&data, ".secret")).unwrap(), SECRET_FILE);
        let verified = run(&["verify", "--data", text(&data)]).await;
        assert!(said(&verified).contains(": 0 differences"), "{}", said(&verified));
    }
    let left: Vec<_> = fs::read_dir(busy.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 6, "three backups and what was restored of them: {left:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_overwritten_and_a_damaged_backup_leaves_nothing() {
    let busy = Busy::start().await;
    assert!(busy.back_up("good.tar").await.status.success());
    let again = busy.back_up("good.tar").await;
    assert!(!again.status.success() && said(&again).contains("a backup is never overwritten"), "{}", said(&again));

    let (data, output) = busy.restore("good.tar").await;
    assert!(output.status.success(), "{}", said(&output));
    let (_, again) = busy.restore("good.tar").await;
    assert!(!again.status.success() && said(&again).contains("restored.db exists"), "{}", said(&again));
    fs::remove_file(&data).unwrap();
    let (_, again) = busy.restore("good.tar").await;
    assert!(!again.status.success() && said(&again).contains("exists\nhint: move it away"), "{}", said(&again));

    let folder = busy.at("folder");
    fs::create_dir(&folder).unwrap();
    let into_folder = run(&["restore", text(&busy.at("good.tar")), "--data", text(&folder)]).await;
    assert!(!into_folder.status.success() && said(&into_folder).contains("exists"), "{}", said(&into_folder));
    assert!(!beside(&folder, ".secret").exists(), "nothing is left");

    let mut bytes = fs::read(busy.at("good.tar")).unwrap();
    bytes.truncate(bytes.len() / 2);
    fs::write(busy.at("cut.tar"), bytes).unwrap();
    let (data, output) = busy.restore("cut.tar").await;
    assert!(!output.status.success() && said(&output).contains("the backup is incomplete"), "{}", said(&output));
    assert_eq!(fs::read_dir(data.parent().unwrap()).unwrap().count(), 0, "nothing is left");

    let files = beside(&busy.site.data(), ".files");
    fs::rename(&files, beside(&files, ".moved")).unwrap();
    let without = busy.back_up("without.tar").await;
    assert!(!without.status.success() && said(&without).contains("pass the server's --files"), "{}", said(&without));
    assert!(!busy.at("without.tar").exists());

    let nowhere = run(&["backup", text(&busy.at("none.tar")), "--data", text(&busy.at("none.db"))]).await;
    assert!(!nowhere.status.success() && said(&nowhere).contains("does not exist"), "{}", said(&nowhere));
    let on_mongo = run(&["backup", text(&busy.at("none.tar")), "--mongodb-uri", "mongodb://127.0.0.1:1/desk"]).await;
    assert!(!on_mongo.status.success() && said(&on_mongo).contains("its own tools"), "{}", said(&on_mongo));
}
