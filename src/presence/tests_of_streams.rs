//! What arrives, what is in doubt, and who is sent it when a connection ends.

use tokio::time::advance;

use super::testing::Recorder;
use super::*;
use crate::domain::{
    Conversation, Entry, EntryKind, EntryTold, Members, MessageExtras, Parties, Side, Status, Timestamp,
};

const ROOM: ConversationId = ConversationId::from_bytes([1; 12]);
const ANN: UserId = UserId::from_bytes([2; 12]);
const SECOND: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_secs(45);

fn ann() -> Arc<Person> {
    Arc::new(Person::deleted(ANN))
}

fn told(seq: u64) -> Arc<EntryTold> {
    let desk = Arc::new(Person::deleted(UserId::from_bytes([3; 12])));
    let members = Members::Support { customer: ANN };
    let conversation = Conversation { id: ROOM, number: 1, uuid: 1, members, created_at: Timestamp::default() };
    let entry = Entry {
        conversation: ROOM,
        seq: Seq::new(seq),
        author: desk.id,
        side: Side::Desk,
        at: Timestamp::default(),
        kind: EntryKind::StatusChanged { status: Status::Active },
    };
    let parties = Parties { conversation, customer: ann(), desk: desk.clone() };
    let extras = MessageExtras::default();
    Arc::new(EntryTold { parties, entry, author: desk, origin: None, extras, attachment_path: None, about: None })
}

/// Ann, and what her connections are told.
#[derive(Default)]
struct Scene(Presence);

impl Scene {
    /// Opens a connection that is live at once; gives what its client missed on earlier ones.
    fn open(&self, connection: &Arc<Recorder>) -> (Arc<Stream>, Vec<u64>) {
        let joined = self.0.join(ann(), connection.clone(), Begins::FromCursor);
        while !matches!(joined.stream.finish(), Next::Live) {}
        (joined.stream, joined.lost.iter().map(|(_, first)| first.get()).collect())
    }

