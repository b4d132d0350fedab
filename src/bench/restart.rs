//! A server with many connections is stopped and started again.
//!
//! Everybody sends one message just before, and what is not confirmed again when they are back, under the same client id,
//! the way an application does. In between they do as the stock client does: wait a second, more or less, then longer.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::line::since;
use super::options::{BenchOptions, Mode, Protocol};
use super::report::RestartReport;
use super::tally::histogram;
use super::target::{Door, Target};
use super::wire::{Incoming, RunTag, Stamp, read_packet, send_frame};
use crate::rig::client::{Dial, Socket};
use crate::rig::{Account, Bar, OwnServer, Scratch};
use crate::store::{ListFor, MAX_PAGE};

/// Bytes of buffer per connection and direction.
const BUFFER: usize = 1024;

/// After so much of the sending the server is asked to stop.
const HEAD_START: Duration = Duration::from_millis(50);

/// What the stock client waits before it tries again: at first, and at most, each time half more or less.
const BACK_OFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));

/// Bytes of a message's text.
const SIZE: usize = 64;

/// What the run is at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Everybody is coming in.
    Filling,
    /// Everybody sends.
    Sending,
}

/// What all clients share.
struct Run {
    target: Target,
    tag: RunTag,
    agent: String,
    /// When the server was asked to stop.
    stopped: Cell<Option<Instant>>,
    gave_up: Duration,
}

/// What one client saw.
#[derive(Default)]
struct Seen {
    /// Nanoseconds from the stop to being in again; `None` if it never was.
    back: Option<u64>,
    /// Nanoseconds from the cut to being in again.
    outage: u64,
    confirmed: bool,
    /// How often the server said that it is stopping, or anything else in the way of a refusal.
    refused: u64,
}

/// Runs it, and reports how long everybody took to be back, and what became of their messages.
pub(super) async fn run(
    options: &BenchOptions,
    mode: Mode,
    target: &Target,
    server: &mut OwnServer,
    scratch: &Scratch,
) -> anyhow::Result<RestartReport> {
    let accounts = target.customers(options.connections)?;
    let (tell, stage) = watch::channel(Stage::Filling);
    let run = Rc::new(Run {
        target: target.clone(),
        tag: RunTag::random(),
        agent: target.agent()?.id.to_string(),
        stopped: Cell::new(None),
        gave_up: options.drain,
    });
    let bar = Bar::of("Connecting", options.connections as u64);
    let mut clients = JoinSet::new();
    let doors = accounts.iter().cloned().map(Door::Socketio).collect();
    let how = dial_options();
    let mut sockets = std::pin::pin!(target.connect(options, doors, &how));
    let mut waiting = accounts.iter().enumerate();
    while let Some(socket) = sockets.next().await {
        let (Some((pair, account)), socket) = (waiting.next(), socket?) else { break };
        let client = Returning { pair, account: account.clone(), run: Rc::clone(&run), stage: stage.clone() };
        clients.spawn_local(client.live(socket));
        bar.step();
    }
    drop(bar);
    tell.send_replace(Stage::Sending);
    sleep(HEAD_START).await;
    run.stopped.set(Some(Instant::now()));
    let (down, up) = restart(server, mode).await?;

    let bar = Bar::of("Coming back", options.connections as u64);
    let (mut back, mut outage) = (histogram()?, histogram()?);
    let (mut report, mut seen) = (RestartReport::new(mode, options.connections, down, up), 0);
    while let Some(client) = clients.join_next().await {
        let client = client?;
        bar.step();
        seen += 1;
        report.unconfirmed += u64::from(!client.confirmed);
        report.refused += client.refused;
        match client.back {
            Some(nanos) => {
                record(&mut back, nanos);
                record(&mut outage, client.outage);
            }
            None => report.left_out += 1,
        }
    }
    ensure!(seen == options.connections, "a client has gone");
    report.came_back(&back, &outage);
    server.stop().await?;
    let (lost, doubled) = count(scratch, &accounts, run.tag).await?;
    (report.lost, report.doubled) = (lost, doubled);
    Ok(report)
}

fn record(histogram: &mut Histogram<u64>, nanos: u64) {
    histogram.saturating_record(nanos);
}

const fn dial_options() -> Dial {
    Dial { from: None, auth: String::new(), buffer: BUFFER, receive_buffer: 0 }
}

