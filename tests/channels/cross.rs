//! Customer on each dialect × agent on each dialect, with real sockets on both ends.

use deskline::domain::{MessageId, Role, User};
use deskline::lab::testkit::socketio::Client;
use serde_json::{Value, json};

use crate::harness::{PATIENCE, Socket, TestServer, Who};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Socketio,
    Storefront,
    Drivecash,
}

const ALL: [Dialect; 3] = [Dialect::Socketio, Dialect::Storefront, Dialect::Drivecash];

/// One end of a conversation, over any dialect.
enum End {
    Socketio(Client),
    /// A socket of the room, or an agent's socket for all rooms.
    Storefront(Socket),
    Drivecash(Socket),
}

/// The data of the conversation that both ends need.
struct Place {
    uuid: String,
    number: u64,
    customer: User,
    /// The first agent, whose id is the support identity's.
    admin: User,
}

async fn open(server: &TestServer, dialect: Dialect, person: &User, place: &Place) -> End {
    let token = server.token(person);
    match dialect {
        Dialect::Socketio => {
            let client = Client::connect(&format!("http://{}", server.address())).await.unwrap();
            let answer = client.authenticate(&token).await.unwrap();
            assert_eq!(answer["success"], true, "{answer}");
            End::Socketio(client)
        }
        Dialect::Storefront if person.role.is_agent() => {
            let mut socket = server.socket(&format!("/ws/admin/chat/?token={token}")).await;
            socket.next_of("room_list").await;
            End::Storefront(socket)
        }
        Dialect::Storefront => {
            let mut socket = server.socket(&format!("/ws/chat/{}/?token={token}", place.uuid)).await;
            socket.next_of("room_info").await;
            End::Storefront(socket)
        }
        Dialect::Drivecash => {
            let mut socket = server.socket(&format!("/ws/chat/{}/?token={token}", place.number)).await;
            socket.next_of("user_status").await;
            End::Drivecash(socket)
        }
    }
}

impl End {
    async fn say(&mut self, place: &Place, by_customer: bool, text: &str) {
        let to = if by_customer { place.admin.id } else { place.customer.id };
        match self {
            Self::Socketio(client) => {
                client.emit("send-message", json!({"receiverId": to.to_string(), "message": text})).unwrap();
            }
            Self::Storefront(socket) if by_customer => {
                socket.send(json!({"type": "chat_message", "content": text})).await;
            }
            Self::Storefront(socket) => {
                socket.send(json!({"type": "admin_message", "room_id": place.uuid, "content": text})).await;
            }
            Self::Drivecash(socket) => socket.send(json!({"type": "chat_message", "message": text})).await,
        }
    }

    /// The next message, and its text.
    async fn next(&mut self, is_customer: bool) -> (Value, String) {
        let (message, text) = match self {
            Self::Socketio(client) => (client.wait_for("receive-message", PATIENCE).await.unwrap(), "message"),
            Self::Storefront(socket) => {
                let kind = if is_customer { "chat_message" } else { "new_customer_message" };
                (socket.next_of(kind).await["message"].take(), "content")
            }
            Self::Drivecash(socket) => (socket.next_of("chat_message").await, "message"),
        };
        let text = message[text].as_str().unwrap().to_owned();
        (message, text)
    }

    /// The text of the next message.
    async fn hear(&mut self, is_customer: bool) -> String {
        self.next(is_customer).await.1
    }

    /// Expects this text as the customer, from the desk, whoever wrote it.
    async fn hear_from(&mut self, desk: &User, text: &str) {
        let message = loop {
            // On drivecash, the sender gets their own messages, too.
            let (message, heard) = self.next(true).await;
            if heard == text {
                break message;
            }
        };
        match self {
            Self::Socketio(_) => assert_eq!(message["sender"]["_id"], desk.id.to_string()),
            Self::Storefront(_) => {
                assert_eq!(
                    (&message["sender_name"], &message["sender_user"]),
                    (&json!(desk.name), &json!(desk.number))
                );
            }
            Self::Drivecash(_) => {
                assert_eq!((&message["sender_id"], &message["sender_name"]), (&json!(desk.number), &json!(desk.name)));
            }
        }
    }

