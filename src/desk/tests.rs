//! What the desk logs at `debug`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::timeout;
use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Level};

use super::attendance::Authenticated;
use super::messages::{Addressee, SendMessage};
use super::{Desk, DeskSettings};
use crate::accounts::testing::Fixture;
use crate::domain::{AccountStatus, MessageExtras, Person, Role, Timestamp};
use crate::presence::Connection;
use crate::presence::testing::Recorder;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log lines of this thread, down to `debug`.
pub(in crate::desk) struct CapturedLog {
    lines: Lines,
    _guard: DefaultGuard,
    _second: Dispatch,
}

impl CapturedLog {
    pub(in crate::desk) fn start() -> Self {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_max_level(Level::DEBUG).with_ansi(false).without_time();
        // With a single subscriber, a call site that another thread reaches first would be disabled for good.
        let second = Dispatch::new(NoSubscriber::default());
        let guard = tracing::subscriber::set_default(subscriber.with_writer(move || writer.clone()).finish());
        Self { lines, _guard: guard, _second: second }
    }

    pub(in crate::desk) fn text(&self) -> String {
        String::from_utf8(self.lines.0.lock().clone()).unwrap()
    }
}

async fn connect(desk: &Desk, fixture: &Fixture, email: &str, role: Role) -> (Arc<Person>, Arc<Recorder>) {
    let account = fixture.account(email, role, AccountStatus::Active).await;
    let (person, recorder) = (Arc::new(Person::from(&account)), Recorder::new());
    let who = Authenticated { person: person.clone(), expires_at: Timestamp::from_millis(i64::MAX), token: None };
    let connection: Arc<dyn Connection> = recorder.clone();
    desk.attendance.connect_live(&who, &connection).await;
    (person, recorder)
}

#[tokio::test]
async fn a_receipt_can_be_followed_through_the_log_which_has_no_text_of_a_message() {
    let captured = CapturedLog::start();
    let fixture = Fixture::new();
    let desk = Desk::open(
        &fixture.stores,
        fixture.accounts.clone(),
        fixture.clock.clone(),
        DeskSettings { send_rate: None, ..DeskSettings::default() },
    );
    let (ann, _anns) = connect(&desk, &fixture, "ann@x.test", Role::Customer).await;
    let (ada, adas) = connect(&desk, &fixture, "ada@x.test", Role::Agent).await;
    desk.delivery.ask_for_receipts();
    adas.want_receipts();
    let ask = SendMessage {
        author: ada,
        to: Addressee::User(ann.id),
        text: "between us".into(),
        client_id: None,
        origin: None,
        extras: MessageExtras::default(),
    };
    let sent = desk.messages.send_and_wait(ask).await.unwrap();
    let entry = &sent.event.entry;
    let mut record = adas.record();
    timeout(Duration::from_secs(10), record.wait_for(|record| record.statuses == 1)).await.unwrap().unwrap();
    desk.delivery.acknowledge(&ann, entry.conversation, entry.seq).await.unwrap();
    timeout(Duration::from_secs(10), record.wait_for(|record| record.statuses == 2)).await.unwrap().unwrap();
    desk.delivery.flush().await;
    desk.close().await;

    let log = captured.text();
    let mut rest = log.as_str();
    for step in [
        "desk.send_message{",
        "Submitted an entry",
        "desk.store_batch{entries=1}",
        "Stored a batch",
        "Published an entry",
        "A receipt moved",
        "sent=1 delivered=0",
        "Announced a receipt",
        "desk.acknowledge{",
        "A receipt moved",
        "sent=1 delivered=1",
        "Announced a receipt",
    ] {
        let (_, after) = rest.split_once(step).unwrap_or_else(|| panic!("{step} is missing in:\n{log}"));
        rest = after;
    }
    let ids = [format!("user.id={}", ann.id), format!("conversation.id={}", entry.conversation)];
    assert!(ids.iter().all(|id| log.contains(id)), "{log}");
    assert!(!log.contains("between us"), "{log}");
}
