//! Violations are found.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::actor::{Actor, Counts, Face, Person, Phase, Script};
use super::checks::{Invariant, check_all};
use super::page::Screen;
use super::transcript::{Acked, Naming, StatusEvent, Transcript};
use crate::domain::{
    ConversationId, Draft, DraftKind, Members, MessageBody, MessageId, Role, Seq, Side, Timestamp, UserId,
};
use crate::store::{OpenStore, Stores, sqlite::SqliteStore};

const ANN: UserId = UserId::from_bytes([1; 12]);
const BOB: UserId = UserId::from_bytes([2; 12]);
const AGENT: UserId = UserId::from_bytes([9; 12]);

/// A store with messages from Ann and Bob to the desk, and the matching clients.
struct Scene {
    _folder: tempfile::TempDir,
    store: OpenStore,
    of_ann: ConversationId,
    actors: Vec<Actor>,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = OpenStore::Sqlite(SqliteStore::open(&folder.path().join("scene.db")).unwrap());
        let stores = store.stores();
        let of_ann = say(&stores, ANN, "one").await;
        assert_eq!(say(&stores, ANN, "two").await, of_ann);
        let of_bob = say(&stores, BOB, "three").await;
        let (mut ann, mut bob) = (actor(ANN, Role::Customer), actor(BOB, Role::Customer));
        let mut agent = actor(AGENT, Role::Admin);
        for (seq, text) in [(1, "one"), (2, "two")] {
            hear(&mut ann, of_ann, seq, text, true);
            hear(&mut agent, of_ann, seq, text, false);
        }
        hear(&mut bob, of_bob, 1, "three", true);
        hear(&mut agent, of_bob, 1, "three", false);
        agent.transcript.confirm(&of_ann.to_string(), 1, false);
        receipt(&mut ann, of_ann, "delivered", 1);
        Self { _folder: folder, store, of_ann, actors: vec![ann, bob, agent] }
    }

    /// How often each invariant is broken.
    async fn broken(&self) -> Vec<usize> {
        let invariants = check_all(&self.store, AGENT, &self.actors).await.unwrap();
        assert!(invariants.iter().all(|invariant: &Invariant| invariant.checked > 0), "{invariants:?}");
        invariants.iter().map(|invariant| invariant.broken.len()).collect()
    }
}

async fn say(stores: &Stores, author: UserId, text: &str) -> ConversationId {
    let members = Members::Support { customer: author };
    let conversation = stores.conversations.open(members, Timestamp::default()).await.unwrap().id;
    let (id, body) = (MessageId::generate(Timestamp::default()), MessageBody::stored(text.into()));
    let kind = DraftKind::Message { id, body, client_id: None, extras: None };
    let draft = Draft { conversation, author, side: Side::Customer, at: Timestamp::default(), kind };
    for appended in stores.conversations.append(vec![draft]).await {
        appended.unwrap();
    }
    conversation
}

fn actor(id: UserId, role: Role) -> Actor {
    let (name, me) = (id.to_string(), Person { id: id.to_string(), role, token: String::new() });
    let (url, others, face) = (String::new(), Vec::new(), Face::Socketio);
    let script = Script {
        name,
        me,
        face,
        url,
        others,
        think: Duration::ZERO,
        link: None,
        is_exact: true,
        expects_live: true,
        seed: 1,
    };
    let mut actor = Actor::new(script, watch::channel(Phase::Talk).1, watch::channel(Counts::default()).0);
    actor.transcript.connected();
    actor
}

fn hear(actor: &mut Actor, conversation: ConversationId, seq: u64, text: &str, is_own: bool) {
    let conversation = conversation.to_string();
    actor.transcript.receive(&conversation, seq);
    actor.transcript.read(&conversation, seq, Some(text));
    if is_own {
        actor.transcript.sent.insert(text.into());
        actor.transcript.acked.push(Acked { conversation, number: seq, text: text.into() });
    }
}

fn receipt(actor: &mut Actor, conversation: ConversationId, status: &str, up_to: u64) {
    let (conversation, status) = (conversation.to_string(), status.to_owned());
    actor.transcript.statuses.push(StatusEvent { conversation, status, up_to, at: Instant::now() });
}

#[tokio::test]
async fn a_correct_run_passes() {
    assert_eq!(Scene::new().await.broken().await, [0; 8]);
}

#[tokio::test]
async fn an_acknowledged_message_that_is_not_stored_is_found() {
    let mut scene = Scene::new().await;
    let conversation = scene.of_ann.to_string();
    scene.actors[0].transcript.acked.push(Acked { conversation, number: 3, text: "lost".into() });
    assert_eq!(scene.broken().await[0], 1);
}

#[tokio::test]
async fn a_message_stored_twice_and_one_that_nobody_sent_are_found() {
    let scene = Scene::new().await;
    say(&scene.store.stores(), ANN, "two").await;
    say(&scene.store.stores(), ANN, "made up").await;
    let broken = scene.broken().await;
    assert_eq!(broken[1], 2);
    assert_eq!(broken[2], 4, "and neither Ann nor the agent received them");
}

#[tokio::test]
async fn a_message_received_by_the_wrong_person_is_found() {
    let mut scene = Scene::new().await;
    let of_ann = scene.of_ann;
    hear(&mut scene.actors[1], of_ann, 1, "one", false);
    assert_eq!(scene.broken().await[3], 1);
}