/// Stops the server and starts it again; gives how long each took.
async fn restart(server: &mut OwnServer, mode: Mode) -> anyhow::Result<(Duration, Duration)> {
    let began = Instant::now();
    if mode == Mode::Crash {
        server.kill();
    } else {
        server.stop().await?;
    }
    let (down, began) = (began.elapsed(), Instant::now());
    server.start_again().await?;
    Ok((down, began.elapsed()))
}

/// One client.
struct Returning {
    pair: usize,
    account: Account,
    run: Rc<Run>,
    stage: watch::Receiver<Stage>,
}

impl Returning {
    async fn live(mut self, mut socket: Socket) -> Seen {
        let mut seen = Seen::default();
        loop {
            if seen.back.is_some() || *self.stage.borrow() == Stage::Sending {
                break;
            }
            tokio::select! {
                changed = self.stage.changed() => if changed.is_err() { break },
                read = socket.next() => match read {
                    Some(Ok(message)) => drop(self.heard(&mut socket, &message, &mut seen).await),
                    _ => break,
                },
            }
        }
        let _cut = self.say(&mut socket).await;
        self.listen(&mut socket, &mut seen, None).await;
        let cut = Instant::now();
        let mut back_off = BACK_OFF.0;
        while cut.elapsed() < self.run.gave_up {
            sleep(back_off.mul_f64(0.5 + rand::random::<f64>())).await;
            back_off = (back_off * 2).min(BACK_OFF.1);
            let door = Door::Socketio(self.account.clone());
            let Ok(entered) = self.run.target.enter(&door, &dial_options()).await else { continue };
            socket = entered;
            seen.back = self.run.stopped.get().map(since);
            seen.outage = since(cut);
            if !seen.confirmed {
                let _cut = self.say(&mut socket).await;
                self.listen(&mut socket, &mut seen, Some(Instant::now() + self.run.gave_up)).await;
            }
            break;
        }
        seen
    }

    /// Sends its one message.
    async fn say(&self, socket: &mut Socket) -> Result<(), ()> {
        let stamp = Stamp { pair: self.pair, counter: 0, at: 0 };
        let frame = send_frame(Protocol::Socketio, self.run.tag, &self.run.agent, stamp, SIZE);
        socket.send(Message::text(frame)).await.map_err(drop)
    }

    /// Reads until the connection is cut, or, with a deadline, until the message is confirmed.
    async fn listen(&self, socket: &mut Socket, seen: &mut Seen, deadline: Option<Instant>) {
        loop {
            let left = deadline.map_or(self.run.gave_up, |at| at.saturating_duration_since(Instant::now()));
            let Ok(Some(Ok(message))) = timeout(left, socket.next()).await else { return };
            if self.heard(socket, &message, seen).await.is_err() || (deadline.is_some() && seen.confirmed) {
                return;
            }
        }
    }

    async fn heard(&self, socket: &mut Socket, message: &Message, seen: &mut Seen) -> Result<(), ()> {
        let Message::Text(frame) = message else { return Ok(()) };
        match read_packet(frame.as_str(), self.run.tag) {
            Incoming::Ping => return socket.send(Message::text("3")).await.map_err(drop),
            Incoming::Confirmed(_) => seen.confirmed = true,
            Incoming::Refused(_) => seen.refused += 1,
            Incoming::Closed => return Err(()),
            Incoming::Delivered(_) | Incoming::Other => {}
        }
        Ok(())
    }
}

/// Looks for everybody's message in the store; gives how many are not there, and how many more than once.
async fn count(scratch: &Scratch, accounts: &[Account], tag: RunTag) -> anyhow::Result<(u64, u64)> {
    let opened = scratch.open().await?;
    let store = opened.stores().conversations;
    let bar = Bar::of("Counting", accounts.len() as u64);
    let (mut lost, mut doubled) = (0, 0);
    for account in accounts {
        let mut found = 0;
        for summary in store.list(ListFor::Customer(account.id), MAX_PAGE).await.context("reading the store")? {
            for entry in store.messages_before(summary.conversation.id, None, MAX_PAGE).await? {
                let text = entry.message().map_or("", |message| message.original.as_str());
                found += u64::from(entry.author == account.id && tag.is_in(text));
            }
        }
        lost += u64::from(found == 0);
        doubled += u64::from(found > 1);
        bar.step();
    }
    opened.close().await;
    Ok((lost, doubled))
}
