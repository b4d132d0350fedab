//! Limits how often one line of the code may log a warning.
//!
//! A fault that affects one message often affects thousands: without a limit, an outage of the store would fill the
//! disk with log lines.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Warnings and errors that one line of the code may log per [`PERIOD`]; more are only counted.
const LINES: u64 = 20;

/// How often the counts are reset.
const PERIOD: Duration = Duration::from_secs(10);

/// A layer that limits warnings and errors by the line of the code that logs them. Clones share the counts.
#[derive(Clone, Default)]
pub(super) struct Throttle(Arc<Mutex<HashMap<Identifier, CallSite>>>);

struct CallSite {
    metadata: &'static Metadata<'static>,
    lines: u64,
}

impl Throttle {
    /// Whether a line from this call site may be logged.
    fn admits(&self, metadata: &'static Metadata<'static>) -> bool {
        if *metadata.level() > Level::WARN {
            return true;
        }
        let mut call_sites = self.call_sites();
        let call_site = call_sites.entry(metadata.callsite()).or_insert(CallSite { metadata, lines: 0 });
        call_site.lines += 1;
        call_site.lines <= LINES
    }

    /// Starts a new period. Returns how many lines the last one suppressed, by file and line of the call site.
    fn next_period(&self) -> Vec<(String, u64)> {
        let call_sites = std::mem::take(&mut *self.call_sites());
        let left_out = call_sites.into_values().filter(|call_site| call_site.lines > LINES);
        left_out
            .map(|call_site| {
                let (file, line) =
                    (call_site.metadata.file().unwrap_or_default(), call_site.metadata.line().unwrap_or(0));
                (format!("{file}:{line}"), call_site.lines - LINES)
            })
            .collect()
    }

    /// Reports suppressed lines once per period.
    pub(super) async fn report(self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            for (call_site, lines) in self.next_period() {
                tracing::warn!(lines, "Suppressed {lines} log lines from {call_site} in {PERIOD:?}");
            }
        }
    }

    fn call_sites(&self) -> MutexGuard<'_, HashMap<Identifier, CallSite>> {
        self.0.lock()
    }
}

impl<S: Subscriber> Layer<S> for Throttle {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        self.admits(event.metadata())
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Collects logged lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<Level>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().push(*event.metadata().level());
        }
    }

    #[test]
    fn warnings_of_one_place_are_limited_and_suppressed_ones_reported() {
        let (throttle, lines) = (Throttle::default(), Lines::default());
        let subscriber = tracing_subscriber::registry().with(lines.clone()).with(throttle.clone());
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..500 {
                tracing::warn!("the same");
                tracing::info!("of no danger");
            }
            tracing::warn!("another");
        });
        let logged = lines.0.lock();
        assert_eq!(logged.iter().filter(|level| **level == Level::WARN).count() as u64, LINES + 1);
        assert_eq!(logged.iter().filter(|level| **level == Level::INFO).count(), 500);
        let left_out = throttle.next_period();
        assert_eq!(left_out.len(), 1);
        assert_eq!(left_out[0].1, 500 - LINES);
        assert!(left_out[0].0.contains("throttle.rs:"), "{left_out:?}");
        assert!(throttle.next_period().is_empty());
    }
}
