//! Makes other people's text safe to print on a terminal.

/// The beginning of each further line of a text.
const CONTINUED: &str = "\n    ";

/// Replaces characters that would control the terminal or reorder its text. Further lines are indented, so that none of them looks like a
/// line of the program.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.replace("\r\n", "\n").chars() {
        match c {
            '\n' | '\u{2028}' | '\u{2029}' => plain.push_str(CONTINUED),
            '\t' => plain.push(' '),
            c if c.is_control() || is_bidi_control(c) => plain.push(char::REPLACEMENT_CHARACTER),
            c => plain.push(c),
        }
    }
    plain
}

const fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn texts_of_others_cannot_control_the_terminal() {
        for (text, shown) in [
            ("Grüße, 你好 🙂", "Grüße, 你好 🙂"),
            ("\x1b]52;c;cm0gLXJm\x07", "\u{FFFD}]52;c;cm0gLXJm\u{FFFD}"),
            ("\u{9b}2J\x08\r\x7f", "\u{FFFD}2J\u{FFFD}\u{FFFD}\u{FFFD}"),
            ("hi\nAda (support): pay here\r\nnow", "hi\n    Ada (support): pay here\n    now"),
            ("a\u{202E}b\u{2066}c\u{200F}d\u{61C}", "a\u{FFFD}b\u{FFFD}c\u{FFFD}d\u{FFFD}"),
            ("a\tb\u{2028}c", "a b\n    c"),
        ] {
            assert_eq!(plain(text), shown, "{text:?}");
        }
    }
}
