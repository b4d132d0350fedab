//! A database of the replaced server, as its clients see it on Deskline. `tests/js/golden-db` writes it with a stock
//! driver.

use std::path::Path;
use std::process::Stdio;

use bson::oid::ObjectId;
use bson::{Bson, Document, doc};
use futures_util::TryStreamExt;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::shared::ServerProcess;
use crate::support::{PATIENCE, Site, enter, insist, send_message, stop};

/// Our fields in a message; everything else is as the old server writes it.
const OURS: [&str; 5] = ["conversation", "seq", "side", "number", "clientMessageId"];

/// Runs the script that writes the database. Returns the ids.
pub(crate) async fn write(site: &Site) -> Value {
    run("write.mjs", &[&site.server, &site.name]).await
}

/// Runs one of the scripts. Returns the JSON that it prints.
pub(crate) async fn run(script: &str, arguments: &[&str]) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js/golden-db");
    install(&folder).await;
    let mut node = Command::new("node");
    node.arg(script).args(arguments).current_dir(&folder).stderr(Stdio::inherit()).kill_on_drop(true);
    let written = node.output().await.expect("node is needed");
    assert!(written.status.success(), "{script} failed");
    serde_json::from_slice(&written.stdout).unwrap()
}

/// Installs the scripts' packages, once.
async fn install(folder: &Path) {
    static INSTALLING: Mutex<()> = Mutex::const_new(());
    let _one_at_a_time = INSTALLING.lock().await;
    if !folder.join("node_modules/.package-lock.json").exists() {
        let installed = Command::new("npm").args(["ci", "--silent"]).current_dir(folder).status().await;
        assert!(installed.expect("npm is needed").success(), "npm ci failed");
    }
}

async fn dump(site: &Site, collection: &str) -> Vec<Document> {
    let raw = site.raw().await;
    let all = raw.collection::<Document>(collection).find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
    all.try_collect().await.unwrap()
}

pub(crate) async fn log_in(server: &ServerProcess, email: &str) -> String {
    let body = json!({"email": email, "password": "old-password"});
    let url = format!("{}/api/auth/login", server.url);
    let ask = async || reqwest::Client::new().post(&url).json(&body).send().await.unwrap().json().await.unwrap();
    let answer = insist(ask).await;
    assert_eq!(answer["success"], true, "{answer}");
    answer["token"].as_str().unwrap().to_owned()
}

pub(crate) async fn get(server: &ServerProcess, token: &str, path: &str) -> Value {
    let url = format!("{}{path}", server.url);
    let ask = async || reqwest::Client::new().get(&url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    let answer = insist(ask).await;
    assert!(answer["code"].is_null(), "{path}: {answer}");
    answer
}

fn texts(messages: &Value) -> Vec<&str> {
    messages.as_array().unwrap().iter().map(|message| message["message"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_database_can_be_used_in_place() {
    let Some(site) = Site::new() else { return };
    let ids = write(&site).await;
    let id = |name: &str| ids[name].as_str().unwrap().to_owned();
    let (old_users, old_messages) = (dump(&site, "users").await, dump(&site, "messages").await);
    let server = site.start().await;

    let (ann, admin) = (log_in(&server, "ann@old.test").await, log_in(&server, "admin@old.test").await);
    assert_eq!(get(&server, &ann, "/api/chat/unread-count").await["count"], 1);
    assert_eq!(get(&server, &admin, "/api/chat/unread-count").await["count"], 2, "Ann's and Bob's");
    let listed = get(&server, &admin, "/api/chat/conversations").await;
    let listed = listed.as_array().unwrap();
    let last: Vec<_> = listed.iter().map(|one| one["lastMessage"].as_str().unwrap_or_default()).collect();
    assert_eq!(last, ["Me too!", "Let me look."], "{listed:?}");
    let history = get(&server, &admin, &format!("/api/chat/messages/{}", id("bob"))).await;
    assert_eq!(texts(&history), ["Me too!"]);

    let (at_ann, at_admin) = (enter(&server, &ann).await, enter(&server, &admin).await);
    let sent = send_message(&at_ann, &id("admin"), "Thank you!").await;
    let heard = async {
        loop {
            let heard = at_admin.wait_for("receive-message", PATIENCE).await.unwrap();
            if heard["message"] == "Thank you!" {
                return heard;
            }
        }
    };
    assert_eq!(heard.await["_id"], sent["messageId"]);
    let history = get(&server, &ann, &format!("/api/chat/messages/{}", id("admin"))).await;
    let expected = ["Is anybody there?", "Yes.", "Ünïcödé 👋, and my order is late.", "Let me look.", "Thank you!"];
    assert_eq!(texts(&history), expected);
    assert_eq!(history[0]["_id"], ids["messages"][0], "messages keep their ids");
    drop((at_ann, at_admin));
    stop(server).await;

    old_shapes_are_still_there(&site, &old_users, &old_messages).await;
    site.remove().await;
}

async fn old_shapes_are_still_there(site: &Site, old_users: &[Document], old_messages: &[Document]) {
    let mut users = dump(site, "users").await;
    for user in &mut users {
        user.remove("number");
    }
    assert_eq!(users, old_users);
    let kept = dump(site, "messages").await;
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for mut message in kept {
        let is_ours: Vec<bool> = OURS.iter().map(|field| message.remove(field).is_some()).collect();
        assert!(is_ours[..4].iter().all(|&is_there| is_there), "one of our fields is missing from {message}");
        let id = message.get_object_id("_id").unwrap();
        let is_old = old_messages.iter().any(|old| old.get_object_id("_id").unwrap() == id);
        if is_old { old.push(message) } else { new.push(message) }
    }
    // Reading the history has marked messages as read; like the old server, that sets a new `updatedAt`.
    for (message, before) in old.iter_mut().zip(old_messages) {
        assert!(!before.get_bool("read").unwrap() || message.get_bool("read").unwrap(), "nothing becomes unread");
        for field in ["read", "updatedAt"] {
            message.insert(field, before.get(field).unwrap().clone());
        }
    }
    assert_eq!(old, old_messages);
    let [new] = &new[..] else { panic!("one new message was sent: {new:?}") };
    let keys: Vec<&str> = new.keys().map(String::as_str).collect();
    let mut expected: Vec<&str> = old_messages[0].keys().map(String::as_str).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "a new message has the fields of an old one");
    for (field, old) in &old_messages[0] {
        assert_eq!(new.get(field).map(Bson::element_type), Some(old.element_type()), "the type of {field}");
    }
    assert_ne!(new.get_object_id("sender").unwrap(), ObjectId::from_bytes([0; 12]));
}
