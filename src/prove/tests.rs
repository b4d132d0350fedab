//! That a proof finds what is wrong.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::ledger::{Acked, Ledger, Naming, Told};
use super::page::Screen;
use super::talker::{Face, Part, Person, Phase, Talker};
use super::verdict::{Promise, judge};
use crate::domain::{
    ConversationId, Draft, DraftKind, Members, MessageBody, MessageId, Role, Seq, Side, Timestamp, UserId,
};
use crate::store::{OpenStore, Stores, sqlite::SqliteStore};

const ANN: UserId = UserId::from_bytes([1; 12]);
const BOB: UserId = UserId::from_bytes([2; 12]);
const AGENT: UserId = UserId::from_bytes([9; 12]);

/// A store in which Ann and Bob each said something to the desk, and what clients made of it.
struct Scene {
    _folder: tempfile::TempDir,
    store: OpenStore,
    of_ann: ConversationId,
    talkers: Vec<Talker>,
}

impl Scene {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = OpenStore::Sqlite(SqliteStore::open(&folder.path().join("scene.db")).unwrap());
        let stores = store.stores();
        let of_ann = say(&stores, ANN, "one").await;
        assert_eq!(say(&stores, ANN, "two").await, of_ann);
        let of_bob = say(&stores, BOB, "three").await;
        let (mut ann, mut bob) = (talker(ANN, Role::Customer), talker(BOB, Role::Customer));
        let mut agent = talker(AGENT, Role::Admin);
        for (seq, text) in [(1, "one"), (2, "two")] {
            hear(&mut ann, of_ann, seq, text, true);
            hear(&mut agent, of_ann, seq, text, false);
        }
        hear(&mut bob, of_bob, 1, "three", true);
        hear(&mut agent, of_bob, 1, "three", false);
        agent.ledger.take(&of_ann.to_string(), 1, false);
        told(&mut ann, of_ann, "delivered", 1);
        Self { _folder: folder, store, of_ann, talkers: vec![ann, bob, agent] }
    }

    /// How often each promise is broken.
    async fn broken(&self) -> Vec<usize> {
        let promises = judge(&self.store, AGENT, &self.talkers).await.unwrap();
        assert!(promises.iter().all(|promise: &Promise| promise.checked > 0), "{promises:?}");
        promises.iter().map(|promise| promise.broken.len()).collect()
    }
}

async fn say(stores: &Stores, author: UserId, text: &str) -> ConversationId {
    let members = Members::Support { customer: author };
    let conversation = stores.conversations.open(members, Timestamp::default()).await.unwrap().id;
    let (id, body) = (MessageId::generate(Timestamp::default()), MessageBody::stored(text.into()));
    let kind = DraftKind::Message { id, body, client_id: None };
    let draft = Draft { conversation, author, side: Side::Customer, at: Timestamp::default(), kind };
    for appended in stores.conversations.append(vec![draft]).await {
        appended.unwrap();
    }
    conversation
}

fn talker(id: UserId, role: Role) -> Talker {
    let (name, me) = (id.to_string(), Person { id: id.to_string(), role, token: String::new() });
    let part =
        Part { name, me, face: Face::Socketio, others: Vec::new(), think: Duration::ZERO, is_exact: true, seed: 1 };
    let mut talker = Talker::new(part, "", watch::channel(Phase::Talk).1, watch::channel(0).0);
    talker.ledger.connected();
    talker
}

fn hear(talker: &mut Talker, conversation: ConversationId, seq: u64, text: &str, is_own: bool) {
    let conversation = conversation.to_string();
    talker.ledger.hear(&conversation, seq);
    talker.ledger.read(&conversation, seq, Some(text));
    if is_own {
        talker.ledger.sent.insert(text.into());
        talker.ledger.acked.push(Acked { conversation, number: seq, text: text.into() });
    }
}

fn told(talker: &mut Talker, conversation: ConversationId, status: &str, up_to: u64) {
    let (conversation, status) = (conversation.to_string(), status.to_owned());
    talker.ledger.statuses.push(Told { conversation, status, up_to, at: Instant::now() });
}

#[tokio::test]
async fn what_is_as_it_should_be_is_proven() {
    assert_eq!(Scene::new().await.broken().await, [0; 8]);
}

#[tokio::test]
async fn an_acknowledged_message_that_is_not_kept_is_found() {
    let mut scene = Scene::new().await;
    let conversation = scene.of_ann.to_string();
    scene.talkers[0].ledger.acked.push(Acked { conversation, number: 3, text: "lost".into() });
    assert_eq!(scene.broken().await[0], 1);
}

#[tokio::test]
async fn a_message_that_is_kept_twice_and_one_that_nobody_said_are_found() {
    let scene = Scene::new().await;
    say(&scene.store.stores(), ANN, "two").await;
    say(&scene.store.stores(), ANN, "made up").await;
    let broken = scene.broken().await;
    assert_eq!(broken[1], 2);
    assert_eq!(broken[2], 4, "and neither Ann nor the agent heard them");
}

