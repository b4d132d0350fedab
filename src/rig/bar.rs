//! How far long work is: a bar for somebody who sits at a terminal, else a line in the log now and then.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// How often a bar that follows the clock moves.
const TICK: Duration = Duration::from_millis(200);

/// How often the log tells, at most.
const PAUSE: Duration = Duration::from_secs(5);

const LOOK: &str = "{msg} {wide_bar} {human_pos} of {human_len}, {eta} left";

/// How far some work is. Gone from the terminal when it goes out of scope.
pub(crate) struct Bar {
    /// Shows nothing where there is no terminal.
    bar: ProgressBar,
    told: Mutex<Instant>,
}

impl Bar {
    /// A bar that is full at `length`.
    pub(crate) fn of(what: &'static str, length: u64) -> Self {
        let style = ProgressStyle::with_template(LOOK).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(length).with_style(style).with_message(what);
        Self { bar, told: Mutex::new(Instant::now()) }
    }

    /// Says how far it is, of how much by now.
    pub(crate) fn set(&self, done: u64, length: u64) {
        self.bar.set_length(length);
        self.bar.set_position(done);
        self.tell();
    }

    /// Says how far it is.
    pub(crate) fn reach(&self, done: u64) {
        self.bar.set_position(done);
        self.tell();
    }

    /// One more is done.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
        self.tell();
    }

    /// Waits, with a bar that follows the clock.
    pub(crate) async fn wait(what: &'static str, span: Duration) {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let bar = Self::of(what, millis(span));
        let began = Instant::now();
        while began.elapsed() < span {
            bar.set(millis(began.elapsed()), millis(span));
            sleep_until((Instant::now() + TICK).min(began + span)).await;
        }
    }

    fn tell(&self) {
        if !self.bar.is_hidden() {
            return;
        }
        let mut told = self.told.lock();
        if told.elapsed() >= PAUSE {
            *told = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            tracing::info!(done, total, "{}: {done} of {total}", self.bar.message());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
