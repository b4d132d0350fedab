//! `deskline import`, as a command.

use std::process::Output;
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{Role, SystemClock};
use deskline::import::{End, compare};
use deskline::store::{OpenStore, StoreLocation};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::dump::{assert_worked, dump, line};
use crate::shared::{Account, SECRET, ServerProcess, make_account, seed};
use crate::support::{Site, enter, insist, send_message, stop};

/// Number of entries that [`fill`] makes: three messages, one of them with a file, and their read marks.
const ENTRIES: u64 = 4;

async fn import(site: &Site, words: &[&str]) -> Output {
    site.program(&[&["import"], words].concat()).output().await.unwrap()
}

async fn move_all(site: &Site, from: &str, to: &str) -> Output {
    import(site, &["--from", from, "--to", to]).await
}

fn sqlite(file: &str) -> String {
    format!("sqlite:{file}")
}

async fn open(site: &Site, file: &str) -> OpenStore {
    StoreLocation::Sqlite(site.folder().join(file)).open().await.unwrap()
}

/// The error text of a refused run, which has to exit with 1.
fn refusal(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    // The driver may print something, too, since nobody waits for its background tasks.
    assert!(stderr.lines().any(|line| line.starts_with("deskline: ")), "{stderr}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains("Both stores are equal"), "{stderr}");
    stderr
}

/// Runs a server with the data file `one.db`, on which people send messages and a file.
async fn fill(site: &Site) -> Vec<Account> {
    let people = seed(&site.folder().join("one.db"), &[("ada", Role::Admin), ("ann", Role::Customer)]).await;
    let server = ServerProcess::start(site.serve(&["--data", "one.db"])).await;
    let (ada, ann) = (enter(&server, &people[0].token).await, enter(&server, &people[1].token).await);
    send_message(&ann, &people[0].id.to_string(), "question").await;
    send_message(&ada, &people[1].id.to_string(), "answer").await;
    send_file(&server.url, &people[1]).await;
    let read = json!({"senderId": people[1].id.to_string()});
    insist(async || ada.emit_ack("mark-read", read.clone()).await.unwrap()).await;
    stop(server).await;
    people
}

async fn send_file(url: &str, by: &Account) {
    let http = reqwest::Client::new();
    let mine = http.get(format!("{url}/api/chat/rooms/my_room/")).bearer_auth(&by.token).send().await.unwrap();
    let room: Value = serde_json::from_slice(&mine.bytes().await.unwrap()).unwrap();
    let form = Form::new().text("room_id", room["room"]["id"].to_string());
    let form = form.part("attachment", Part::bytes(b"just text".to_vec()).file_name("a.txt"));
    let sent = http.post(format!("{url}/api/chat/messages/")).bearer_auth(&by.token).multipart(form);
    assert_eq!(sent.send().await.unwrap().status(), 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_file_is_copied_to_mongodb_and_back() {
    let Some(site) = Site::new() else { return };
    let people = fill(&site).await;
    let moved = format!("Copied 2 accounts, 0 profiles and {ENTRIES} entries; the target has 1 conversations.\n");
    let nothing = "Copied 0 accounts, 0 profiles and 0 entries; the target has 1 conversations.\n";
    let same = format!("Both stores are equal: {ENTRIES} entries compared.\n");
    let hint = "NOT copied: the files of 1 attachments.";

    let there = assert_worked(&move_all(&site, &sqlite("one.db"), &site.uri()).await);
    assert!(there.starts_with(&moved) && there.contains(hint) && there.ends_with(&same), "{there}");
    let again = assert_worked(&move_all(&site, &sqlite("one.db"), &site.uri()).await);
    assert!(again.starts_with(nothing) && again.ends_with(&same), "{again}");
    let (from, to) = (site.uri(), sqlite("two.db"));
    let files = ["--from-files", "one.db.files", "--to-files", "two.db.files"];
    let back = assert_worked(&import(&site, &[&["--from", &from, "--to", &to], files.as_slice()].concat()).await);
    assert!(back.starts_with(&moved) && back.ends_with(&same), "{back}");
    assert!(back.contains("1 attachments: 1 files copied, 0 not found.\n"), "{back}");

    let (one, two) = (open(&site, "one.db").await, open(&site, "two.db").await);
    assert_eq!(compare(&End::of(&one).unwrap(), &End::of(&two).unwrap(), |_| ()).await.unwrap(), ENTRIES);
    for store in [one, two] {
        store.close().await;
    }
    let server = ServerProcess::start(site.serve(&["--data", "two.db"])).await;
    let (url, desk) = (format!("{}/api/chat/messages/{}", server.url, people[0].id), reqwest::Client::new());
    let log = desk.get(url).bearer_auth(&people[1].token).send().await.unwrap().bytes().await.unwrap();
    let log: Value = serde_json::from_slice(&log).unwrap();
    assert_eq!((&log[0]["message"], &log[1]["message"]), (&json!("question"), &json!("answer")), "{log}");
    stop(server).await;
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_with_other_data_is_refused() {
    // Another account with Ann's address.
    let Some((site, _)) = Site::with(&[("ann", Role::Customer)]).await else { return };
    fill(&site).await;
    let stderr = refusal(&move_all(&site, &sqlite("one.db"), &site.uri()).await);
    assert!(
        stderr.contains("deskline: copying: the target already has another account with the number, address,"),
        "{stderr}"
    );
    site.remove().await;

    let site = Site::new().unwrap();
    fill(&site).await;
    assert_worked(&move_all(&site, &sqlite("one.db"), &site.uri()).await);
    let store = site.store().await;
    let tokens = Tokens::new(&Secret::from(SECRET), Duration::from_hours(1));
    make_account(&*store.stores().users, &tokens, &SystemClock, "bob", Role::Customer).await;
    store.close().await;
    let stderr = refusal(&move_all(&site, &sqlite("one.db"), &site.uri()).await);
    assert!(stderr.contains("deskline: comparing: the stores differ: "), "{stderr}");
    site.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_django_dump_in_mongodb_is_recognized_after_it_is_copied() {
    for (product, message, taken) in [("portal", "chat.chatmessage", 5), ("shop", "shop.chatmessage", 8)] {
        let Some(site) = Site::new() else { return };
        let Some(()) = dump(product, site.folder()) else { return };
        let uri = site.uri();
        let take = async |store: [&str; 2]| {
            let words = ["--django-dump", "dump.json", "--media", "media", "--files", "files", store[0], store[1]];
            assert_worked(&import(&site, &words).await)
        };
        let there = take(["--mongodb-uri", &uri]).await;
        assert!(line(&there, message).starts_with(&format!("{taken} imported, 0 existing, ")), "{there}");
        let again = take(["--mongodb-uri", &uri]).await;
        assert!(line(&again, message).starts_with(&format!("0 imported, {taken} existing, ")), "{again}");
        let moved = assert_worked(&move_all(&site, &uri, &sqlite("one.db")).await);
        assert!(moved.contains("Both stores are equal: "), "{moved}");
        let known = take(["--data", "one.db"]).await;
        assert_eq!(line(&known, message), line(&again, message));
        site.remove().await;
    }
}
