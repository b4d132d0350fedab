//! The id by which customers know the desk is pinned: whatever happens to its account, open pages still reach the desk,
//! and nobody else.

use deskline::domain::{DeskId, Role, User};
use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, SILENCE, Socket, TestServer, Who};

/// What happens to the account whose id is the support identity's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Deleted,
    Demoted,
    Blocked,
    /// Nothing happens to it, but an older account becomes an admin.
    Outranked,
}

const ALL: [Fate; 4] = [Fate::Deleted, Fate::Demoted, Fate::Blocked, Fate::Outranked];

struct Scene {
    server: TestServer,
    old: User,
    ada: User,
    bea: User,
    ann: User,
}

impl Scene {
    /// Ada is the first admin, Bea the second; the oldest account is a customer's.
    async fn new() -> Self {
        let server = TestServer::start().await;
        let old = server.account("Old", "old@x.test", Role::Customer).await;
        let ada = server.account("Ada", "ada@x.test", Role::Admin).await;
        let bea = server.account("Bea", "bea@x.test", Role::Admin).await;
        let ann = server.account("Ann", "ann@x.test", Role::Customer).await;
        Self { server, old, ada, bea, ann }
    }

    async fn happens(&self, fate: Fate) {
        let bea = self.who(&self.bea);
        let (method, user, change) = match fate {
            Fate::Deleted => ("DELETE", &self.ada, None),
            Fate::Demoted => ("PUT", &self.ada, Some(json!({"role": "user"}))),
            Fate::Blocked => ("PUT", &self.ada, Some(json!({"status": "Blocked"}))),
            Fate::Outranked => ("PUT", &self.old, Some(json!({"role": "admin"}))),
        };
        let verb = if method == "PUT" { "updateuser" } else { "deleteuser" };
        let done = self.server.ask(method, &format!("/api/admin/{verb}/{}", user.id), &bea, change).await;
        assert_eq!(done.status, 200, "{fate:?}: {}", done.json);
    }

    fn who(&self, user: &User) -> Who {
        Who::Bearer(self.server.token(user))
    }

    async fn dashboard(&self, user: &User) -> Client {
        let client = Client::connect(&format!("http://{}", self.server.address())).await.unwrap();
        let answer = client.authenticate(&self.server.token(user)).await.unwrap();
        assert_eq!(answer["success"], true, "{answer}");
        client
    }

    async fn desk_id(&self, user: &User) -> Value {
        self.server.get("/api/chat/admin", &self.who(user)).await.json["_id"].clone()
    }

    async fn portal(&self, room: &Value, user: &User) -> Socket {
        self.server.socket(&format!("/ws/chat/{room}/?token={}", self.server.token(user))).await
    }
}

async fn hears(client: &Client, event: &str) -> Value {
    client.wait_for(event, PATIENCE).await.unwrap_or_else(|error| panic!("did not receive {event}: {error}"))
}

