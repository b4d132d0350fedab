//! Tests of the map of connected users.

use super::testing::Recorder;
use super::*;
use crate::domain::{PresenceChange, Role};

fn person(n: u8, role: Role) -> Arc<Person> {
    let id = UserId::from_bytes([n; 12]);
    Arc::new(Person { id, number: u64::from(n), name: "x".into(), email: String::new(), role })
}

fn join(presence: &Presence, person: Arc<Person>, connection: Arc<Recorder>) -> Joined {
    presence.join(person, connection, Begins::FromCursor)
}

fn leave(presence: &Presence, user: UserId, connection: ConnectionId) -> Option<Leaving> {
    presence.leave(user, connection, Instant::now(), Ending::Closed, Duration::ZERO).leaving
}

#[test]
fn two_tabs_do_not_sign_each_other_off() {
    let presence = Presence::default();
    let ann = person(1, Role::Customer);
    let (first, second) = (Recorder::new(), Recorder::new());
    assert!(join(&presence, ann.clone(), first.clone()).came_online);
    assert!(!join(&presence, ann.clone(), second.clone()).came_online);
    assert_eq!(leave(&presence, ann.id, second.id()), None);
    assert!(leave(&presence, ann.id, first.id()).is_some());
}

#[test]
fn a_person_who_reconnects_in_time_never_goes_offline() {
    let presence = Presence::default();
    let ann = person(1, Role::Customer);
    let first = Recorder::new();
    join(&presence, ann.clone(), first.clone());
    let leaving = leave(&presence, ann.id, first.id()).unwrap();
    assert!(presence.is_online(ann.id));
    let second = Recorder::new();
    assert!(!join(&presence, ann.clone(), second.clone()).came_online);
    assert_eq!(presence.depart(leaving), None, "the first timer comes too late");
    let leaving = leave(&presence, ann.id, second.id()).unwrap();
    assert!(!presence.depart(leaving).unwrap().desk_closed);
    assert!(!presence.is_online(ann.id));
}

#[test]
fn a_connection_that_leaves_twice_leaves_once() {
    let presence = Presence::default();
    let ann = person(1, Role::Customer);
    let (first, second) = (Recorder::new(), Recorder::new());
    join(&presence, ann.clone(), first.clone());
    join(&presence, ann.clone(), second);
    leave(&presence, ann.id, first.id());
    assert_eq!(leave(&presence, ann.id, first.id()), None);
    assert!(presence.is_online(ann.id));
}

#[test]
fn the_desk_is_open_while_any_agent_is_there() {
    let presence = Presence::default();
    let (one, two) = (person(1, Role::Admin), person(2, Role::Agent));
    let (first, second) = (Recorder::new(), Recorder::new());
    assert!(join(&presence, one.clone(), first.clone()).desk_opened);
    assert!(!join(&presence, two.clone(), second.clone()).desk_opened);
    let leaving = leave(&presence, one.id, first.id()).unwrap();
    assert!(!presence.depart(leaving).unwrap().desk_closed);
    let leaving = leave(&presence, two.id, second.id()).unwrap();
    assert!(presence.depart(leaving).unwrap().desk_closed);
}

#[test]
fn a_person_who_is_not_connected_receives_nothing() {
    let presence = Presence::default();
    let (ann, agent) = (person(1, Role::Customer), person(2, Role::Agent));
    join(&presence, ann.clone(), Recorder::new());
    join(&presence, agent.clone(), Recorder::new());
    let change = PresenceChange { user: ann.id, number: 1, is_online: true };
    let event = DeskEvent::Presence(Arc::new(change));
    assert_eq!(presence.agents(), [agent.id]);
    assert_eq!(presence.send(ann.id, &event), SendOutcome::Sent);
    assert_eq!(presence.send(UserId::from_bytes([9; 12]), &event), SendOutcome::Closed);
}

#[test]
fn connections_of_another_role_are_outdated_by_the_next_arrival() {
    let presence = Presence::default();
    let (first, second, third) = (Recorder::new(), Recorder::new(), Recorder::new());
    assert!(!join(&presence, person(1, Role::Admin), first.clone()).has_changed);
    assert!(!join(&presence, person(1, Role::Admin), second.clone()).has_changed);
    let joined = join(&presence, person(1, Role::Customer), third);
    assert!(joined.has_changed);
    assert_eq!(joined.others.iter().map(|known| known.id()).collect::<Vec<_>>(), [first.id(), second.id()]);
}
