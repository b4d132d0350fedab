//! Messages between pairs, in a closed loop or at a fixed rate.

use std::ops::Range;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures_util::TryStreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::background::Background;
use super::connection::{Connection, Run, Sender, since};
use super::flooder::Flooder;
use super::options::{BenchOptions, Mode};
use super::pairs::Pairs;
use super::report::{Spent, TrafficReport};
use super::tally::Tally;
use super::target::Target;
use crate::cli::Progress;
use crate::lab::testkit::procfs::{cpu_seconds, resident_bytes};
use crate::lab::testkit::socketio::Dial;

/// Buffer per connection and direction, in bytes.
const BUFFER: usize = 32 * 1024;

/// Shortest sleep of the pacer. It bounds what the generator adds to latencies, and its CPU time.
const NAP: Duration = Duration::from_micros(100);

/// Runs one load and reports it.
pub(super) async fn run(options: &BenchOptions, mode: Mode, target: &Target) -> anyhow::Result<TrafficReport> {
    let mut customers = target.customers(options.customers(mode))?;
    let flooder = if options.flooded { customers.pop() } else { None };
    let outside = customers.split_off(options.customers_of_pairs());
    let Pairs { senders, receivers, listeners } = if options.to_agent {
        Pairs::to_agent(options, target, customers).await?
    } else {
        Pairs::in_pairs(options, target, customers).await?
    };
    let how = Dial { buffer: BUFFER, ..Dial::default() };
    let (count, endpoints) = (senders.len(), senders.into_iter().chain(listeners).collect());
    let opening = Instant::now();
    let mut sockets = target.connect(options, endpoints, &how).try_collect::<Vec<_>>().await?;
    let connecting = opening.elapsed();
    let connections = sockets.len();
    let listening = sockets.split_off(count);

    let run = Run::new(options.protocol, options.size, Tally::new(options.pairs)?);
    let mut tasks = JoinSet::new();
    for socket in listening {
        tasks.spawn_local(Connection::new(socket, Rc::clone(&run), None));
    }
    let background = if options.background == 0 {
        None
    } else {
        let span = options.warmup + options.duration;
        Some(Background::begin(options, target, outside, &mut tasks, span).await?)
    };
    let flooder = flooder.map(|customer| Flooder::begin(target, customer)).transpose()?;
    let start = run.now();
    let opens = start + nanos(options.warmup);
    let window = opens..opens + nanos(options.duration);
    run.tally.borrow_mut().count_within(window.clone());
    run.stop_at.set(window.end);
    let (senders, due_times) = if mode == Mode::Rate {
        Sender::paced(receivers)
    } else {
        (Sender::in_a_loop(receivers, options.window), Vec::new())
    };
    for (socket, sender) in sockets.into_iter().zip(senders) {
        tasks.spawn_local(Connection::new(socket, Rc::clone(&run), Some(sender)));
    }
    let pacer =
        (mode == Mode::Rate).then(|| pace(run.began(), start..window.end, options.rate, due_times)).transpose()?;

    Progress::wait("Warming up", options.warmup).await;
    let spent = Spending::begin(target.pid);
    Progress::wait("Measuring", options.duration).await;
    let spent = spent.end();
    let asked = pacer.map(|pacer| pacer.join().unwrap_or_default());
    settle(&run, asked.unwrap_or_default(), options.drain).await;
    let background = match background {
        Some(background) => Some(background.end().await),
        None => None,
    };
    let tally = run.tally.borrow();
    let asked = asked.unwrap_or(tally.sent);
    let mut report = TrafficReport::new(options, mode, &tally, asked, connections, connecting, spent);
    report.background = background;
    report.flooded = flooder.map(|flooder| flooder.flooded());
    Ok(report)
}

/// Waits until everything is sent, delivered and confirmed, at most for `patience`.
pub(super) async fn settle(run: &Run, asked: u64, patience: Duration) {
    let gave_up = Instant::now() + patience;
    while Instant::now() < gave_up && !(run.tally.borrow().is_settled() && run.tally.borrow().sent >= asked) {
        sleep(Duration::from_millis(10)).await;
    }
}

/// Starts a thread that notifies each sender in turn at the moment when its next message is due. It returns the number
/// of messages.
pub(super) fn pace(
    began: Instant,
    span: Range<u64>,
    rate: u64,
    senders: Vec<mpsc::UnboundedSender<u64>>,
) -> anyhow::Result<thread::JoinHandle<u64>> {
    let give = move || {
        let mut given = 0;
        for sender in senders.iter().cycle() {
            let due = span.start + given * 1_000_000_000 / rate.max(1);
            if due >= span.end {
                break;
            }
            let wait = Duration::from_nanos(due.saturating_sub(since(began)));
            if !wait.is_zero() {
                thread::sleep(wait.max(NAP));
            }
            // The messages of a closed sender are counted as unsent.
            let _gone = sender.send(due);
            given += 1;
        }
        given
    };
    thread::Builder::new().name("bench-pacer".into()).spawn(give).context("starting the pacer")
}

/// Measures CPU time and memory of the server and the generator.
struct Spending {
    began: Instant,
    pid: Option<u32>,
    server: Option<f64>,
    own: Option<f64>,
    resident: Option<u64>,
}

impl Spending {
    fn begin(pid: Option<u32>) -> Self {
        Self {
            began: Instant::now(),
            pid,
            server: pid.and_then(cpu_seconds),
            own: cpu_seconds(std::process::id()),
            resident: pid.and_then(resident_bytes),
        }
    }

    fn end(self) -> Spent {
        let now = Self::begin(self.pid);
        let less = |now: Option<f64>, then: Option<f64>| Some(now? - then?);
        Spent {
            seconds: self.began.elapsed().as_secs_f64(),
            server_cpu: less(now.server, self.server),
            own_cpu: less(now.own, self.own),
            resident: self.resident.zip(now.resident),
        }
    }
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX / 4)
}
