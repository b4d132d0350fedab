//! Detects peers that read too slowly.
//!
//! The kernel closes a connection whose peer acknowledges nothing. A peer that reads a few bytes a second would hold its response
//! in memory forever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How often progress is checked while data is waiting.
const PERIOD: Duration = Duration::from_secs(30);

/// Bytes that a peer must read in a period.
const MIN_PROGRESS: usize = 16 << 10;

/// Checks that one peer makes progress. Costs nothing while no data is waiting.
#[derive(Default)]
pub(super) struct SlowPeer(Option<Box<Waiting>>);

struct Waiting {
    due: Pin<Box<Sleep>>,
    written: usize,
}

impl SlowPeer {
    /// A write has to wait. Fails if the peer has read too little in the last period; otherwise, wakes the task for the next check.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let waiting = self.0.get_or_insert_with(|| Box::new(Waiting { due: Box::pin(sleep(PERIOD)), written: 0 }));
        while waiting.due.as_mut().poll(cx).is_ready() {
            if waiting.written < MIN_PROGRESS {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads too slowly"));
            }
            waiting.written = 0;
            waiting.due.as_mut().reset(Instant::now() + PERIOD);
        }
        Ok(())
    }

    /// `bytes` were written.
    pub(super) fn wrote(&mut self, bytes: usize) {
        if let Some(waiting) = &mut self.0 {
            waiting.written = waiting.written.saturating_add(bytes);
        }
    }

    /// No data is waiting any more.
    pub(super) fn reset(&mut self) {
        self.0 = None;
    }
}

/// The result of polling a write that has to wait.
pub(super) fn pending<T>(slow_peer: &mut SlowPeer, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
    match slow_peer.wait(cx) {
        Ok(()) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// When a peer that reads so many bytes per second is detected; `None` if it is not within ten minutes.
    async fn detected_after(bytes: usize) -> Option<Duration> {
        let (mut slow_peer, began) = (SlowPeer::default(), Instant::now());
        for _ in 0..600 {
            if poll_fn(|cx| Poll::Ready(slow_peer.wait(cx))).await.is_err() {
                return Some(began.elapsed());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            slow_peer.wrote(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_reads_a_few_bytes_a_second_is_detected_and_a_slow_link_is_not() {
        assert_eq!(detected_after(32).await, Some(PERIOD));
        assert_eq!(detected_after(2048).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_without_waiting_data_does_not_count() {
        let mut slow_peer = SlowPeer::default();
        poll_fn(|cx| Poll::Ready(slow_peer.wait(cx))).await.unwrap();
        slow_peer.reset();
        tokio::time::sleep(PERIOD * 10).await;
        poll_fn(|cx| Poll::Ready(slow_peer.wait(cx))).await.unwrap();
    }
}