/// Asserts that none of these events arrives for a moment.
async fn hears_none_of(client: &Client, events: &[&str]) {
    while let Ok((name, payload)) = client.next_event(SILENCE).await {
        assert!(!events.contains(&name.as_str()), "heard {name} {payload}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_dashboard_still_reaches_the_desk_after_the_first_admin_changes() {
    for fate in ALL {
        let scene = Scene::new().await;
        let (ann, bea) = (scene.dashboard(&scene.ann).await, scene.dashboard(&scene.bea).await);
        // The page has read this id when it was opened.
        let desk = scene.desk_id(&scene.ann).await;
        assert_eq!(desk, json!(scene.ada.id.to_string()));
        scene.happens(fate).await;
        let former = match fate {
            Fate::Demoted => {
                let former = User { role: Role::Customer, ..scene.ada.clone() };
                Some(scene.dashboard(&former).await)
            }
            Fate::Deleted | Fate::Blocked | Fate::Outranked => None,
        };
        let sent = ann.emit_ack("send-message", json!({"receiverId": desk, "message": "help"})).await.unwrap();
        assert_eq!(sent["ok"], true, "{fate:?}: {sent}");
        let asked = hears(&bea, "receive-message").await;
        assert_eq!((&asked["message"], &asked["sender"]["_id"]), (&json!("help"), &json!(scene.ann.id.to_string())));
        ann.emit("typing", json!({"receiverId": desk})).unwrap();
        assert_eq!(hears(&bea, "user-typing").await["userId"], scene.ann.id.to_string());

        let to_ann = json!({"receiverId": scene.ann.id.to_string(), "message": "here"});
        bea.emit_ack("send-message", to_ann).await.unwrap();
        assert_eq!(hears(&ann, "receive-message").await["sender"]["_id"], desk, "{fate:?}");
        bea.emit("typing", json!({"receiverId": scene.ann.id.to_string()})).unwrap();
        assert_eq!(hears(&ann, "user-typing").await["userId"], desk, "{fate:?}");
        let read = ann.emit_ack("mark-read", json!({"senderId": desk})).await.unwrap();
        assert_eq!(read["ok"], true, "{fate:?}: {read}");
        assert_eq!(hears(&bea, "messages-read").await["readBy"], scene.ann.id.to_string());
        let path = format!("/api/chat/messages/{}", desk.as_str().unwrap());
        let history = scene.server.get(&path, &scene.who(&scene.ann)).await.json;
        let senders: Vec<&Value> = history.as_array().unwrap().iter().map(|one| &one["sender"]["_id"]).collect();
        assert_eq!(senders, [&json!(scene.ann.id.to_string()), &desk], "{fate:?}");
        assert_eq!(scene.desk_id(&scene.ann).await, desk, "{fate:?}: a page that opens now gets the same id");
        if let Some(former) = former {
            hears_none_of(&former, &["receive-message", "user-typing", "messages-read"]).await;
        }
        drop(bea);
        assert_eq!(hears(&ann, "user-offline").await["userId"], desk, "{fate:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_portal_sees_one_desk_after_the_first_admin_changes() {
    for fate in ALL {
        let scene = Scene::new().await;
        let room =
            scene.server.get("/api/chat/rooms/my_room/", &scene.who(&scene.ann)).await.json["room"]["id"].clone();
        let (mut ann, mut bea) = (scene.portal(&room, &scene.ann).await, scene.portal(&room, &scene.bea).await);
        scene.happens(fate).await;
        ann.send(json!({"type": "typing", "is_typing": true})).await;
        assert_eq!(bea.next_of("typing").await["user_id"], scene.ann.number, "{fate:?}");
        ann.send(json!({"type": "chat_message", "message": "help"})).await;
        assert_eq!(bea.next_of("chat_message").await["message"], "help");
        bea.send(json!({"type": "chat_message", "message": "here"})).await;
        let (own, answer) = (ann.next_of("chat_message").await, ann.next_of("chat_message").await);
        assert_eq!((&own["message"], &answer["message"]), (&json!("help"), &json!("here")));
        assert_eq!(answer["sender_id"], scene.ada.number, "{fate:?}");
        bea.send(json!({"type": "typing", "is_typing": true})).await;
        assert_eq!(ann.next_of("typing").await["user_id"], scene.ada.number, "{fate:?}");
        drop(bea);
        let gone = json!({"type": "user_status", "user_id": scene.ada.number, "status": "offline"});
        while ann.next_of("user_status").await != gone {}
    }
}

/// A former admin is a customer like any other: their page knows the desk under an id that is not their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demoted_admin_talks_with_the_desk_and_cannot_pose_as_it() {
    let scene = Scene::new().await;
    assert_eq!(scene.desk_id(&scene.ann).await, json!(scene.ada.id.to_string()));
    scene.happens(Fate::Demoted).await;
    let former = User { role: Role::Customer, ..scene.ada.clone() };
    let (ada, bea, ann) =
        (scene.dashboard(&former).await, scene.dashboard(&scene.bea).await, scene.dashboard(&scene.ann).await);
    let desk = scene.desk_id(&former).await;
    assert_eq!(desk, json!(DeskId::RESERVED.user.to_string()));
    while hears(&ada, "user-online").await["userId"] != desk {}
    ada.emit_ack("send-message", json!({"receiverId": desk, "message": "my own question"})).await.unwrap();
    let asked = hears(&bea, "receive-message").await;
    assert_eq!(asked["sender"]["_id"], scene.ada.id.to_string(), "agents know a customer by their own id");
    let to_ada = json!({"receiverId": scene.ada.id.to_string(), "message": "an answer"});
    bea.emit_ack("send-message", to_ada).await.unwrap();
    let answer = hears(&ada, "receive-message").await;
    assert_eq!((&answer["sender"]["_id"], &answer["sender"]["name"]), (&desk, &json!("Bea")));

    let room = scene.server.get("/api/chat/rooms/my_room/", &scene.who(&former)).await.json["room"]["id"].clone();
    let (mut portal, mut agent) = (scene.portal(&room, &former).await, scene.portal(&room, &scene.bea).await);
    portal.send(json!({"type": "typing", "is_typing": true})).await;
    assert_eq!(agent.next_of("typing").await["user_id"], scene.ada.number);
    agent.send(json!({"type": "chat_message", "message": "on the portal"})).await;
    assert_eq!(portal.next_of("chat_message").await["sender_id"], DeskId::RESERVED.number);

    let to_ann = json!({"receiverId": scene.ann.id.to_string(), "message": "this is the desk"});
    let refused = ada.emit_ack("send-message", to_ann).await.unwrap();
    assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("not_found")));
    ada.emit("typing", json!({"receiverId": scene.ann.id.to_string()})).unwrap();
    hears_none_of(&ann, &["receive-message", "user-typing"]).await;
}

/// The messages between two customers stay, but one of them whose id is the desk's by now cannot write there any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_private_conversation_does_not_let_a_demoted_admin_pose_as_the_desk() {
    let server = TestServer::start().await;
    let old = server.account("Old", "old@x.test", Role::Customer).await;
    let ann = server.account("Ann", "ann@x.test", Role::Customer).await;
    let to_ann = json!({"receiverId": ann.id.to_string(), "message": "between customers"});
    let sent = server.post("/api/chat/send", &Who::Bearer(server.token(&old)), to_ann).await;
    assert_eq!(sent.status, 201, "{}", sent.json);
    let bea = Who::Bearer(server.token(&server.account("Bea", "bea@x.test", Role::Admin).await));
    for (role, desk) in [("admin", &old.id), ("user", &old.id)] {
        let change = json!({"role": role});
        assert_eq!(
            server.ask("PUT", &format!("/api/admin/updateuser/{}", old.id), &bea, Some(change)).await.status,
            200
        );
        let seen = async || server.get("/api/chat/admin", &Who::Bearer(server.token(&ann))).await.json["_id"].clone();
        while seen().await != json!(desk.to_string()) {
            tokio::task::yield_now().await;
        }
    }
    let client = Client::connect(&format!("http://{}", server.address())).await.unwrap();
    client.authenticate(&server.token(&old)).await.unwrap();
    let again = json!({"conversationId": sent.json["conversationId"], "message": "this is the desk"});
    let refused = client.emit_ack("send-message", again).await.unwrap();
    assert_eq!((&refused["ok"], &refused["code"]), (&json!(false), &json!("not_found")), "{refused}");
}
