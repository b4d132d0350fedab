//! One connection under load.
//!
//! A [`Connection`] is a future that reads what has arrived, sends what is due and then flushes once, so that a burst takes one
//! read and one write.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::{Sink, Stream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::options::Protocol;
use super::tally::Tally;
use super::wire::{Incoming, RunTag, Stamp, read_channels_frame, read_packet, send_frame};
use crate::lab::testkit::socketio::Socket;

/// Frames that a connection reads before it yields.
const BURST: usize = 128;

/// State shared by all connections of a run.
pub(super) struct Run {
    /// Protocol of the connections.
    pub(super) protocol: Protocol,
    /// Marks the messages of this run.
    pub(super) tag: RunTag,
    /// Shortest text of a message, in bytes.
    pub(super) size: usize,
    /// When closed-loop senders stop, on the run's clock.
    pub(super) stop_at: Cell<u64>,
    /// Counts of the run.
    pub(super) tally: RefCell<Tally>,
    began: Instant,
}

impl Run {
    /// A run whose clock starts now and whose senders have no end yet.
    pub(super) fn new(protocol: Protocol, size: usize, tally: Tally) -> Rc<Self> {
        let (tag, stop_at) = (RunTag::random(), Cell::new(u64::MAX));
        Rc::new(Self { protocol, tag, size, stop_at, tally: RefCell::new(tally), began: Instant::now() })
    }

    /// Nanoseconds since the run's clock started.
    pub(super) fn now(&self) -> u64 {
        since(self.began)
    }

    /// When the run's clock started.
    pub(super) fn began(&self) -> Instant {
        self.began
    }
}

/// Nanoseconds since `began`.
pub(super) fn since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// When a sender's next message is due.
enum Due {
    /// At once, while fewer than the window are unconfirmed. Holds the remaining window.
    Credit(usize),
    /// At the times that a pacer sends.
    Paced {
        /// The times, in order.
        times: mpsc::UnboundedReceiver<u64>,
        /// A time that was received, whose message is not sent yet.
        taken: Option<u64>,
    },
}

/// The sender of a pair, or of several pairs in turn.
pub(super) struct Sender {
    /// Index of the pair; of the first one, if there are several.
    pair: usize,
    /// Ids of the receivers; empty texts if messages have no recipient.
    receivers: Vec<String>,
    /// Index of the next receiver.
    turn: usize,
    /// Messages sent to each receiver so far this turn.
    counter: u64,
    /// When the next message is due.
    due: Due,
}

impl Sender {
    /// Senders in a closed loop.
    pub(super) fn in_a_loop(receivers: Vec<Vec<String>>, window: usize) -> Vec<Self> {
        Self::line_up(receivers, || (Due::Credit(window), ())).0
    }

    /// Senders that send at given times, and the channels for these times.
    pub(super) fn paced(receivers: Vec<Vec<String>>) -> (Vec<Self>, Vec<mpsc::UnboundedSender<u64>>) {
        Self::line_up(receivers, || {
            let (give, times) = mpsc::unbounded_channel();
            (Due::Paced { times, taken: None }, give)
        })
    }

    fn line_up<T>(receivers: Vec<Vec<String>>, mut due: impl FnMut() -> (Due, T)) -> (Vec<Self>, Vec<T>) {
        let mut next_pair = 0;
        let senders = receivers.into_iter().map(|receivers| {
            let (pair, (due, given)) = (next_pair, due());
            next_pair += receivers.len();
            (Self { pair, receivers, turn: 0, counter: 0, due }, given)
        });
        senders.unzip()
    }

    /// When the next message was due, if it is due.
    fn poll_due(&mut self, cx: &mut Context<'_>, run: &Run) -> Option<u64> {
        match &mut self.due {
            Due::Credit(0) => None,
            Due::Credit(_) => Some(run.now()).filter(|now| *now < run.stop_at.get()),
            Due::Paced { times, taken } => {
                if taken.is_none()
                    && let Poll::Ready(time) = times.poll_recv(cx)
                {
                    *taken = time;
                }
                *taken
            }
        }
    }

