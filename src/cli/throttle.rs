//! A bound on how often one place in the code may warn.
//!
//! What befalls one message often befalls thousands: without a bound, the log of a store that is away fills the disk.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Warnings and errors that one place in the code may log in a [`PERIOD`]; the rest is counted.
const LINES: u64 = 20;

/// How often counting begins anew.
const PERIOD: Duration = Duration::from_secs(10);

/// Lets each place in the code log so many warnings and errors in a period. Clones share the counts.
#[derive(Clone, Default)]
pub(super) struct Throttle(Arc<Mutex<HashMap<Identifier, Place>>>);

struct Place {
    metadata: &'static Metadata<'static>,
    lines: u64,
}

impl Throttle {
    /// Whether a line from this place may be logged.
    fn admits(&self, metadata: &'static Metadata<'static>) -> bool {
        if *metadata.level() > Level::WARN {
            return true;
        }
        let mut places = self.places();
        let place = places.entry(metadata.callsite()).or_insert(Place { metadata, lines: 0 });
        place.lines += 1;
        place.lines <= LINES
    }

    /// Begins a new period; gives how many lines the last one left out, by file and line of their place.
    fn next_period(&self) -> Vec<(String, u64)> {
        let places = std::mem::take(&mut *self.places());
        let left_out = places.into_values().filter(|place| place.lines > LINES);
        left_out
            .map(|place| {
                let (file, line) = (place.metadata.file().unwrap_or_default(), place.metadata.line().unwrap_or(0));
                (format!("{file}:{line}"), place.lines - LINES)
            })
            .collect()
    }

    /// Logs every ten seconds what was left out.
    pub(super) async fn report(self) {
        loop {
            tokio::time::sleep(PERIOD).await;
            for (place, lines) in self.next_period() {
                tracing::warn!(lines, "Left out {lines} more log lines from {place} within {PERIOD:?}");
            }
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
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

    /// Collects what is logged.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<Level>>>);

    impl<S: Subscriber> Layer<S> for Lines {
        fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
            self.0.lock().push(*event.metadata().level());
        }
    }

    #[test]
    fn one_place_may_warn_so_often_and_says_later_what_was_left_out() {
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
