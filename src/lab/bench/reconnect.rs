//! All connections are cut at the same moment and reconnect, while the agent keeps sending to them.
//!
//! Nothing is sent before the cut, so a message that arrives twice afterwards is a duplicate. Over Socket.IO the server sends
//! missed messages; over the Channels protocols a client requests the history, as its page does, and may receive the same message
//! live as well.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::TryStreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::back_off::{BackOff, PAUSE};
use super::connection::{Connection, Run, Sender, since};
use super::conversation::Conversation;
use super::idle::fill;
use super::options::BenchOptions;
use super::pairs::Pairs;
use super::report::ReconnectReport;
use super::tally::{Tally, histogram};
use super::target::{Endpoint, Target};
use super::traffic::{nanos, pace, settle};
use crate::cli::Progress;
use crate::lab::testkit::socketio::Dial;

/// Runs this mode. Reports how long the clients took to reconnect, and what became of the messages to them.
pub(super) async fn run(options: &BenchOptions, target: &Target) -> anyhow::Result<ReconnectReport> {
    let customers = target.customers(options.connections)?;
    ensure!(!customers.is_empty(), "at least one connection is needed: --connections 1 or more");
    let Pairs { senders, receivers, listeners } = Pairs::from_agent(options, target, &customers).await?;
    let run = Run::new(options.protocol, options.size, Tally::new(listeners.len())?);
    let (senders_at_work, due_times) = Sender::paced(receivers);
    let mut speaking = JoinSet::new();
    let how = Dial::slim();
    let mut sockets = pin!(target.connect(options, senders, &how));
    for sender in senders_at_work {
        let socket = sockets.try_next().await?.context("a sender has stopped")?;
        speaking.spawn_local(Connection::new(socket, Rc::clone(&run), Some(sender)));
    }
    let mut connected = fill(options, target, listeners.clone(), &run).await?;

    let cut = Instant::now();
    connected.shutdown().await;
    let start = run.now();
    let window = start..start + nanos(options.duration);
    run.tally.borrow_mut().count_within(window.clone());
    let pacer = pace(run.began(), window, options.rate, due_times)?;
    let (tell, mut settled) = mpsc::unbounded_channel();
    let target = Rc::new(target.clone());
    let mut returning = JoinSet::new();
    for endpoint in listeners {
        let (target, run, tell) = (Rc::clone(&target), Rc::clone(&run), tell.clone());
        let client =
            Returning { endpoint, target, run, back_off: BackOff::new(options), patience: options.drain, cut, tell };
        returning.spawn_local(client.live());
    }
    drop(tell);
    let (mut back, mut left_out) = (histogram()?, 0);
    let bar = Progress::of("Reconnecting", options.connections as u64);
    for _ in 0..options.connections {
        match settled.recv().await.context("a client has stopped")? {
            Some(nanos) => back.saturating_record(nanos),
            None => left_out += 1,
        }
        bar.step();
    }
    drop(bar);
    Progress::wait("Talking", options.duration.saturating_sub(cut.elapsed())).await;
    let asked = pacer.join().unwrap_or_default();
    settle(&run, asked, options.drain).await;
    let tally = run.tally.borrow();
    Ok(ReconnectReport::new(options, &tally, asked, left_out, &back))
}

/// A client after the cut.
struct Returning {
    endpoint: Endpoint,
    target: Rc<Target>,
    run: Rc<Run>,
    back_off: BackOff,
    /// Timeout for reading what it missed.
    patience: Duration,
    cut: Instant,
    /// Receives the nanoseconds from the cut to being authenticated, once what was missed is read; `None` if it is not back.
    tell: mpsc::UnboundedSender<Option<u64>>,
}

impl Returning {
    async fn live(self) {
        let Some(socket) = self.back_off.come_back(&self.target, &self.endpoint).await else {
            // If the receiver is gone, the run has failed already; here and below.
            let _gone = self.tell.send(None);
            return;
        };
        let back = since(self.cut);
        // Subscribes first and reads the history second, so that no message falls in between.
        let reading = async {
            if let Endpoint::Conversation(room) = &self.endpoint {
                // Messages that cannot be read in time count as lost.
                let _ends = timeout(self.patience, self.read_history(room)).await;
            }
            let _gone = self.tell.send(Some(back));
        };
        tokio::join!(Connection::new(socket, Rc::clone(&self.run), None), reading);
    }

    async fn read_history(&self, room: &Conversation) {
        loop {
            if let Ok(stamps) = room.read_history(&self.target.url, self.run.tag).await {
                let now = self.run.now();
                let mut tally = self.run.tally.borrow_mut();
                for stamp in stamps {
                    tally.read(stamp, now);
                }
                return;
            }
            sleep(PAUSE.0).await;
        }
    }
}