    /// Types, if the dialect has an event for it.
    async fn type_(&mut self, to: &User) -> bool {
        match self {
            Self::Socketio(client) => {
                client.emit("typing", json!({"receiverId": to.id.to_string()})).unwrap();
                true
            }
            Self::Storefront(_) => false,
            Self::Drivecash(socket) => {
                socket.send(json!({"type": "typing", "is_typing": true})).await;
                true
            }
        }
    }

    /// Expects a typing notice, if the dialect has an event for it.
    async fn hear_typing(&mut self, typist: &User) {
        match self {
            Self::Socketio(client) => {
                let event = client.wait_for("user-typing", PATIENCE).await.unwrap();
                assert_eq!(event["userId"], typist.id.to_string());
            }
            Self::Storefront(socket) => socket.hears_none_of(&["typing"]).await,
            Self::Drivecash(socket) => assert_eq!(socket.next_of("typing").await["user_id"], typist.number),
        }
    }

    /// Marks the other side's newest message as read, if the dialect has an event for it.
    async fn read(&mut self, server: &TestServer, place: &Place, from: &User, who: &Who) -> bool {
        match self {
            Self::Socketio(client) => {
                client.emit("mark-read", json!({"senderId": from.id.to_string()})).unwrap();
                true
            }
            // A customer there only fetches messages, which marks them as delivered, not as read.
            Self::Storefront(_) if from.role.is_agent() => false,
            Self::Storefront(_) => {
                let path = format!("/api/admin/chat-rooms/{}/mark_as_read/", place.uuid);
                server.post(&path, who, json!({})).await.status == 200
            }
            Self::Drivecash(socket) => {
                let messages = server.get(&format!("/api/chat/messages/?room_id={}", place.number), who).await.json;
                let side = if from.role.is_agent() { "admin" } else { "user" };
                let mut theirs = messages.as_array().unwrap().iter().rev();
                let newest = theirs.find(|message| message["sender_type"] == side).unwrap()["id"].clone();
                socket.send(json!({"type": "read_receipt", "message_id": newest})).await;
                true
            }
        }
    }

    /// Expects a read mark, if the dialect has an event for it. Readers get their own read marks, too.
    async fn hear_read(&mut self, reader: &User) {
        match self {
            Self::Socketio(client) => {
                let id = reader.id.to_string();
                while client.wait_for("messages-read", PATIENCE).await.unwrap()["readBy"] != id {}
            }
            Self::Storefront(socket) => socket.hears_none_of(&["read_receipt"]).await,
            Self::Drivecash(socket) => while socket.next_of("read_receipt").await["read_by"] != reader.number {},
        }
    }

    /// Expects that somebody comes online or goes offline, if the dialect has an event for it.
    async fn hear_presence(&mut self, person: &User, is_online: bool) {
        let id = person.id.to_string();
        match self {
            Self::Socketio(client) => {
                let event = if is_online { "user-online" } else { "user-offline" };
                while client.wait_for(event, PATIENCE).await.unwrap()["userId"] != id {}
            }
            Self::Storefront(socket) => socket.hears_none_of(&["user_status"]).await,
            Self::Drivecash(socket) => {
                let wanted = json!({"type": "user_status", "user_id": person.number,
                    "status": if is_online { "online" } else { "offline" }});
                while socket.next_of("user_status").await != wanted {}
            }
        }
    }
}

/// The customer's unread count in the dialects that have one; the storefront's has none.
async fn unread_by_customer(server: &TestServer, customer: &Who) -> [Value; 2] {
    let in_portal = server.get("/api/chat/rooms/my_room/", customer).await.json["room"].take();
    let socketio = server.get("/api/chat/unread-count", customer).await.json["count"].take();
    assert_eq!(in_portal["unread_count"], in_portal["user_unread_count"]);
    [in_portal["user_unread_count"].clone(), socketio]
}