    /// The frame of the message that was due at `at`.
    fn frame(&mut self, run: &Run, at: u64) -> String {
        let stamp = Stamp { pair: self.pair + self.turn, counter: self.counter, at };
        let frame = send_frame(run.protocol, run.tag, &self.receivers[self.turn], stamp, run.size);
        self.turn += 1;
        if self.turn == self.receivers.len() {
            self.turn = 0;
            self.counter += 1;
        }
        match &mut self.due {
            Due::Credit(left) => *left -= 1,
            Due::Paced { taken, .. } => *taken = None,
        }
        run.tally.borrow_mut().sending(at, run.now());
        frame
    }

    fn confirmed(&mut self) {
        if let Due::Credit(left) = &mut self.due {
            *left += 1;
        }
    }
}

/// One authenticated connection; without a sender it only receives. Resolves when the connection is closed.
pub(super) struct Connection {
    socket: Socket,
    run: Rc<Run>,
    sender: Option<Sender>,
    owes_pong: bool,
    unflushed: bool,
}

/// The connection is closed.
struct Gone;

impl Connection {
    /// Takes over a connection.
    pub(super) fn new(socket: Socket, run: Rc<Run>, sender: Option<Sender>) -> Self {
        Self { socket, run, sender, owes_pong: false, unflushed: false }
    }

    /// Reads what has arrived. Returns whether there may be more.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<bool, Gone> {
        for _ in 0..BURST {
            let Poll::Ready(message) = Pin::new(&mut self.socket).poll_next(cx) else { return Ok(false) };
            let Some(Ok(message)) = message else { return Err(Gone) };
            let Message::Text(text) = message else { continue };
            let (frame, tag) = (text.as_str(), self.run.tag);
            let read = match self.run.protocol {
                Protocol::Socketio => read_packet(frame, tag),
                Protocol::Storefront | Protocol::Drivecash => {
                    read_channels_frame(frame, tag, self.sender.as_ref().map(|sender| sender.pair))
                }
            };
            match read {
                Incoming::Delivered(stamp) => self.run.tally.borrow_mut().deliver(stamp, self.run.now()),
                Incoming::Confirmed(stamp) => {
                    self.run.tally.borrow_mut().confirm(stamp, self.run.now());
                    if let Some(sender) = &mut self.sender {
                        sender.confirmed();
                    }
                }
                Incoming::Refused(frame) => self.run.tally.borrow_mut().refuse(frame),
                Incoming::Ping => self.owes_pong = true,
                Incoming::Closed => return Err(Gone),
                Incoming::Other => {}
            }
        }
        Ok(true)
    }

    /// Sends what is due, as far as the socket accepts it.
    fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Gone> {
        loop {
            let due = self.sender.as_mut().and_then(|sender| sender.poll_due(cx, &self.run));
            if !self.owes_pong && due.is_none() {
                break;
            }
            match Pin::new(&mut self.socket).poll_ready(cx) {
                Poll::Ready(ready) => ready.map_err(|_| Gone)?,
                Poll::Pending => return Ok(()),
            }
            let frame = match (&mut self.sender, due) {
                (Some(sender), Some(at)) if !self.owes_pong => sender.frame(&self.run, at),
                _ => "3".to_owned(),
            };
            self.owes_pong = false;
            self.unflushed = true;
            Pin::new(&mut self.socket).start_send(Message::text(frame)).map_err(|_| Gone)?;
        }
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.socket).poll_flush(cx)
        {
            flushed.map_err(|_| Gone)?;
            self.unflushed = false;
        }
        Ok(())
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let connection = self.get_mut();
        let read = connection.read(cx);
        match read.and_then(|more| connection.write(cx).map(|()| more)) {
            Ok(false) => Poll::Pending,
            Ok(true) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Err(Gone) => {
                connection.run.tally.borrow_mut().disconnects += 1;
                Poll::Ready(())
            }
        }
    }
}
