//! Background pairs, whose receivers may never read.

use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _, TryStreamExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use super::connection::{Connection, Run, Sender};
use super::options::BenchOptions;
use super::pairs::Pairs;
use super::report::BackgroundReport;
use super::tally::Tally;
use super::target::Target;
use super::traffic::{nanos, pace};
use crate::lab::testkit::Account;
use crate::lab::testkit::socketio::{Dial, Socket};

/// Size of a message's text in bytes. The kernel buffers some megabytes for a peer that does not read; long messages fill that
/// quickly, and the rest has to be buffered by the server.
const SIZE: usize = 16 << 10;

/// Receive buffer of a connection that never reads, in bytes.
const RECEIVE_BUFFER: u32 = 4096;

/// Timeout for detecting that the server has closed a connection.
const ECHO: Duration = Duration::from_secs(1);

/// Running background pairs.
pub(super) struct Background {
    pairs: usize,
    unread: Vec<Socket>,
    run: Rc<Run>,
    _pacer: JoinHandle<u64>,
}

impl Background {
    /// Connects them and lets them send for `span`.
    pub(super) async fn begin(
        options: &BenchOptions,
        target: &Target,
        customers: Vec<Account>,
        tasks: &mut JoinSet<()>,
        span: Duration,
    ) -> anyhow::Result<Self> {
        let Pairs { senders, receivers, listeners } = Pairs::in_pairs(options, target, customers).await?;
        let receive_buffer = if options.stalled { RECEIVE_BUFFER } else { 0 };
        let how = Dial { receive_buffer, ..Dial::default() };
        let mut unread: Vec<Socket> = target.connect(options, listeners, &how).try_collect().await?;
        let writing: Vec<_> = target.connect(options, senders, &Dial::default()).try_collect().await?;
        let run = Run::new(options.protocol, SIZE, Tally::new(options.background)?);
        if !options.stalled {
            for socket in unread.drain(..) {
                tasks.spawn_local(Connection::new(socket, Rc::clone(&run), None));
            }
        }
        let (senders, due_times) = Sender::paced(receivers);
        for (socket, sender) in writing.into_iter().zip(senders) {
            tasks.spawn_local(Connection::new(socket, Rc::clone(&run), Some(sender)));
        }
        let start = run.now();
        let pacer = pace(run.began(), start..start + nanos(span), options.rate, due_times)?;
        Ok(Self { pairs: options.background, unread, run, _pacer: pacer })
    }

    /// Stops them and reports what they sent, and how many stalled receivers the server has disconnected.
    pub(super) async fn end(self) -> BackgroundReport {
        let sent = self.run.tally.borrow().sent;
        let stalled = self.unread.len();
        let cut_off = join_all(self.unread.into_iter().map(is_cut_off)).await.into_iter().filter(|cut| *cut).count();
        BackgroundReport { pairs: self.pairs, sent, bytes: sent * SIZE as u64, stalled, cut_off }
    }
}

/// Whether the server has closed a connection. A client that does not read cannot see that, but writing to such a connection is
/// answered with a reset.
async fn is_cut_off(mut socket: Socket) -> bool {
    let is_over = async {
        if socket.send(Message::Ping(Vec::new().into())).await.is_ok() {
            while let Some(Ok(_)) = socket.next().await {}
        }
    };
    timeout(ECHO, is_over).await.is_ok()
}
