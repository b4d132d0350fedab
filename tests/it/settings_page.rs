//! `docs/SETTINGS.md` is generated from the definitions that also produce `--help`, so it cannot become outdated.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use clap::{Arg, ArgAction, Args as _, Command};
use deskline::config::Config;

/// The end of the handwritten part.
const MARKER: &str = "<!-- Everything below is made from src/config by tests/it/settings_page.rs. -->\n";

/// Longest line, in characters.
const WIDTH: usize = 140;

#[test]
fn the_page_of_settings_is_made_from_their_definitions() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SETTINGS.md");
    let text = fs::read_to_string(&page).unwrap();
    let (by_hand, made) = text.split_once(MARKER).expect("the page has lost its marker");
    let command = Config::augment_args(Command::new("deskline"));
    let expected = settings(&command);
    if made != expected {
        let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("SETTINGS.md");
        fs::write(&fresh, format!("{by_hand}{MARKER}{expected}")).unwrap();
        let line = made.lines().zip(expected.lines()).find(|(made, expected)| made != expected);
        panic!("docs/SETTINGS.md differs, first at {line:?}: cp {} {}", fresh.display(), page.display());
    }
}

#[test]
fn a_change_of_a_setting_changes_the_page() {
    let setting = || Arg::new("limit").long("limit").env("DESKLINE_LIMIT").default_value("1").help("A limit.");
    let page = |setting: Arg| settings(&Command::new("deskline").arg(setting));
    let before = page(setting());
    for changed in [
        setting().long("bound"),
        setting().env("DESKLINE_BOUND"),
        setting().default_value("2"),
        setting().help("Another limit."),
        setting().help_heading("Network"),
        setting().value_delimiter(','),
    ] {
        assert_ne!(page(changed), before);
    }
    let added = Command::new("deskline").arg(setting()).arg(setting().id("other").long("other"));
    assert_ne!(settings(&added), before);
}

/// All settings, by their headings.
fn settings(command: &Command) -> String {
    let mut page = String::new();
    let mut heading = None;
    for setting in command.get_arguments() {
        if setting.get_help_heading() != heading {
            heading = setting.get_help_heading();
            write!(page, "\n## {}\n", heading.unwrap_or("Options")).unwrap();
        }
        write_setting(&mut page, setting);
    }
    page
}

fn write_setting(page: &mut String, setting: &Arg) {
    let summary = setting.get_help().map(ToString::to_string).unwrap_or_default();
    // A default that depends on something is described in the text.
    let (summary, described) = match summary.rsplit_once(" [default: ") {
        Some((summary, default)) => (summary.to_owned(), Some(default.trim_end_matches(']').to_owned())),
        None => (summary, None),
    };
    let defaults: Vec<_> = setting.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let is_flag = !matches!(setting.get_action(), ArgAction::Set | ArgAction::Append);
    let default = match (described, defaults.as_slice()) {
        (Some(described), _) => described,
        (None, []) if is_flag => "off".to_owned(),
        (None, []) => "not set".to_owned(),
        (None, defaults) => format!("`{}`", defaults.join(",")),
    };
    let value = match setting.get_value_names() {
        Some([name, ..]) if !is_flag => format!(" <{name}>"),
        _ => String::new(),
    };
    let env = setting.get_env().expect("every setting has a variable").to_string_lossy();
    let several = if setting.get_value_delimiter().is_some() { "; several values, separated by commas" } else { "" };
    let choices: Vec<_> = setting.get_possible_values().iter().map(|value| format!("`{}`", value.get_name())).collect();
    let choices =
        if is_flag || choices.is_empty() { String::new() } else { format!("; one of {}", choices.join(", ")) };
    let long = setting.get_long().expect("every setting has a long flag");
    write!(page, "\n### `--{long}{value}`\n\n`{env}`{several}{choices}. Default: {default}.\n").unwrap();
    let whole = setting.get_long_help().map(ToString::to_string);
    let details = whole.as_deref().and_then(|whole| whole.split_once("\n\n")).map(|(_, details)| details);
    for paragraph in [Some(summary.as_str()), details].into_iter().flatten() {
        page.push('\n');
        for line in format!("{}.", paragraph.trim_end_matches('.')).lines() {
            write_wrapped(page, line);
        }
    }
}

/// Writes a line, broken between words so that none is longer than [`WIDTH`].
fn write_wrapped(page: &mut String, line: &str) {
    let mut written = 0;
    for word in line.split(' ') {
        let length = word.chars().count();
        if written > 0 {
            let fits = written + 1 + length <= WIDTH;
            page.push(if fits { ' ' } else { '\n' });
            written = if fits { written + 1 } else { 0 };
        }
        page.push_str(word);
        written += length;
    }
    page.push('\n');
}
