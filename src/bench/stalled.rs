//! Connections that never read what they are sent, and those who write to them.

use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::line::{Due, Line, Run, Sender};
use super::options::{BenchOptions, Protocol};
use super::tally::Tally;
use super::target::{Door, Target};
use super::traffic::{nanos, pace};
use crate::rig::Account;
use crate::rig::client::{Dial, Socket};

/// Bytes of a message's text, so that a connection is soon full.
const SIZE: usize = 4096;

/// Bytes that the system may keep for a connection, unread.
const RECEIVE_BUFFER: u32 = 4096;

/// Stalled connections under load, until this goes out of scope.
pub(super) struct Stalled {
    _unread: Vec<Socket>,
    run: Rc<Run>,
    _pacer: JoinHandle<u64>,
}

impl Stalled {
    /// Opens them, and writes to them as much as is written to those that read, for `span`.
    pub(super) async fn begin(
        options: &BenchOptions,
        target: &Target,
        mut senders: Vec<Account>,
        lines: &mut JoinSet<()>,
        span: Duration,
    ) -> anyhow::Result<Self> {
        let receivers = senders.split_off(options.stalled);
        let doors = |accounts: &[Account]| accounts.iter().cloned().map(Door::Socketio).collect();
        let how = Dial { receive_buffer: RECEIVE_BUFFER, ..Dial::default() };
        let unread = target.connect(options, doors(&receivers), &how).try_collect().await?;
        let writing: Vec<_> = target.connect(options, doors(&senders), &Dial::default()).try_collect().await?;
        let run = Run::new(Protocol::Socketio, SIZE, Tally::new(options.stalled)?);
        let mut due_times = Vec::new();
        for (pair, (socket, receiver)) in writing.into_iter().zip(receivers).enumerate() {
            let (give, times) = mpsc::unbounded_channel();
            due_times.push(give);
            let due = Due::Paced { times, taken: None };
            let sender = Sender { pair, receiver: receiver.id.to_string(), counter: 0, due };
            lines.spawn_local(Line::new(socket, Rc::clone(&run), Some(sender)));
        }
        let start = run.now();
        let pacer = pace(run.began(), start..start + nanos(span), options.rate, due_times)?;
        Ok(Self { _unread: unread, run, _pacer: pacer })
    }

    /// How many messages were written to them.
    pub(super) fn sent(&self) -> u64 {
        self.run.tally.borrow().sent
    }
}
