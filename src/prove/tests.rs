//! That a proof finds what is wrong.

use std::time::Duration;

use tokio::sync::watch;

use super::ledger::{Acked, Told};
use super::talker::{Face, Person, Phase, Talker};
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
        agent.ledger.statuses.push(Told { conversation: of_ann.to_string(), status: "sent".into(), up_to: 2 });
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
    let me = Person { id: id.to_string(), role, token: String::new() };
    let (phase, count) = (watch::channel(Phase::Talk).1, watch::channel(0).0);
    let mut talker =
        Talker::new((id.to_string(), me, Face::Socketio), "", Vec::new(), phase, count, (Duration::ZERO, 1));
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

#[tokio::test]
async fn what_is_as_it_should_be_is_proven() {
    assert_eq!(Scene::new().await.broken().await, [0; 7]);
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
    let upkeep = scene.store.upkeep().unwrap();
    let kept = scene.store.stores().conversations.summary(scene.of_ann).await.unwrap().unwrap();
    let mut wrong = kept.clone();
    wrong.sides[1].unread = 7;
    wrong.sides[1].read = Seq::new(1);
    assert!(upkeep.repair(&kept, &wrong).await.unwrap());
    assert_eq!(scene.broken().await[6], 2);
}

#[tokio::test]
async fn a_receipt_of_somebody_who_never_gives_one_is_found() {
    let mut scene = Scene::new().await;
    let conversation = scene.of_ann.to_string();
    scene.talkers[2].ledger.statuses.push(Told { conversation, status: "read".into(), up_to: 2 });
    assert_eq!(scene.broken().await[5], 0, "Ann's client could have said so");
    scene.talkers[0].face = Face::Classic;
    assert_eq!(scene.broken().await[5], 1);
}
