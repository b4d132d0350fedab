//! What a client is answered, and how a client is refused.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::to_raw_value;
use socketioxide::extract::AckSender;

use super::SocketConnection;
use crate::faces::dashboard::wire::{Problem, event};
use crate::limits::{Paced, RateLimited};

/// What a client that was closed for flooding is told to wait.
const FLOOD_PAUSE: Duration = Duration::from_secs(10);

/// How long the reason of a close has for its way to the client.
const REASON_SENT: Duration = Duration::from_millis(250);

impl SocketConnection {
    /// Answers a client that asked for an answer.
    pub(in crate::faces::dashboard::socketio) fn acknowledge<T: Serialize>(&self, ack: Option<AckSender>, answer: &T) {
        let Some(ack) = ack else { return };
        if self.state().socket().is_none() {
            return;
        }
        let Ok(answer) = to_raw_value(answer) else {
            return tracing::error!("Could not encode an acknowledgement");
        };
        self.transport.count_answer(answer.get().len());
        self.settle(ack.send(&answer));
    }

    /// Tells a client what is wrong with what it sent: by an `error` event unless there are too many, and by an answer if it asked
    /// for one.
    pub(in crate::faces::dashboard::socketio) fn refuse(&self, ack: Option<AckSender>, problem: &Problem) {
        self.count_refusal();
        if self.pace.take(Paced::Told).is_ok() {
            self.emit(event::ERROR, problem);
        }
        self.acknowledge(ack, &problem.as_answer());
    }

    /// Tells a client that waits for an answer what is wrong.
    pub(in crate::faces::dashboard::socketio) fn decline(&self, ack: Option<AckSender>, problem: &Problem) {
        self.count_refusal();
        self.acknowledge(ack, &problem.as_answer());
    }

    /// Counts a refusal. A client that causes nothing else is closed.
    fn count_refusal(&self) {
        if self.pace.refused() {
            self.close_flood();
        }
    }

    /// Says why, and then ends the transport: told to leave its namespace, a stock client would stay away for good.
    fn close_flood(&self) {
        tracing::warn!(connection.id = %self.id, "Closed a connection after ten seconds of refused requests");
        let limited = RateLimited::from(FLOOD_PAUSE);
        self.emit(event::ERROR, &Problem::limited(limited, "Too many refused requests: the connection is closed"));
        if let Some(connection) = self.itself.upgrade() {
            tokio::spawn(async move {
                tokio::time::sleep(REASON_SENT).await;
                connection.cut_off();
            });
        }
    }
}
