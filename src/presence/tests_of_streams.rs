//! What arrives, what is in doubt, and who is sent it when a connection ends.

use tokio::time::advance;

use super::testing::Recorder;
use super::*;
use crate::domain::{Conversation, Entry, EntryEvent, EntryKind, Members, Parties, Side, Status, Timestamp};

const ROOM: ConversationId = ConversationId::from_bytes([1; 12]);
const ANN: UserId = UserId::from_bytes([2; 12]);
const SECOND: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_secs(45);

fn ann() -> Arc<Person> {
    Arc::new(Person::deleted(ANN))
}

fn event(seq: u64) -> Arc<EntryEvent> {
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
    Arc::new(EntryEvent { parties, entry, author: desk, origin: None, attachment_path: None, about: None })
}

/// Ann, and what her connections are sent.
#[derive(Default)]
struct Scene(Presence);

impl Scene {
    /// Opens a connection that is live at once; returns what its client missed on earlier ones.
    fn open(&self, connection: &Arc<Recorder>) -> (Arc<Stream>, Vec<u64>) {
        let stream = self.0.join(ann(), connection.clone(), Begins::FromCursor).stream;
        let lost = stream.take_lost().iter().map(|(_, first)| first.get()).collect();
        while !matches!(stream.finish(None), Next::Live) {}
        (stream, lost)
    }

    async fn send(&self, seqs: std::ops::RangeInclusive<u64>) {
        for seq in seqs {
            self.0.send(ANN, &DeskEvent::Entry(event(seq)));
        }
        advance(SECOND).await;
    }

    fn arrived(&self) -> Vec<u64> {
        self.0.take_arrived().iter().map(|(_, _, up_to)| up_to.get()).collect()
    }

    fn end(&self, connection: &Recorder, ending: Ending) {
        self.0.leave(ANN, connection.id(), connection.arrived(), ending, WITHIN);
    }
}