#[tokio::test]
async fn what_somebody_should_not_have_heard_is_found() {
    let mut scene = Scene::new().await;
    let of_ann = scene.of_ann;
    hear(&mut scene.talkers[1], of_ann, 1, "one", false);
    assert_eq!(scene.broken().await[3], 1);
}

#[tokio::test]
async fn what_comes_late_twice_or_changed_is_found() {
    let mut scene = Scene::new().await;
    let of_ann = scene.of_ann;
    hear(&mut scene.talkers[2], of_ann, 1, "one", false);
    assert_eq!(scene.broken().await[4], 2, "late, and twice");
    assert_eq!(scene.broken().await[2], 0);
    hear(&mut scene.talkers[2], of_ann, 2, "too", false);
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
async fn a_receipt_that_comes_before_its_cause_is_found() {
    let mut scene = Scene::new().await;
    let of_ann = scene.of_ann;
    for status in ["sent", "delivered", "read"] {
        told(&mut scene.talkers[0], of_ann, status, 2);
    }
    scene.talkers[2].ledger.take(&of_ann.to_string(), 2, true);
    assert_eq!(scene.broken().await[5], 2, "that it was handed over needs no doing of the agent's");
    for status in ["delivered", "read"] {
        told(&mut scene.talkers[0], of_ann, status, 2);
    }
    assert_eq!(scene.broken().await[5], 2, "now the agent has");
    told(&mut scene.talkers[0], of_ann, "delivered", 3);
    assert_eq!(scene.broken().await[5], 3, "there is no third message");
}

#[tokio::test]
async fn a_receipt_does_not_count_as_checked_if_an_unanswered_question_may_have_caused_it() {
    let mut scene = Scene::new().await;
    let of_ann = scene.of_ann;
    let asked = scene.talkers[2].ledger.ask(false);
    scene.talkers[2].ledger.answered(asked, None);
    told(&mut scene.talkers[0], of_ann, "delivered", 2);
    assert_eq!(scene.broken().await[5], 0);
    told(&mut scene.talkers[0], of_ann, "read", 2);
    assert_eq!(scene.broken().await[5], 1, "the question was not whether it is read");
    scene.talkers[2].ledger.answered(asked, Some(vec![(of_ann.to_string(), 1)]));
    assert_eq!(scene.broken().await[5], 2, "it was answered, and not with that");
}

#[tokio::test]
async fn a_face_over_which_nothing_was_acknowledged_is_found() {
    let mut scene = Scene::new().await;
    let bob = &mut scene.talkers[1];
    (bob.face, bob.ledger) = (Face::Polling, Ledger::new(Naming::Seq));
    assert_eq!(scene.broken().await[7], 1);
}

#[test]
fn what_did_not_come_by_itself_on_a_settled_connection_is_found_when_it_is_read() {
    let mut ledger = Ledger::new(Naming::Seq);
    ledger.connected();
    ledger.hear("c", 3);
    ledger.fetch("c", 2);
    assert!(ledger.wrong.is_empty(), "it was still catching up");
    ledger.settle();
    ledger.hear("c", 6);
    ledger.connected();
    ledger.fetch("c", 7);
    ledger.fetch("c", 6);
    assert!(ledger.wrong.is_empty(), "it was away, and knew the other");
    ledger.fetch("c", 5);
    assert_eq!(ledger.wrong.len(), 1, "{:?}", ledger.wrong);
    ledger.settle();
    ledger.expect_nothing_new();
    ledger.fetch("c", 7);
    ledger.fetch("c", 8);
    assert_eq!(ledger.wrong.len(), 2, "{:?}", ledger.wrong);
}

#[test]
fn what_is_looked_at_late_does_not_undo_what_was_done_since() {
    let mut ledger = talker(ANN, Role::Customer).ledger;
    ledger.identify("m", "c", 3);
    ledger.read("c", 3, Some("first"));
    ledger.revise("m", 7, Some("second"));
    ledger.revise("m", 5, Some("between"));
    ledger.read("c", 3, Some("first"));
    assert_eq!(ledger.heard["c"][&3].as_deref(), Some("second"));
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
async fn a_page_that_is_not_shown_its_own_words_is_found_unless_its_place_cannot_be_named() {
    for (is_exact, broken) in [(true, 1), (false, 0)] {
        let mut scene = Scene::new().await;
        let of_ann = scene.of_ann.to_string();
        let ann = &mut scene.talkers[0];
        (ann.face, ann.screen) = (Face::Page, Screen::new(is_exact));
        ann.ledger.heard.get_mut(&of_ann).unwrap().remove(&2);
        assert_eq!(scene.broken().await[2], broken);
    }
}