/// Compares the conversation in the REST routes of each dialect: texts with their ids, and the desk's unread count.
async fn histories(server: &TestServer, place: &Place, agent: &Who) {
    let shop = server.get(&format!("/api/admin/chat-rooms/{}/get_messages/", place.uuid), agent).await.json;
    let portal = server.get(&format!("/api/chat/messages/?room_id={}", place.number), agent).await.json;
    let pairs = |log: &Value, text: &str| -> Vec<(Value, Value)> {
        log.as_array().unwrap().iter().map(|message| (message["id"].clone(), message[text].clone())).collect()
    };
    assert_eq!(pairs(&shop, "content"), pairs(&portal, "message"));
    let rooms = server.get("/api/chat/rooms/", agent).await.json;
    let in_portal = rooms.as_array().unwrap().iter().find(|room| room["id"] == place.number).unwrap();
    let in_shop = server.get(&format!("/api/admin/chat-rooms/{}/", place.uuid), agent).await.json;
    assert_eq!(in_portal["admin_unread_count"], in_shop["unread_count"]);
    let unread = server.get("/api/chat/unread-count", agent).await.json;
    assert_eq!(unread["count"], in_shop["unread_count"]);
    let socketio = server.get(&format!("/api/chat/messages/{}", place.customer.id), agent).await.json;
    let mut numbered = Vec::new();
    for message in socketio.as_array().unwrap() {
        let id: MessageId = message["_id"].as_str().unwrap().parse().unwrap();
        let entry = server.stores.conversations.message(id).await.unwrap().unwrap();
        numbered.push((json!(entry.message().unwrap().number), message["message"].clone()));
    }
    assert_eq!(numbered, pairs(&shop, "content"));
}

#[tokio::test(flavor = "multi_thread")]
async fn people_on_all_dialects_can_talk_with_each_other() {
    for customer_speaks in ALL {
        for agent_speaks in ALL {
            meet(customer_speaks, agent_speaks).await;
        }
    }
}

async fn meet(customer_speaks: Dialect, agent_speaks: Dialect) {
    let server = TestServer::start().await;
    let admin = server.account("Ada Min", "admin@example.com", Role::Admin).await;
    let second = server.account("Bea Two", "bea@example.com", Role::Agent).await;
    let customer = server.account("Cu St", "cust@example.com", Role::Customer).await;
    let (by_agent, by_customer) = (Who::Bearer(server.token(&admin)), Who::Bearer(server.token(&customer)));
    let room = server.post("/api/public/user-chat/", &by_customer, json!({})).await.json;
    let number = server.get("/api/chat/rooms/my_room/", &by_customer).await.json["room"]["id"].as_u64().unwrap();
    let place = Place { uuid: room["id"].as_str().unwrap().to_owned(), number, customer, admin };
    let mut agent = open(&server, agent_speaks, &place.admin, &place).await;
    let mut asker = open(&server, customer_speaks, &place.customer, &place).await;
    agent.hear_presence(&place.customer, true).await;
    asker.hear_presence(&place.admin, true).await;

    for n in 0..3 {
        asker.say(&place, true, &format!("question {n}")).await;
        assert_eq!(agent.hear(false).await, format!("question {n}"), "{customer_speaks:?} to {agent_speaks:?}");
    }
    if agent.type_(&place.customer).await {
        asker.hear_typing(&place.admin).await;
    }
    if asker.type_(&place.admin).await {
        agent.hear_typing(&place.customer).await;
    }
    assert!(agent.read(&server, &place, &place.customer, &by_agent).await);
    asker.hear_read(&place.admin).await;
    agent.say(&place, false, "answer").await;
    asker.hear_from(&place.admin, "answer").await;
    let mut colleague = open(&server, agent_speaks, &second, &place).await;
    colleague.say(&place, false, "from a colleague").await;
    asker.hear_from(&place.admin, "from a colleague").await;
    drop(colleague);
    assert_eq!(unread_by_customer(&server, &by_customer).await, [2, 2]);
    asker.say(&place, true, "thanks").await;
    while agent.hear(false).await != "thanks" {}
    histories(&server, &place, &by_agent).await;
    if asker.read(&server, &place, &place.admin, &by_customer).await {
        agent.hear_read(&place.customer).await;
        assert_eq!(unread_by_customer(&server, &by_customer).await, [0, 0]);
    }
    drop(agent);
    asker.hear_presence(&place.admin, false).await;
    let mut agent = open(&server, agent_speaks, &place.admin, &place).await;
    asker.hear_presence(&place.admin, true).await;
    drop(asker);
    agent.hear_presence(&place.customer, false).await;
}
