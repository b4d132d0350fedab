//! How far long work is: a bar on a terminal, else a line in the log now and then.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often the log tells, at most.
const PAUSE: Duration = Duration::from_secs(5);

const LOOK: &str = "{msg} {wide_bar} {human_pos} of {human_len}, {eta} left";

pub(super) struct Progress {
    what: &'static str,
    /// `None` if nobody looks at a terminal.
    bar: Option<ProgressBar>,
    told: Mutex<Instant>,
}

impl Progress {
    pub(super) fn of(what: &'static str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(LOOK).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::no_length().with_style(style).with_message(what)
        });
        Self { what, bar, told: Mutex::new(Instant::now()) }
    }

    pub(super) fn set(&self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            return;
        }
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= PAUSE {
            *told = Instant::now();
            tracing::info!(done, total, "{}: {done} of {total}", self.what);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
