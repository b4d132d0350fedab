//! Progress of a long task: a bar on a terminal, otherwise a log line every few seconds.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

/// Interval at which a bar that shows time is updated.
const TICK: Duration = Duration::from_millis(200);

/// Shortest time between two log lines.
const LOG_INTERVAL: Duration = Duration::from_secs(5);

const TEMPLATE: &str = "{msg} {wide_bar} {human_pos} of {human_len}, {eta} left";

/// The progress of one task. Removes its bar from the terminal on drop.
pub(crate) struct Progress {
    /// Hidden if there is no terminal.
    bar: ProgressBar,
    logged: Mutex<Instant>,
}

impl Progress {
    /// A task of `length` steps.
    pub(crate) fn of(task: &'static str, length: u64) -> Self {
        let style = ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(length).with_style(style).with_message(task);
        Self { bar, logged: Mutex::new(Instant::now()) }
    }

    /// Sets the steps done, and their new total.
    pub(crate) fn set(&self, done: u64, length: u64) {
        self.bar.set_length(length);
        self.reach(done);
    }

    /// Sets the steps done.
    pub(crate) fn reach(&self, done: u64) {
        self.bar.set_position(done);
        self.log();
    }

    /// Adds one step.
    pub(crate) fn step(&self) {
        self.bar.inc(1);
        self.log();
    }

    /// Sleeps for `span`, and shows the time that is left.
    pub(crate) async fn wait(task: &'static str, span: Duration) {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let bar = Self::of(task, millis(span));
        let began = Instant::now();
        while began.elapsed() < span {
            bar.reach(millis(began.elapsed()));
            sleep_until((Instant::now() + TICK).min(began + span)).await;
        }
    }

    fn log(&self) {
        if !self.bar.is_hidden() {
            return;
        }
        let mut logged = self.logged.lock();
        if logged.elapsed() >= LOG_INTERVAL {
            *logged = Instant::now();
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
            tracing::info!(done, total, "{}: {done} of {total}", self.bar.message());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
