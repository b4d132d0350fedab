//! Times in the format of Django: with microseconds, the last three digits of which are zeros here.

use crate::domain::Timestamp;

/// For requests: `2026-11-21T08:24:51.211000Z`; the fraction is left out when it is zero.
pub(in crate::faces) fn rest(at: Timestamp) -> String {
    with_zone(at, "Z")
}

/// For frames: `2026-11-21T08:24:51.211000+00:00`.
pub(in crate::faces) fn frame(at: Timestamp) -> String {
    with_zone(at, "+00:00")
}

fn with_zone(at: Timestamp, zone: &str) -> String {
    let text = at.to_string();
    let text = text.trim_end_matches('Z');
    match text.strip_suffix(".000") {
        Some(whole) => format!("{whole}{zone}"),
        None => format!("{text}000{zone}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_django_writes_them() {
        let at = Timestamp::from_millis(1_795_249_336_956);
        assert_eq!(rest(at), "2026-11-21T08:22:16.956000Z");
        assert_eq!(frame(at), "2026-11-21T08:22:16.956000+00:00");
        assert_eq!(frame(Timestamp::from_millis(1_795_249_336_000)), "2026-11-21T08:22:16+00:00");
    }
}
