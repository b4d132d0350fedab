//! A client that sends 1000 events a second, far above its limits, beside the measured ones.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep};
use tokio_tungstenite::tungstenite::Message;

use super::target::{Endpoint, Target};
use crate::domain::UserId;
use crate::lab::testkit::Account;
use crate::lab::testkit::socketio::{Dial, Socket};

/// Interval and size of its bursts: 1000 events a second.
const PERIOD: Duration = Duration::from_millis(5);
const AT_ONCE: usize = 5;

/// What the flooding client did.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Flooded {
    /// Events sent.
    pub sent: u64,
    /// Times the server closed its connection. It reconnects at once.
    pub closed: u64,
}

/// A flooding client; stops on drop.
pub(super) struct Flooder {
    flooded: Rc<Cell<Flooded>>,
    flooding: JoinHandle<()>,
}

impl Flooder {
    /// Starts flooding as this customer.
    pub(super) fn begin(target: &Target, customer: Account) -> anyhow::Result<Self> {
        let (target, agent) = (target.clone(), target.agent()?.id);
        let flooded = Rc::new(Cell::new(Flooded::default()));
        let counted = Rc::clone(&flooded);
        let endpoint = Endpoint::Socketio(customer);
        let flooding = tokio::task::spawn_local(async move {
            loop {
                let Ok(socket) = target.enter(&endpoint, &Dial::default()).await else {
                    sleep(PERIOD).await;
                    continue;
                };
                flood(socket, agent, &counted).await;
                counted.set(Flooded { closed: counted.get().closed + 1, ..counted.get() });
            }
        });
        Ok(Self { flooded, flooding })
    }

    /// What it has done so far.
    pub(super) fn flooded(&self) -> Flooded {
        self.flooded.get()
    }
}

impl Drop for Flooder {
    fn drop(&mut self) {
        self.flooding.abort();
    }
}

/// Sends until the server closes the connection.
async fn flood(mut socket: Socket, agent: UserId, counted: &Cell<Flooded>) {
    let events = [
        format!(r#"42["send-message",{{"receiverId":"{agent}","message":"flood"}}]"#),
        format!(r#"42["typing",{{"receiverId":"{agent}"}}]"#),
        format!(r#"42["stop-typing",{{"receiverId":"{agent}"}}]"#),
        r#"42["mark-read",{"senderId":"nobody"}]"#.to_owned(),
        r#"42["resume",{"conversations":{}}]"#.to_owned(),
    ];
    // Mostly messages, which are the most expensive for the server.
    let mut events = [0, 0, 1, 0, 0, 2, 0, 3, 0, 4].map(|index: usize| &events[index]).into_iter().cycle();
    let mut due = interval(PERIOD);
    loop {
        tokio::select! {
            heard = socket.next() => match heard {
                Some(Ok(Message::Text(packet))) if packet.as_str() == "2" => {
                    if socket.send(Message::text("3")).await.is_err() {
                        return;
                    }
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            _ = due.tick() => {
                for event in events.by_ref().take(AT_ONCE) {
                    if socket.send(Message::text(event.clone())).await.is_err() {
                        return;
                    }
                    counted.set(Flooded { sent: counted.get().sent + 1, ..counted.get() });
                }
            }
        }
    }
}
