//! Compares the figures of two runs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

/// Figures by name.
type Figures = BTreeMap<String, f64>;

/// How much a latency may increase.
#[derive(Clone, Copy)]
pub(super) struct Bound {
    /// Largest ratio.
    pub(super) factor: f64,
    /// Tolerance added to that, for a busy machine.
    pub(super) noise: Duration,
}

/// The comparison of two runs.
pub(super) struct Compared {
    /// Every figure that both have for the same load: A, B and B / A.
    pub(super) table: String,
    /// Whether all latencies are within the bound.
    pub(super) is_within: bool,
}

/// Compares the figures of two files. A bound is not met if they have no latency in common.
pub(super) fn compare(before: &Path, after: &Path, within: Option<Bound>) -> anyhow::Result<Compared> {
    let (before, after) = (read(before)?, read(after)?);
    let mut table = String::new();
    let (mut bounded, mut beyond) = (0, Vec::new());
    for (title, first) in &before {
        let Some((_, second)) = after.iter().find(|(other, _)| other == title) else { continue };
        // Writing to a string cannot fail.
        let _ok = writeln!(table, "| {title:<44} | {:>14} | {:>14} | {:>7} |", "A", "B", "B / A");
        let _ok = writeln!(table, "|{0}|{1}:|{1}:|{2}:|", "-".repeat(46), "-".repeat(15), "-".repeat(8));
        for (name, a) in first {
            let Some(b) = second.get(name) else { continue };
            let ratio = if *a == 0.0 { String::new() } else { format!("{:.2}", b / a) };
            let _ok = writeln!(table, "| {name:<44} | {a:>14.2} | {b:>14.2} | {ratio:>7} |");
            if let Some(Bound { factor, noise }) = within.filter(|_| is_latency(name)) {
                bounded += 1;
                let bound = a * factor + noise.as_secs_f64() * 1e3;
                if *b > bound {
                    beyond.push(format!("{title}: {name} is {b:.2}, beyond {bound:.2}"));
                }
            }
        }
        table.push('\n');
    }
    if table.is_empty() {
        table.push_str("The two files have no load in common.\n");
    }
    for finding in &beyond {
        let _ok = writeln!(table, "{finding}");
    }
    Ok(Compared { table, is_within: within.is_none() || (bounded > 0 && beyond.is_empty()) })
}

/// Whether a figure is the 99th percentile of a latency that depends on the server.
fn is_latency(name: &str) -> bool {
    name.ends_with("_ms.p99") && name != "pacing_ms.p99"
}

fn read(file: &Path) -> anyhow::Result<Vec<(String, Figures)>> {
    let context = || format!("reading the figures of {}", file.display());
    let text = fs::read_to_string(file).with_context(context)?;
    let reports: Vec<Value> = serde_json::from_str(&text).with_context(context)?;
    let titled = reports.iter().map(|report| {
        let mut figures = Figures::new();
        collect("", report, &mut figures);
        (report["title"].as_str().unwrap_or_default().to_owned(), figures)
    });
    Ok(titled.collect())
}

/// Collects all numbers; those of nested objects as `outer.inner`.
fn collect(name: &str, value: &Value, figures: &mut Figures) {
    match value {
        Value::Number(number) => {
            figures.insert(name.to_owned(), number.as_f64().unwrap_or_default());
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                let inner = if name.is_empty() { field.clone() } else { format!("{name}.{field}") };
                collect(&inner, value, figures);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn write(folder: &Path, name: &str, p99: f64) -> PathBuf {
        let file = folder.join(name);
        let latency = serde_json::json!({"p99": p99});
        let runs =
            serde_json::json!([{"title": "50 pairs", "lost": 0, "delivered_ms": latency, "pacing_ms": {"p99": 1}}]);
        fs::write(&file, runs.to_string()).unwrap();
        file
    }

    #[test]
    fn figures_of_the_same_load_are_compared_with_their_ratio() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (write(folder.path(), "a", 2.0), write(folder.path(), "b", 3.0));
        let compared = compare(&a, &b, None).unwrap();
        assert!(compared.table.contains("delivered_ms.p99") && compared.table.contains("1.50"), "{}", compared.table);
        assert!(compared.is_within);
        assert!(compare(&folder.path().join("none"), &a, None).is_err());
    }

    fn times(factor: f64) -> Bound {
        Bound { factor, noise: Duration::from_millis(2) }
    }

    #[test]
    fn a_latency_beyond_the_bound_is_found_and_so_is_a_missing_one() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (write(folder.path(), "a", 10.0), write(folder.path(), "b", 23.0));
        assert!(compare(&a, &b, Some(times(2.1))).unwrap().is_within);
        let beyond = compare(&a, &b, Some(times(2.0))).unwrap();
        assert!(!beyond.is_within && beyond.table.contains("is 23.00, beyond 22.00"), "{}", beyond.table);
        let noisy = Bound { noise: Duration::from_millis(3), ..times(2.0) };
        assert!(compare(&a, &b, Some(noisy)).unwrap().is_within);
        assert!(compare(&b, &a, Some(times(1.0))).unwrap().is_within, "a faster run is within any bound");
        let empty = folder.path().join("empty");
        fs::write(&empty, "[]").unwrap();
        assert!(!compare(&a, &empty, Some(times(2.0))).unwrap().is_within);
    }
}
