//! Dumps written by a real Django, for `deskline import --django-dump`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

/// A Python with Django. If there is none, prints a warning; in CI, fails.
#[expect(clippy::disallowed_methods, reason = "the environment says whether the suite may be skipped")]
fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-django");
        let found = Command::new(script).output().ok().filter(|output| output.status.success());
        if let Some(output) = found {
            return Some(PathBuf::from(String::from_utf8(output.stdout).unwrap().trim()));
        }
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "scripts/test-django found no Django");
        let text = "\n*** The tests with a real Django were SKIPPED: scripts/test-django failed. ***\n\n";
        // The test harness would capture the output of a macro.
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        None
    };
    PYTHON.get_or_init(find).as_deref()
}

/// Writes `dump.json` and the folder `media` of a product into this folder; `None` if there is no Django.
pub(crate) fn dump(product: &str, folder: &Path) -> Option<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/django/dump.py");
    let mut command = Command::new(python()?);
    command.args(["-B", script, product]).args([folder.join("dump.json"), folder.join("media")]);
    assert_worked(&command.output().unwrap());
    Some(())
}

/// The program's output. Panics if it failed.
pub(crate) fn assert_worked(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The line of a report about a model.
pub(crate) fn line<'a>(report: &'a str, model: &str) -> &'a str {
    report.lines().find_map(|line| line.strip_prefix(&format!("{model}: "))).unwrap_or_else(|| panic!("{report}"))
}
