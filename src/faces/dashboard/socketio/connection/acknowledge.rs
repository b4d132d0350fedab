//! Acknowledgements and errors.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::to_raw_value;
use socketioxide::extract::AckSender;

use super::SocketConnection;
use crate::faces::dashboard::wire::{Problem, event};
use crate::limits::{Paced, RateLimited};

/// `retryAfterMs` for a client that is disconnected for flooding.
const FLOOD_PAUSE: Duration = Duration::from_secs(10);

/// Delay between the error and closing the connection, so that the error is sent.
const CLOSE_DELAY: Duration = Duration::from_millis(250);

impl SocketConnection {
    /// Acknowledges an event, if the client asked for it.
    pub(in crate::faces::dashboard::socketio) fn acknowledge<T: Serialize>(&self, ack: Option<AckSender>, body: &T) {
        let Some(ack) = ack else { return };
        if self.state().socket().is_none() {
            return;
        }
        let Ok(body) = to_raw_value(body) else {
            return tracing::error!("Could not encode an acknowledgement");
        };
        self.transport.count_acknowledgement(body.get().len());
        self.settle(ack.send(&body));
    }

    /// Rejects an event: with an `error` event, up to a rate, and in the acknowledgement if the client asked for one.
    pub(in crate::faces::dashboard::socketio) fn refuse(&self, ack: Option<AckSender>, problem: &Problem) {
        self.count_refusal();
        if self.pace.take(Paced::ErrorEvent).is_ok() {
            self.emit(event::ERROR, problem);
        }
        self.acknowledge(ack, &problem.as_acknowledgement());
    }

    /// Rejects an event in the acknowledgement only.
    pub(in crate::faces::dashboard::socketio) fn decline(&self, ack: Option<AckSender>, problem: &Problem) {
        self.count_refusal();
        self.acknowledge(ack, &problem.as_acknowledgement());
    }

    /// Counts a rejected event. A client that sends nothing else is disconnected.
    fn count_refusal(&self) {
        if self.pace.refused() {
            self.close_flood();
        }
    }

    /// Sends the reason and closes the transport. After a DISCONNECT packet, a stock client would not reconnect.
    fn close_flood(&self) {
        tracing::warn!(connection.id = %self.id, "Closed a connection after ten seconds of refused requests");
        let limited = RateLimited::from(FLOOD_PAUSE);
        self.emit(event::ERROR, &Problem::limited(limited, "Too many refused requests: the connection is closed"));
        if let Some(connection) = self.itself.upgrade() {
            tokio::spawn(async move {
                tokio::time::sleep(CLOSE_DELAY).await;
                connection.cut_off();
            });
        }
    }
}
