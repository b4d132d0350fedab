//! `deskline import` on dumps of a real Django: people keep their passwords, rooms and links.

use std::path::PathBuf;
use std::process::{Command, Output};

use deskline::domain::Seq;
use deskline::store::sqlite::SqliteStore;
use deskline::store::{MAX_PAGE, OpenStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::dump::{assert_worked, dump, line};
use crate::harness::{Answer, TestServer, Who};

/// A folder with a dump, and the data file into which it is imported.
struct Site(TempDir);

impl Site {
    /// `None` if there is no Django.
    fn dumped(product: &str) -> Option<Self> {
        let site = Self(tempfile::tempdir().unwrap());
        dump(product, site.0.path()).map(|()| site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn try_import(&self, flags: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_deskline"));
        command.args(["import", "--django-dump"]).arg(self.path("dump.json")).args(flags);
        command.output().unwrap()
    }

    /// The report.
    fn import(&self, flags: &[&str]) -> String {
        let data = self.path("deskline.db");
        assert_worked(&self.try_import(&[&["--data", data.to_str().unwrap()], flags].concat()))
    }

    fn import_with_media(&self) -> String {
        self.import(&["--media", self.path("media").to_str().unwrap()])
    }

    /// Changes the dump.
    fn edit(&self, change: impl FnOnce(&mut Vec<Value>)) {
        let mut rows = serde_json::from_slice(&std::fs::read(self.path("dump.json")).unwrap()).unwrap();
        change(&mut rows);
        std::fs::write(self.path("dump.json"), json!(rows).to_string()).unwrap();
    }

    /// The contents of the data file.
    async fn contents(&self) -> Vec<String> {
        let store = OpenStore::Sqlite(SqliteStore::open(&self.path("deskline.db")).unwrap());
        let (stores, maintenance) = (store.stores(), store.maintenance().unwrap());
        let mut all = Vec::new();
        for user in maintenance.users_after(None, MAX_PAGE).await.unwrap() {
            all.push(format!("{user:?}"));
        }
        for summary in maintenance.conversations_after(None, MAX_PAGE).await.unwrap() {
            let id = summary.conversation.id;
            all.push(format!("{summary:?}"));
            for entry in stores.conversations.entries_after(id, Seq::ZERO, MAX_PAGE).await.unwrap() {
                all.push(format!("{entry:?}"));
            }
        }
        all
    }

    async fn serve(self) -> TestServer {
        TestServer::start_in(self.0, &[]).await
    }
}

fn texts(messages: &Value, key: &str) -> Vec<String> {
    messages.as_array().unwrap().iter().map(|message| message[key].as_str().unwrap().to_owned()).collect()
}

fn bearer(answer: &Answer, token: &Value) -> Who {
    assert_eq!(answer.status, 200, "{}", answer.json);
    Who::Bearer(token.as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_of_the_portal_continue_after_the_import() {
    let Some(site) = Site::dumped("portal") else { return };
    let report = site.import_with_media();
    assert_eq!(line(&report, "accounts.user"), "3 imported, 0 existing, 0 skipped");
    assert_eq!(line(&report, "chat.chatroom"), "2 imported, 0 existing, 0 skipped");
    assert_eq!(line(&report, "chat.chatmessage"), "5 imported, 0 existing, 0 skipped");
    assert!(report.contains("shown under the customer's name [8]"), "{report}");
    assert!(
        report.contains("the attachment's file was not found; only its name was imported (run again with --media) [9]")
    );
    for (model, why) in [("accounts.otp", "one-time codes"), ("chat.chatnotification", "notifications are derived")] {
        assert_eq!(line(&report, model), "0 imported, 0 existing, 1 skipped");
        assert!(report.contains(why), "{report}");
    }

    let server = site.serve().await;
    let log_in = async |email: &str| {
        let body = json!({"email": email, "password": "secret-1"});
        server.post("/api/accounts/login/", &Who::Nobody, body).await
    };
    assert_eq!(log_in("late@portal.test").await.status, 401, "has never entered the code to confirm the address");
    let uma = log_in("uma@portal.test").await;
    let profile = json!({"first_name": "Uma Mae", "last_name": "One", "email": "uma@portal.test",
        "phone_number": "+49 1", "date_of_birth": "1990-02-28"});
    assert_eq!(uma.json["user"], profile);
    let who = bearer(&uma, &uma.json["tokens"]["access"]);
    let room = server.get("/api/chat/rooms/my_room/", &who).await.json;
    assert_eq!((&room["room"]["id"], &room["created"], &room["room"]["user"]), (&json!(31), &json!(false), &json!(7)));
    assert_eq!((&room["room"]["user_unread_count"], &room["room"]["admin_unread_count"]), (&json!(1), &json!(3)));
    assert_eq!(room["room"]["created_at"], "2026-11-20T08:00:10.123000Z");
    let log = server.get("/api/chat/messages/?room_id=31", &who).await.json;
    let said = ["hello", "hi Uma", "with file", "somebody else's words, on her side", "lost file"];
    assert_eq!(texts(&log, "message"), said);
    assert_eq!((&log[0]["is_read"], &log[2]["is_read"]), (&json!(true), &json!(false)));
    assert_eq!((&log[1]["reply_to"]["message"], &log[1]["sender_name"]), (&json!("hello"), &json!("Ad Min")));
    assert_eq!(log[4]["created_at"], "2026-11-20T08:01:00.123000Z");
    assert_eq!((&log[2]["attachment_name"], &log[4]["attachment_name"]), (&json!("a b.txt"), &json!("gone.png")));
    let file = |n: usize| server.http.get(log[n]["attachment"].as_str().unwrap()).send();
    assert_eq!(file(2).await.unwrap().text().await.unwrap(), "just text");
    assert_eq!(file(4).await.unwrap().status(), 404);
    let first_step = json!({"username": "adm@portal.test", "password": "secret-1"});
    assert_eq!(server.post("/api/accounts/admin/login/step1/", &Who::Nobody, first_step).await.json["user_id"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_visitors_of_the_storefront_continue_after_the_import() {
    let Some(site) = Site::dumped("shop") else { return };
    let report = site.import(&[]);
    assert_eq!(line(&report, "auth.user"), "6 imported, 0 existing, 0 skipped");
    assert_eq!(line(&report, "shop.chatroom"), "5 imported, 0 existing, 0 skipped");
    assert_eq!(line(&report, "shop.chatmessage"), "8 imported, 0 existing, 1 skipped");
    assert!(report.contains("2 imported: has no e-mail address of its own"), "{report}");
    assert!(report.contains("2 imported: keeps its own link"), "{report}");

    let server = site.serve().await;
    let log_in = async |login: &str, password: &str| {
        let body = json!({"username": login, "password": password});
        server.post("/api/auth/login/", &Who::Nobody, body).await
    };
    for (login, password, status) in [
        ("ann", "secret-ann", 200),
        ("ann@shop.test", "secret-ann", 200),
        ("ann@shop.test", "secret-twin", 401),
        ("twin", "secret-twin", 200),
        ("mute", "secret-mute", 200),
        ("mute", "secret-ann", 401),
        ("shut", "secret-shut", 401),
    ] {
        assert_eq!(log_in(login, password).await.status, status, "{login} {password}");
    }
    let twin = log_in("twin", "secret-twin").await.json;
    assert_eq!([&twin["user"]["first_name"], &twin["user"]["last_name"]], ["Mary Ann", "Smith"]);
    let room = |number: u64| format!("00000000-0000-4000-8000-{number:012}");
    let ann = log_in("ann", "secret-ann").await;
    let who = bearer(&ann, &ann.json["access"]);
    let own = server.get("/api/public/chat-rooms/", &who).await.json;
    let own = &own["results"][0];
    assert_eq!((&own["id"], &own["status"], &own["unread_count"]), (&json!(room(1)), &json!("active"), &json!(1)));
    assert_eq!(texts(&own["messages"], "content"), ["first", "second", "third", "fourth"]);
    assert_eq!(own["messages"][2]["sender_name"], "Ada Min");
    assert_eq!(own["messages"][3]["created_at"], "2026-11-20T08:01:50.123000Z");

    let ada = log_in("ada", "secret-ada").await;
    let agent = bearer(&ada, &ada.json["access"]);
    let rooms = server.get("/api/admin/chat-rooms/", &agent).await.json;
    let ids: Vec<_> = rooms["results"].as_array().unwrap().iter().map(|room| room["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [3, 4, 1, 2, 5].map(room), "the room that was used last comes first");
    let status = async |number| {
        server.get(&format!("/api/admin/chat-rooms/{}/", room(number)), &agent).await.json["status"].clone()
    };
    assert_eq!(
        (status(2).await, status(3).await, status(5).await),
        (json!("closed"), json!("waiting"), json!("closed"))
    );

    let visitor = Who::Session("s".repeat(32));
    let own = server.get("/api/public/chat-rooms/", &visitor).await.json;
    let own = &own["results"][0];
    assert_eq!(
        (&own["id"], &own["customer_name"], &own["customer_email"], &own["customer_phone"]),
        (&json!(room(3)), &json!("Vi"), &json!("vi@x.test"), &json!("1"))
    );
    assert_eq!(own["messages"][0]["sender_name"], "Ada Min");
    let by_link = async |number| server.get(&format!("/api/public/chat-rooms/{}/", room(number)), &Who::Nobody).await;
    assert_eq!(by_link(4).await.json["messages"][0]["content"], "not mine any more");
    assert_eq!(by_link(2).await.json["status"], "closed", "the id also gives access to a closed room");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_changes_nothing_and_a_newer_dump_adds_what_is_new() {
    for product in ["portal", "shop"] {
        let Some(site) = Site::dumped(product) else { return };
        site.import_with_media();
        let before = site.contents().await;
        assert!(before.len() >= 10, "{before:?}");
        let again = site.import_with_media();
        assert_eq!(site.contents().await, before);
        assert!(
            again.lines().filter(|line| !line.starts_with(' ')).all(|line| line.contains(": 0 imported")),
            "{again}"
        );
        let is_message = |row: &&Value| row["model"].as_str().unwrap().ends_with("chatmessage");
        site.edit(|rows| {
            let mut newer = rows.iter().find(is_message).unwrap().clone();
            newer["pk"] = json!(99);
            newer["fields"]["created_at"] = json!("2026-11-20T09:00:00Z");
            rows.push(newer);
        });
        let newer = site.import_with_media();
        let message = if product == "shop" { "shop.chatmessage" } else { "chat.chatmessage" };
        assert!(line(&newer, message).starts_with("1 imported, "), "{newer}");
        let after = site.contents().await;
        let messages = |contents: &[String]| contents.iter().filter(|row| row.contains("kind: Message(")).count();
        assert_eq!(messages(&after), messages(&before) + 1);
        site.import_with_media();
        assert_eq!(site.contents().await, after);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_missing_are_copied_by_the_next_run() {
    let Some(site) = Site::dumped("portal") else { return };
    let report = site.import(&[]);
    assert!(report.contains("2 imported: the attachment's file was not found"), "{report}");
    site.import_with_media();
    let files: Vec<_> = std::fs::read_dir(site.path("deskline.db.files")).unwrap().collect();
    assert_eq!(files.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_an_existing_account_is_not_assigned_without_consent() {
    let Some(site) = Site::dumped("shop") else { return };
    let other = Site::dumped("portal").unwrap();
    other.edit(|rows| {
        for row in rows.iter_mut().filter(|row| row["pk"] == 7) {
            row["fields"]["email"] = json!("ann@shop.test");
        }
    });
    site.import(&[]);
    std::fs::copy(other.path("dump.json"), site.path("dump.json")).unwrap();
    let report = site.import(&[]);
    assert_eq!(line(&report, "accounts.user"), "2 imported, 0 existing, 1 skipped");
    assert!(report.contains("another account has the e-mail address (--join-accounts"), "{report}");
    assert!(report.contains("keeps its own link"), "{report}");
    assert!(report.contains("got another number, so their old tokens must not be accepted"), "{report}");
    let report = site.import(&["--join-accounts"]);
    assert!(report.contains("1 imported: merged into the account with the same e-mail address"), "{report}");
    assert_eq!(line(&report, "chat.chatmessage"), "0 imported, 5 existing, 0 skipped", "nothing twice");
}

#[test]
fn a_file_that_is_not_a_dump_is_refused_in_one_line() {
    let site = Site(tempfile::tempdir().unwrap());
    for text in ["junk", "{}", "[", "[]"] {
        std::fs::write(site.path("dump.json"), text).unwrap();
        let refused = site.try_import(&["--data", site.path("deskline.db").to_str().unwrap()]);
        let error = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success() && error.starts_with("deskline: "), "{text}: {error}");
    }
}
