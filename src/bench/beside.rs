//! Pairs beside those that are measured, whose receivers may never read what they are sent.

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

/// They talk until this goes out of scope.
pub(super) struct Beside {
    _unread: Vec<Socket>,
    run: Rc<Run>,
    _pacer: JoinHandle<u64>,
}

impl Beside {
    /// Opens them, and has them talk for `span`.
    pub(super) async fn begin(
        options: &BenchOptions,
        target: &Target,
        mut senders: Vec<Account>,
        lines: &mut JoinSet<()>,
        span: Duration,
    ) -> anyhow::Result<Self> {
        let receivers = senders.split_off(options.beside);
        let doors = |accounts: &[Account]| accounts.iter().cloned().map(Door::Socketio).collect();
        let receive_buffer = if options.stalled { RECEIVE_BUFFER } else { 0 };
        let how = Dial { receive_buffer, ..Dial::default() };
        let mut unread: Vec<Socket> = target.connect(options, doors(&receivers), &how).try_collect().await?;
        let writing: Vec<_> = target.connect(options, doors(&senders), &Dial::default()).try_collect().await?;
        let run = Run::new(Protocol::Socketio, SIZE, Tally::new(options.beside)?);
        if !options.stalled {
            for socket in unread.drain(..) {
                lines.spawn_local(Line::new(socket, Rc::clone(&run), None));
            }
        }
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

    /// How many messages they have sent.
    pub(super) fn sent(&self) -> u64 {
        self.run.tally.borrow().sent
    }
}
