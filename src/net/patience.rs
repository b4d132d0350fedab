//! How long something may wait for a peer that takes next to nothing of it.
//!
//! The kernel gives up a peer that takes nothing at all; one that reads a few bytes a second would keep its answer in memory
//! for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How often progress is looked at while something waits.
const PERIOD: Duration = Duration::from_secs(30);

/// Bytes that a peer has to take in a period.
const LEAST: usize = 16 << 10;

/// The patience with one peer; costs nothing while all is taken.
#[derive(Default)]
pub(super) struct Patience(Option<Box<Waiting>>);

struct Waiting {
    due: Pin<Box<Sleep>>,
    taken: usize,
}

impl Patience {
    /// A write has to wait. Fails if the peer has taken too little for too long; else the task is woken when that is so.
    pub(super) fn wait(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let waiting = self.0.get_or_insert_with(|| Box::new(Waiting { due: Box::pin(sleep(PERIOD)), taken: 0 }));
        while waiting.due.as_mut().poll(cx).is_ready() {
            if waiting.taken < LEAST {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer reads too slowly"));
            }
            waiting.taken = 0;
            waiting.due.as_mut().reset(Instant::now() + PERIOD);
        }
        Ok(())
    }

    /// The peer has taken so many bytes.
    pub(super) fn took(&mut self, bytes: usize) {
        if let Some(waiting) = &mut self.0 {
            waiting.taken = waiting.taken.saturating_add(bytes);
        }
    }

    /// Nothing waits any more.
    pub(super) fn settle(&mut self) {
        self.0 = None;
    }
}

/// The same as a poll, for a write that is pending.
pub(super) fn pending<T>(patience: &mut Patience, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
    match patience.wait(cx) {
        Ok(()) => Poll::Pending,
        Err(error) => Poll::Ready(Err(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    /// Lets a peer take so many bytes each second; gives when patience ran out, within ten minutes.
    async fn lasts(bytes: usize) -> Option<Duration> {
        let (mut patience, began) = (Patience::default(), Instant::now());
        for _ in 0..600 {
            if poll_fn(|cx| Poll::Ready(patience.wait(cx))).await.is_err() {
                return Some(began.elapsed());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            patience.took(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn patience_runs_out_with_a_peer_that_reads_a_few_bytes_a_second_and_not_with_a_slow_link() {
        assert_eq!(lasts(32).await, Some(PERIOD));
        assert_eq!(lasts(2048).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_with_nothing_to_take_is_no_slowness() {
        let mut patience = Patience::default();
        poll_fn(|cx| Poll::Ready(patience.wait(cx))).await.unwrap();
        patience.settle();
        tokio::time::sleep(PERIOD * 10).await;
        poll_fn(|cx| Poll::Ready(patience.wait(cx))).await.unwrap();
    }
}
