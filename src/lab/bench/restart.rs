//! A server with many connections is stopped and restarted.
//!
//! Each client sends one message just before, and retries it after the reconnect under the same client id, as an application
//! does. Meanwhile clients behave like the stock client, which ignores `server-stopping`: they wait about a second, then
//! longer. Reconnected clients stay, so that all are connected at the end.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::back_off::BackOff;
use super::connection::since;
use super::options::{BenchOptions, Mode, Protocol};
use super::report::RestartReport;
use super::tally::histogram;
use super::target::{Endpoint, Target};
use super::wire::{Incoming, RunTag, Stamp, read_packet, send_frame};
use crate::cli::Progress;
use crate::lab::testkit::socketio::{Dial, Socket};
use crate::lab::testkit::{Account, ChildServer, Scratch};
use crate::store::{ListFor, MAX_PAGE};

/// Time between the first message and the stop.
const HEAD_START: Duration = Duration::from_millis(50);

/// Size of a message's text in bytes.
const SIZE: usize = 64;

/// State shared by all clients.
struct Run {
    target: Target,
    tag: RunTag,
    agent: String,
    /// Cancelled once all clients are connected and may send.
    sending: CancellationToken,
    /// Cancelled once all clients are back or have given up.
    over: CancellationToken,
    /// Receives one item per client once it is back or has given up.
    settled: mpsc::UnboundedSender<()>,
    /// When the server was stopped.
    stopped: Cell<Option<Instant>>,
    back_off: BackOff,
    gave_up: Duration,
}

/// What one client observed.
#[derive(Default)]
struct Seen {
    /// Nanoseconds from the stop to being authenticated again; `None` if that failed, or was cut off again.
    back: Option<u64>,
    /// Nanoseconds from the lost connection to being authenticated again.
    outage: u64,
    confirmed: bool,
    /// Refusals, most of them because the server is stopping.
    refused: u64,
}

/// Runs this mode. Reports how long the clients took to reconnect, and what became of their messages.
pub(super) async fn run(
    options: &BenchOptions,
    mode: Mode,
    target: &Target,
    server: &mut ChildServer,
    scratch: &Scratch,
) -> anyhow::Result<RestartReport> {
    let accounts = target.customers(options.connections)?;
    let (tell, mut settled) = mpsc::unbounded_channel();
    let run = Rc::new(Run {
        target: target.clone(),
        tag: RunTag::random(),
        agent: target.agent()?.id.to_string(),
        sending: CancellationToken::new(),
        over: CancellationToken::new(),
        settled: tell,
        stopped: Cell::new(None),
        back_off: BackOff::new(options),
        gave_up: options.drain,
    });
    let mut clients = fill(options, &run, &accounts).await?;
    run.sending.cancel();
    sleep(HEAD_START).await;
    run.stopped.set(Some(Instant::now()));
    let (down, up) = restart(server, mode).await?;

    let bar = Progress::of("Reconnecting", options.connections as u64);
    for _ in 0..options.connections {
        settled.recv().await.context("a client has stopped")?;
        bar.step();
    }
    drop(bar);
    run.over.cancel();
    let (mut back, mut outage) = (histogram()?, histogram()?);
    let mut report = RestartReport::new(mode, options, down, up);
    while let Some(seen) = clients.join_next().await {
        let seen = seen?;
        report.unconfirmed += u64::from(!seen.confirmed);
        report.refused += seen.refused;
        match seen.back {
            Some(nanos) => {
                back.saturating_record(nanos);
                outage.saturating_record(seen.outage);
            }
            None => report.left_out += 1,
        }
    }
    report.came_back(&back, &outage);
    server.stop().await?;
    (report.lost, report.doubled) = count(scratch, &accounts, run.tag).await?;
    Ok(report)
}