#[tokio::test(start_paused = true)]
async fn only_entries_that_a_client_confirmed_have_arrived() {
    let (scene, tab) = (Scene::default(), Recorder::new());
    scene.open(&tab);
    scene.send(1..=3).await;
    assert_eq!(scene.arrived(), [0; 0]);
    tab.confirm();
    scene.send(4..=4).await;
    assert_eq!(scene.arrived(), [3]);
    assert_eq!(scene.0.newest_in_flight(ANN, ROOM), Some(Seq::new(4)));
    scene.0.confirm(ANN, ROOM, Seq::new(4));
    assert_eq!((scene.arrived(), scene.0.newest_in_flight(ANN, ROOM)), (Vec::new(), None));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_confirms_nothing_is_pinged_again_after_a_while() {
    let (scene, tab) = (Scene::default(), Recorder::new());
    scene.open(&tab);
    scene.0.send(ANN, &DeskEvent::Entry(event(1)));
    scene.arrived();
    assert_eq!(tab.record().borrow().pings, 0);
    advance(PING_AFTER * 2).await;
    scene.arrived();
    scene.arrived();
    assert_eq!(tab.record().borrow().pings, 1);
    advance(PING_AFTER * 2).await;
    scene.arrived();
    assert_eq!(tab.record().borrow().pings, 2);
    tab.confirm();
    scene.arrived();
    advance(PING_AFTER * 2).await;
    scene.arrived();
    assert_eq!(tab.record().borrow().pings, 2, "nothing is in flight any more");
}

#[tokio::test(start_paused = true)]
async fn a_newer_connection_waits_until_the_older_one_is_found_dead_and_begins_with_the_lost_entries() {
    let (scene, dead, alive) = (Scene::default(), Recorder::new(), Recorder::new());
    scene.open(&dead);
    scene.send(1..=5).await;
    dead.confirm();
    scene.send(6..=8).await;
    let joined = scene.0.join(ann(), alive.clone(), Begins::FromCursor);
    let [older] = &joined.older[..] else { panic!("{}", joined.older.len()) };
    scene.send(9..=10).await;
    assert_eq!((alive.record().borrow().entries, older.is_settled()), (0, false));
    assert_eq!(older.take_arrived(), [(ROOM, Seq::new(5))]);
    scene.end(&dead, Ending::Silent);
    assert!(older.is_settled());
    assert_eq!(joined.stream.take_lost(), [(ROOM, Seq::new(6))]);
    let Next::PassOn(held) = joined.stream.finish(None) else { panic!() };
    assert_eq!(held.iter().map(|event| event.entry.seq.get()).collect::<Vec<_>>(), [9, 10]);
    assert_eq!(scene.open(&Recorder::new()).1, [0; 0], "its client is back already");
}

#[tokio::test(start_paused = true)]
async fn an_older_connection_is_settled_once_its_client_has_what_was_in_flight() {
    let (scene, old, new) = (Scene::default(), Recorder::new(), Recorder::new());
    scene.open(&old);
    scene.send(1..=5).await;
    let joined = scene.0.join(ann(), new.clone(), Begins::FromCursor);
    let [older] = &joined.older[..] else { panic!("{}", joined.older.len()) };
    assert!(!older.is_settled());
    old.confirm();
    scene.send(6..=6).await;
    assert_eq!((older.take_arrived(), older.is_settled()), (vec![(ROOM, Seq::new(5))], true), "6 came later");
    assert_eq!(joined.stream.take_lost(), []);
}

#[tokio::test(start_paused = true)]
async fn a_silent_open_connection_counts_as_lost_to_the_same_client_only() {
    for (by, lost) in [(Recognized::ByPerson, vec![(ROOM, Seq::new(1))]), (Recognized::ByPage("p".into()), vec![])] {
        let (scene, slow, new) = (Scene::default(), Recorder::new(), Recorder::of(by));
        scene.open(&slow);
        scene.send(1..=2).await;
        let joined = scene.0.join(ann(), new, Begins::FromCursor);
        joined.older.iter().for_each(|older| older.give_up(&joined.stream));
        assert_eq!(joined.stream.take_lost(), lost);
    }
}

#[tokio::test(start_paused = true)]
async fn another_tab_that_falls_silent_later_is_remembered() {
    let (scene, old, other) = (Scene::default(), Recorder::new(), Recorder::new());
    scene.open(&old);
    advance(SECOND).await;
    scene.open(&other);
    advance(SECOND).await;
    old.confirm();
    scene.send(1..=2).await;
    scene.end(&old, Ending::Silent);
    assert_eq!(scene.open(&Recorder::new()).1, [1], "it was alive after the other one had joined");
}

#[tokio::test(start_paused = true)]
async fn a_connection_for_one_room_waits_for_those_of_its_room_alone() {
    let other = ConversationId::from_bytes([9; 12]);
    for (room, is_held) in [(ROOM, true), (other, false)] {
        let (scene, old) = (Scene::default(), Recorder::of(Recognized::ByRoom(ROOM)));
        scene.open(&old);
        scene.send(1..=1).await;
        let new = Recorder::of(Recognized::ByRoom(room));
        let joined = scene.0.join(ann(), new, Begins::Live { reads: false });
        assert_eq!((joined.stream.is_catching_up(), joined.older.len()), (is_held, usize::from(is_held)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reconnects_begins_where_its_connection_broke_although_another_tab_received_everything() {
    let (scene, lost, other) = (Scene::default(), Recorder::new(), Recorder::new());
    scene.open(&lost);
    scene.open(&other);
    scene.send(1..=3).await;
    lost.confirm();
    advance(SECOND).await;
    scene.end(&lost, Ending::Broken);
    scene.send(4..=6).await;
    other.confirm();
    advance(SECOND).await;
    assert_eq!(scene.arrived().into_iter().max(), Some(6));
    assert_eq!(scene.open(&Recorder::new()).1, [4]);
    assert_eq!(scene.open(&Recorder::new()).1, [0; 0], "once");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reconnects_is_recognized_by_page_or_room_for_a_while() {
    let scene = Scene::default();
    for by in [Recognized::ByPage("p".into()), Recognized::ByRoom(ROOM)] {
        let lose = async || {
            let connection = Recorder::of(by.clone());
            scene.open(&connection);
            scene.send(1..=1).await;
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
async fn fetched_messages_are_not_sent_again() {
    let (scene, room) = (Scene::default(), || Recorder::of(Recognized::ByRoom(ROOM)));
    let lost = room();
    scene.open(&lost);
    scene.send(1..=4).await;
    scene.end(&lost, Ending::Broken);
    scene.0.confirm(ANN, ROOM, Seq::new(4));
    scene.send(5..=5).await;
    assert_eq!(scene.open(&room()).1, [5]);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fetches_the_history_while_it_catches_up_is_not_replayed_the_same_messages() {
    let new_page = || Recorder::of(Recognized::ByPage("page".into()));
    for (connection, begins, is_replayed) in [
        (new_page(), Begins::FromCursor, false),
        (new_page(), Begins::FromPlace, true),
        (Recorder::new(), Begins::FromCursor, true),
    ] {
        let scene = Scene::default();
        let stream = scene.0.join(ann(), connection, begins).stream;
        let replay = |seq| {
            let (event, viewer, frames) = (DeskEvent::Entry(event(seq)), ann(), Frames::default());
            stream.replay(&Outgoing { event: &event, viewer: &viewer, is_replay: true, frames: &frames })
                == SendOutcome::Sent
        };
        assert!(replay(1));
        scene.0.note_fetched(ANN, ROOM, Seq::new(2));
        assert_eq!((replay(2), replay(3)), (is_replayed, true), "{begins:?}");
    }
    let (scene, page) = (Scene::default(), new_page());
    let stream = scene.0.join(ann(), page, Begins::FromCursor).stream;
    scene.open(&new_page());
    scene.0.note_fetched(ANN, ROOM, Seq::new(2));
    let (event, viewer, frames) = (DeskEvent::Entry(event(2)), ann(), Frames::default());
    let outgoing = Outgoing { event: &event, viewer: &viewer, is_replay: true, frames: &frames };
    assert_eq!(stream.replay(&outgoing), SendOutcome::Sent, "the other page may have fetched it");
}

#[tokio::test(start_paused = true)]
async fn messages_that_another_page_fetches_are_still_replayed_to_a_page_that_lost_them() {
    for (recognized, first) in [(Recognized::ByPage("page".into()), 1), (Recognized::ByPerson, 3)] {
        let (scene, broken) = (Scene::default(), Recorder::of(recognized.clone()));
        scene.open(&broken);
        scene.send(1..=3).await;
        scene.end(&broken, Ending::Broken);
        let stream = scene.0.join(ann(), Recorder::of(recognized.clone()), Begins::FromCursor).stream;
        scene.0.confirm(ANN, ROOM, Seq::new(2));
        assert_eq!(stream.take_lost(), [(ROOM, Seq::new(first))], "{recognized:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_entry_leaves_out_connections_that_joined_after_it_except_the_one_it_came_from() {
    let (scene, older, newer, origin) = (Scene::default(), Recorder::new(), Recorder::new(), Recorder::new());
    let (gone, late) = (Recorder::of(Recognized::ByPage("p".into())), Recorder::of(Recognized::ByPage("q".into())));
    scene.open(&older);
    scene.open(&gone);
    scene.end(&gone, Ending::Broken);
    advance(SECOND).await;
    let stored = Instant::now();
    advance(SECOND).await;
    for connection in [&newer, &origin, &late] {
        scene.open(connection);
    }
    scene.end(&late, Ending::Broken);
    let event = EntryEvent { origin: Some(origin.id()), ..(*event(1)).clone() };
    assert_eq!(scene.0.send_late(ANN, &Arc::new(event), stored), SendOutcome::Sent);
    let entries = [&older, &newer, &origin].map(|connection| connection.record().borrow().entries);
    assert_eq!(entries, [1, 0, 1]);
    assert_eq!(scene.open(&Recorder::of(Recognized::ByPage("p".into()))).1, [1], "its client missed the entry");
    assert_eq!(scene.open(&Recorder::of(Recognized::ByPage("q".into()))).1, [0; 0], "its client has the entry");
}
