//! How far a run is, for somebody who sits at a terminal.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep_until};

/// How often a bar that follows the clock moves.
const TICK: Duration = Duration::from_millis(200);

/// A bar on the terminal, or nothing if nobody looks at one. Gone when it goes out of scope.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar that is full at `length`.
    pub(crate) fn of(what: impl Into<String>, length: u64) -> Self {
        Self(std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos} of {human_len}");
            let bar = ProgressBar::new(length).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.with_message(what.into())
        }))
    }

    /// Says how far it is.
    pub(crate) fn set(&self, done: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(done);
        }
    }

    /// One more is done.
    pub(crate) fn step(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Waits, with a bar that follows the clock.
    pub(crate) async fn wait(what: impl Into<String>, span: Duration) {
        let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let bar = Self::of(what, millis(span));
        let began = Instant::now();
        while began.elapsed() < span {
            bar.set(millis(began.elapsed()));
            sleep_until((Instant::now() + TICK).min(began + span)).await;
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
