//! Parses a time that has to lie within bounds.

use std::ops::RangeInclusive;
use std::time::Duration;

use humantime::format_duration;

/// The upper bound of most times.
pub(super) const DAY: Duration = Duration::from_hours(24);

/// Why a time is rejected.
#[derive(Debug, thiserror::Error)]
pub(super) enum DurationError {
    #[error(transparent)]
    Unreadable(#[from] humantime::DurationError),
    #[error("must be at most {}", format_duration(*.0))]
    TooLong(Duration),
    #[error("must be between {} and {}", format_duration(*.0.start()), format_duration(*.0.end()))]
    OutOfBounds(RangeInclusive<Duration>),
}

/// A parser of times like `10s` or `2min` that rejects those out of bounds.
pub(super) fn within(
    bounds: RangeInclusive<Duration>,
) -> impl Fn(&str) -> Result<Duration, DurationError> + Clone + Send + Sync + 'static {
    move |text| match humantime::parse_duration(text)? {
        time if bounds.contains(&time) => Ok(time),
        _ if bounds.start().is_zero() => Err(DurationError::TooLong(*bounds.end())),
        _ => Err(DurationError::OutOfBounds(bounds.clone())),
    }
}

/// A parser of times of a day at most.
pub(super) fn at_most_a_day(text: &str) -> Result<Duration, DurationError> {
    within(Duration::ZERO..=DAY)(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_out_of_bounds_are_rejected_with_the_bounds() {
        let second = Duration::from_secs(1);
        for (bounds, text, expected) in [
            (Duration::ZERO..=DAY, "0s", Ok(Duration::ZERO)),
            (Duration::ZERO..=DAY, "1day", Ok(DAY)),
            (Duration::ZERO..=DAY, "1day 1ms", Err("must be at most 1day")),
            (second..=DAY, "1s", Ok(second)),
            (second..=DAY, "999ms", Err("must be between 1s and 1day")),
            (second..=DAY, "300000000000years", Err("must be between 1s and 1day")),
            (second..=DAY, "10", Err("time unit needed, for example 10sec or 10ms")),
        ] {
            let parsed = within(bounds)(text).map_err(|error| error.to_string());
            assert_eq!(parsed, expected.map_err(str::to_owned), "{text}");
        }
    }
}