/// Connects all clients.
async fn fill(options: &BenchOptions, run: &Rc<Run>, accounts: &[Account]) -> anyhow::Result<JoinSet<Seen>> {
    let bar = Progress::of("Connecting", accounts.len() as u64);
    let endpoints = accounts.iter().cloned().map(Endpoint::Socketio).collect();
    let how = Dial::slim();
    let mut sockets = std::pin::pin!(run.target.connect(options, endpoints, &how));
    let mut clients = JoinSet::new();
    for (pair, account) in accounts.iter().enumerate() {
        let socket = sockets.next().await.context("a client has stopped")??;
        clients.spawn_local(Returning { pair, account: account.clone(), run: Rc::clone(run) }.live(socket));
        bar.step();
    }
    Ok(clients)
}

/// Restarts the server. Returns how long stopping and starting took.
async fn restart(server: &mut ChildServer, mode: Mode) -> anyhow::Result<(Duration, Duration)> {
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
}

/// The connection is closed.
struct Cut;

impl Returning {
    async fn live(self, mut socket: Socket) -> Seen {
        let (run, mut seen) = (&self.run, Seen::default());
        tokio::select! {
            () = run.sending.cancelled() => {}
            () = self.stay(&mut socket, &mut seen) => {}
        }
        if self.say(&mut socket).await.is_ok() {
            // A server that hangs must not block the run.
            let _ends = timeout(run.gave_up, self.stay(&mut socket, &mut seen)).await;
        }
        let back = self.come_back(&mut seen).await;
        // If the receiver is gone, the run has failed already.
        let _gone = run.settled.send(());
        if let Some(mut socket) = back {
            tokio::select! {
                () = run.over.cancelled() => {}
                () = self.stay(&mut socket, &mut seen) => seen.back = None,
            }
        }
        seen
    }

    /// Reconnects, and sends its message until it is confirmed.
    async fn come_back(&self, seen: &mut Seen) -> Option<Socket> {
        let (run, cut) = (&self.run, Instant::now());
        let endpoint = Endpoint::Socketio(self.account.clone());
        let mut socket = run.back_off.come_back(&run.target, &endpoint).await?;
        seen.back = run.stopped.get().map(since);
        seen.outage = since(cut);
        let confirming = async {
            if !seen.confirmed {
                self.say(&mut socket).await?;
            }
            while !seen.confirmed {
                self.hear_next(&mut socket, seen).await?;
            }
            Ok::<(), Cut>(())
        };
        // Messages that are not confirmed in time are counted.
        let _ends = timeout(run.gave_up, confirming).await;
        Some(socket)
    }

    /// Sends its one message.
    async fn say(&self, socket: &mut Socket) -> Result<(), Cut> {
        let stamp = Stamp { pair: self.pair, counter: 0, at: 0 };
        let frame = send_frame(Protocol::Socketio, self.run.tag, &self.run.agent, stamp, SIZE);
        socket.send(Message::text(frame)).await.map_err(|_| Cut)
    }

    /// Receives until the connection is closed.
    async fn stay(&self, socket: &mut Socket, seen: &mut Seen) {
        while self.hear_next(socket, seen).await.is_ok() {}
    }

    async fn hear_next(&self, socket: &mut Socket, seen: &mut Seen) -> Result<(), Cut> {
        let Some(Ok(message)) = socket.next().await else { return Err(Cut) };
        let Message::Text(frame) = message else { return Ok(()) };
        match read_packet(frame.as_str(), self.run.tag) {
            Incoming::Ping => return socket.send(Message::text("3")).await.map_err(|_| Cut),
            Incoming::Confirmed(_) => seen.confirmed = true,
            Incoming::Refused(_) => seen.refused += 1,
            Incoming::Closed => return Err(Cut),
            Incoming::Delivered(_) | Incoming::Other => {}
        }
        Ok(())
    }
}

/// Looks for each client's message in the store. Returns how many are missing, and how many are stored more than once.
async fn count(scratch: &Scratch, accounts: &[Account], tag: RunTag) -> anyhow::Result<(u64, u64)> {
    let opened = scratch.open().await?;
    let store = opened.stores().conversations;
    let bar = Progress::of("Counting", accounts.len() as u64);
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