    async fn tell(&self, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            self.0.tell(ANN, &DeskEvent::Entry(told(seq)));
        }
        advance(SECOND).await;
    }

    fn arrived(&self) -> Vec<u64> {
        self.0.take_arrived().iter().map(|(_, _, up_to)| up_to.get()).collect()
    }

    /// Ends a connection; gives what others have to send.
    fn end(&self, connection: &Recorder, ending: Ending) -> Vec<(ConnectionId, u64, u64)> {
        let left = self.0.leave(ANN, connection.id(), connection.arrived(), ending, WITHIN);
        let due = left.missing.iter().map(|Missing { stream, span }| (stream.id(), span.1.get(), span.2.get()));
        due.collect()
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_a_client_has_shown_to_have_has_arrived() {
    let (scene, tab) = (Scene::default(), Recorder::new());
    scene.open(&tab);
    scene.tell(1..=3).await;
    assert_eq!(scene.arrived(), [0; 0]);
    tab.confirm();
    scene.tell(4..=4).await;
    assert_eq!(scene.arrived(), [3]);
    assert_eq!(scene.0.newest_in_flight(ANN, ROOM), Some(Seq::new(4)));
    scene.0.confirm(ANN, ROOM, Seq::new(4));
    assert_eq!((scene.arrived(), scene.0.newest_in_flight(ANN, ROOM)), (Vec::new(), None));
}

#[tokio::test(start_paused = true)]
async fn who_shows_nothing_is_asked_once_in_a_while() {
    let (scene, tab) = (Scene::default(), Recorder::new());
    scene.open(&tab);
    scene.tell(1..=1).await;
    scene.arrived();
    assert_eq!(tab.told().borrow().asked, 0);
    advance(ON_THE_WAY).await;
    scene.arrived();
    scene.arrived();
    assert_eq!(tab.told().borrow().asked, 1);
    advance(ON_THE_WAY * 2).await;
    scene.arrived();
    assert_eq!(tab.told().borrow().asked, 2);
    tab.confirm();
    scene.arrived();
    advance(ON_THE_WAY * 2).await;
    scene.arrived();
    assert_eq!(tab.told().borrow().asked, 2, "nothing is in flight any more");
}

#[tokio::test(start_paused = true)]
async fn a_newer_connection_is_sent_what_was_lost_with_an_older_one_and_nothing_that_it_had() {
    let (scene, dead, alive) = (Scene::default(), Recorder::new(), Recorder::new());
    scene.open(&dead);
    scene.tell(1..=5).await;
    dead.confirm();
    scene.tell(6..=8).await;
    let (stream, lost) = scene.open(&alive);
    assert_eq!((lost, stream.begins_after(ROOM)), (Vec::new(), Some(Seq::new(8))), "the older one may be another tab");
    scene.tell(9..=10).await;
    alive.confirm();
    advance(SECOND).await;
    assert_eq!(scene.arrived(), [5], "6 to 8 are missing before what has arrived");
    assert_eq!(scene.end(&dead, Ending::Silent), [(alive.id(), 6, 8)]);
    assert_eq!(scene.arrived(), [0; 0]);
    stream.due_is_sent(ROOM);
    advance(SECOND).await;
    alive.confirm();
    advance(SECOND).await;
    assert_eq!(scene.arrived().into_iter().max(), Some(10));
    assert_eq!(scene.end(&alive, Ending::Closed), []);
}

#[tokio::test(start_paused = true)]
async fn what_the_older_one_has_shown_to_have_lets_the_newer_ones_arrivals_count() {
    let (scene, old, new) = (Scene::default(), Recorder::new(), Recorder::new());
    scene.open(&old);
    scene.tell(1..=5).await;
    scene.open(&new);
    scene.tell(6..=6).await;
    new.confirm();
    advance(SECOND).await;
    assert_eq!(scene.arrived(), [0; 0]);
    old.confirm();
    advance(SECOND).await;
    assert_eq!(scene.arrived().into_iter().max(), Some(6));
    assert_eq!(scene.end(&old, Ending::Broken), []);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_comes_back_begins_where_its_connection_broke_although_another_tab_got_everything() {
    let (scene, lost, other) = (Scene::default(), Recorder::new(), Recorder::new());
    scene.open(&lost);
    scene.open(&other);
    scene.tell(1..=3).await;
    lost.confirm();
    advance(SECOND).await;
    assert_eq!(scene.end(&lost, Ending::Broken), []);
    scene.tell(4..=6).await;
    other.confirm();
    advance(SECOND).await;
    assert_eq!(scene.arrived().into_iter().max(), Some(6));
    assert_eq!(scene.open(&Recorder::new()).1, [4]);
    assert_eq!(scene.open(&Recorder::new()).1, [0; 0], "once");
}

#[tokio::test(start_paused = true)]
async fn who_comes_back_is_known_by_page_or_room_and_not_for_ever() {
    let scene = Scene::default();
    for by in [Recognized::ByPage("p".into()), Recognized::ByRoom(ROOM)] {
        let lose = async || {
            let connection = Recorder::of(by.clone());
            scene.open(&connection);
            scene.tell(1..=1).await;
            scene.end(&connection, Ending::Broken);
        };
        lose().await;
        assert_eq!(scene.open(&Recorder::of(Recognized::ByPage("another".into()))).1, [0; 0]);
        assert_eq!(scene.open(&Recorder::of(by.clone())).1, [1]);
        lose().await;
        advance(WITHIN * 2).await;
        assert_eq!(scene.open(&Recorder::of(by.clone())).1, [0; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_is_not_sent_again() {
    let (scene, room) = (Scene::default(), || Recorder::of(Recognized::ByRoom(ROOM)));
    let lost = room();
    scene.open(&lost);
    scene.tell(1..=4).await;
    scene.end(&lost, Ending::Broken);
    scene.0.confirm(ANN, ROOM, Seq::new(4));
    scene.tell(5..=5).await;
    assert_eq!(scene.open(&room()).1, [5]);
}
