//! The figures of two runs, side by side.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;

/// Figures by their names; of the runs of a file, by what the load was.
type Figures = BTreeMap<String, f64>;

/// Every figure that both files have of the same load: the first, the second, and the second as a multiple of the first.
pub(super) fn table(before: &Path, after: &Path) -> anyhow::Result<String> {
    Ok(rows(&read(before)?, &read(after)?))
}

fn rows(before: &[(String, Figures)], after: &[(String, Figures)]) -> String {
    let mut table = String::new();
    for (title, first) in before {
        let Some((_, second)) = after.iter().find(|(other, _)| other == title) else { continue };
        // Writing to a string cannot fail.
        let _ok = writeln!(table, "| {title:<44} | {:>14} | {:>14} | {:>7} |", "A", "B", "B / A");
        let _ok = writeln!(table, "|{0}|{1}:|{1}:|{2}:|", "-".repeat(46), "-".repeat(15), "-".repeat(8));
        for (name, a) in first {
            let Some(b) = second.get(name) else { continue };
            let ratio = if *a == 0.0 { String::new() } else { format!("{:.2}", b / a) };
            let _ok = writeln!(table, "| {name:<44} | {a:>14.2} | {b:>14.2} | {ratio:>7} |");
        }
        table.push('\n');
    }
    if table.is_empty() { "The two files have no load in common.\n".into() } else { table }
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

/// All numbers, those of an inner object as `outer.inner`.
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
    use super::*;

    #[test]
    fn figures_of_the_same_load_stand_side_by_side_with_their_ratio() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, p99: f64| {
            let file = folder.path().join(name);
            let runs = serde_json::json!([{"title": "50 pairs", "lost": 0, "delivered_ms": {"p99": p99}}]);
            fs::write(&file, runs.to_string()).unwrap();
            file
        };
        let table = table(&write("a", 2.0), &write("b", 3.0)).unwrap();
        assert!(table.contains("delivered_ms.p99") && table.contains("1.50"), "{table}");
        assert!(super::table(&folder.path().join("none"), &folder.path().join("a")).is_err());
    }
}