#[tokio::test]
async fn late_duplicated_and_changed_messages_are_found() {
    let mut scene = Scene::new().await;
    let of_ann = scene.of_ann;
    hear(&mut scene.actors[2], of_ann, 1, "one", false);
    assert_eq!(scene.broken().await[4], 2, "late, and twice");
    assert_eq!(scene.broken().await[2], 0);
    hear(&mut scene.actors[2], of_ann, 2, "too", false);
    assert_eq!(scene.broken().await[2], 1, "changed");
}

#[tokio::test]
async fn a_projection_that_does_not_follow_from_the_log_is_found() {
    let scene = Scene::new().await;
    let maintenance = scene.store.maintenance().unwrap();
    let kept = scene.store.stores().conversations.summary(scene.of_ann).await.unwrap().unwrap();
    let mut wrong = kept.clone();
    wrong.sides[1].unread = 7;
    wrong.sides[1].read = Seq::new(1);
    assert!(maintenance.repair(&kept, &wrong).await.unwrap());
    assert_eq!(scene.broken().await[6], 2);
}

#[tokio::test]
async fn a_receipt_sent_before_its_cause_is_found() {
    let mut scene = Scene::new().await;
    let of_ann = scene.of_ann;
    for status in ["sent", "delivered", "read"] {
        receipt(&mut scene.actors[0], of_ann, status, 2);
    }
    scene.actors[2].transcript.confirm(&of_ann.to_string(), 2, true);
    assert_eq!(scene.broken().await[5], 2, "`sent` needs no confirmation of the agent");
    for status in ["delivered", "read"] {
        receipt(&mut scene.actors[0], of_ann, status, 2);
    }
    assert_eq!(scene.broken().await[5], 2, "now the agent has confirmed them");
    receipt(&mut scene.actors[0], of_ann, "delivered", 3);
    assert_eq!(scene.broken().await[5], 3, "there is no third message");
}

#[tokio::test]
async fn a_receipt_is_not_checked_if_an_unanswered_request_may_have_caused_it() {
    let mut scene = Scene::new().await;
    let of_ann = scene.of_ann;
    let asked = scene.actors[2].transcript.ask(false);
    scene.actors[2].transcript.answered(asked, None);
    receipt(&mut scene.actors[0], of_ann, "delivered", 2);
    assert_eq!(scene.broken().await[5], 0);
    receipt(&mut scene.actors[0], of_ann, "read", 2);
    assert_eq!(scene.broken().await[5], 1, "the pending request does not mark messages as read");
    scene.actors[2].transcript.answered(asked, Some(vec![(of_ann.to_string(), 1)]));
    assert_eq!(scene.broken().await[5], 2, "the request was answered, and the answer did not have that message");
}

#[tokio::test]
async fn a_face_without_acknowledged_messages_is_found() {
    let mut scene = Scene::new().await;
    let bob = &mut scene.actors[1];
    (bob.face, bob.transcript) = (Face::Polling, Transcript::new(Naming::Seq));
    assert_eq!(scene.broken().await[7], 1);
}

#[test]
fn a_message_that_was_not_received_live_on_a_settled_connection_is_found() {
    let mut transcript = Transcript::new(Naming::Seq);
    transcript.connected();
    transcript.receive("c", 3);
    transcript.fetch("c", 2);
    assert!(transcript.violations.is_empty(), "it was still catching up");
    transcript.settle();
    transcript.receive("c", 6);
    transcript.connected();
    transcript.fetch("c", 7);
    transcript.fetch("c", 6);
    assert!(transcript.violations.is_empty(), "it was disconnected, and has the other one");
    transcript.fetch("c", 5);
    assert_eq!(transcript.violations.len(), 1, "{:?}", transcript.violations);
    transcript.settle();
    transcript.expect_nothing_new();
    transcript.fetch("c", 7);
    transcript.fetch("c", 8);
    assert_eq!(transcript.violations.len(), 2, "{:?}", transcript.violations);
}

#[test]
fn an_old_event_does_not_undo_a_newer_change() {
    let mut transcript = actor(ANN, Role::Customer).transcript;
    transcript.identify("m", "c", 3);
    transcript.read("c", 3, Some("first"));
    transcript.revise("m", 7, Some("second"));
    transcript.revise("m", 5, Some("between"));
    transcript.read("c", 3, Some("first"));
    assert_eq!(transcript.texts["c"][&3].as_deref(), Some("second"));
}

#[test]
fn a_page_shows_each_message_once_and_in_order_beyond_what_it_fetched() {
    let mut screen = Screen::new(true);
    screen.fetched.insert("c".into(), 2);
    for (seq, is_next) in [(1, true), (3, true), (5, true), (5, false), (4, false), (6, true), (2, true)] {
        assert_eq!(screen.show("c", seq), is_next, "{seq}");
    }
    assert!(screen.show("d", 1), "another conversation");
}

#[tokio::test]
async fn a_page_that_misses_its_own_message_is_found_unless_its_place_cannot_be_named() {
    for (is_exact, broken) in [(true, 1), (false, 0)] {
        let mut scene = Scene::new().await;
        let of_ann = scene.of_ann.to_string();
        let ann = &mut scene.actors[0];
        (ann.face, ann.screen) = (Face::Page, Screen::new(is_exact));
        ann.transcript.texts.get_mut(&of_ann).unwrap().remove(&2);
        assert_eq!(scene.broken().await[2], broken);
    }
}
