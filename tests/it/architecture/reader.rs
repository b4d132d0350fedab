//! A tokenizer, not a parser: comments, strings and code that is compiled for tests only are ignored, `use` trees are
//! expanded, and `super::` and `self::` are resolved, so that `use crate::{a::b, c}` and `crate::a::b::f()` give equal
//! paths.

use super::Place;

/// All paths that a source names outside of code that is compiled for tests only.
pub(super) fn paths(place: &Place, source: &str) -> Vec<String> {
    let tokens = without_tests(&tokens(source));
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts = is_name(&tokens[at]) && (at == 0 || tokens[at - 1] != "::");
        // `use<>` in a return type is not an import.
        let names = tokens[at] == "use" && tokens.get(at + 1).is_none_or(|next| next != "<");
        if names {
            at = spread(&tokens, at + 1, &mut Vec::new(), &mut found);
        } else if starts && tokens.get(at + 1).is_some_and(|next| next == "::") {
            let mut path = vec![tokens[at].clone()];
            at += 1;
            while tokens.get(at).is_some_and(|token| token == "::") && tokens.get(at + 1).is_some_and(|t| is_name(t)) {
                path.push(tokens[at + 1].clone());
                at += 2;
            }
            found.push(path);
        } else {
            at += 1;
        }
    }
    found.into_iter().map(|path| resolved(place, &path)).collect()
}

/// Expands one `use` tree. Returns where it ends.
fn spread(tokens: &[String], mut at: usize, prefix: &mut Vec<String>, found: &mut Vec<Vec<String>>) -> usize {
    let depth = prefix.len();
    let mut ends_in_group = false;
    while let Some(token) = tokens.get(at) {
        match token.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token != "}") {
                    at = spread(tokens, at, prefix, found);
                    if tokens.get(at).is_some_and(|token| token == ",") {
                        at += 1;
                    }
                }
                at += 1;
                ends_in_group = true;
            }
            "as" => at += 2,
            "," | "}" | ";" => break,
            name => {
                prefix.push(name.to_owned());
                at += 1;
            }
        }
    }
    if !ends_in_group && prefix.len() > depth {
        let path = prefix.iter().filter(|name| *name != "*");
        found.push(path.cloned().collect());
    }
    prefix.truncate(depth);
    at
}

/// The path from the crate's root, or unchanged if it begins elsewhere.
fn resolved(place: &Place, path: &[String]) -> String {
    let mut names = path.iter().map(String::as_str).peekable();
    let mut base: Vec<&str> = Vec::new();
    match names.peek().copied() {
        Some("crate" | "deskline") => {
            names.next();
            base.push("crate");
        }
        Some("self" | "super") => {
            base.push("crate");
            base.extend(place.iter().map(String::as_str));
            while let Some(name) = names.next_if(|name| *name == "self" || *name == "super") {
                if name == "super" && base.len() > 1 {
                    base.pop();
                }
            }
        }
        Some(_) | None => {}
    }
    base.extend(names.filter(|name| *name != "self"));
    base.join("::")
}

/// Modules in separate files that a source declares for tests only.
pub(super) fn test_modules(place: &Place, source: &str) -> Vec<Place> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if let Some(end) = test_mark(&tokens, at) {
            let mut rest = tokens[end..].iter().map(String::as_str).skip_while(|token| *token != "mod").skip(1);
            let declares = tokens[end..].iter().take_while(|token| *token != "{" && *token != ";").any(|t| t == "mod");
            if let (true, Some(name), Some(";")) = (declares, rest.next(), rest.next()) {
                found.push(place.iter().cloned().chain([name.to_owned()]).collect());
                // `#[path]` gives the file another name; ours still end with the module's name.
                let file = place.last().map(|last| format!("{last}_{name}"));
                found.extend(file.map(|file| {
                    let folder = &place[..place.len() - 1];
                    folder.iter().cloned().chain([file]).collect::<Place>()
                }));
            }
        }
    }
    found
}

/// The end of `#[cfg(test)]`, if it begins here.
fn test_mark(tokens: &[String], at: usize) -> Option<usize> {
    let mark = ["#", "[", "cfg", "(", "test", ")", "]"];
    let here = tokens.get(at..at + mark.len())?;
    here.iter().zip(mark).all(|(have, want)| have == want).then_some(at + mark.len())
}

/// Removes every item that is marked `#[cfg(test)]`.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let Some(end) = test_mark(tokens, at) else {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        };
        at = end;
        let mut depth = 0_usize;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth = depth.saturating_sub(1),
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

/// Names, `::` and single characters, without comments, strings and lifetimes.
fn tokens(source: &str) -> Vec<String> {
    let chars: Vec<char> = source.chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    let ahead = |at: usize, text: &str| text.chars().enumerate().all(|(i, c)| chars.get(at + i) == Some(&c));
    let first =
        |at: usize, is_it: &dyn Fn(usize) -> bool| (at..chars.len()).find(|at| is_it(*at)).unwrap_or(chars.len());
    while at < chars.len() {
        let c = chars[at];
        if ahead(at, "//") {
            at = first(at, &|at| chars[at] == '\n');
        } else if ahead(at, "/*") {
            at = first(at, &|at| ahead(at, "*/")) + 2;
        } else if c == '"' || ahead(at, "b\"") {
            at += if c == '"' { 1 } else { 2 };
            while at < chars.len() && chars[at] != '"' {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if let Some(hashes) = raw_text(&chars[at..]) {
            let end = format!("\"{}", "#".repeat(hashes));
            let text = first(at, &|at| chars[at] == '"') + 1;
            at = first(text, &|at| ahead(at, &end)) + end.len();
        } else if c == '\'' {
            // A character literal ends with a quote; a lifetime does not.
            if chars.get(at + 1) == Some(&'\\') {
                at = first(at + 3, &|at| chars[at] == '\'') + 1;
            } else {
                at += if chars.get(at + 2) == Some(&'\'') { 3 } else { 1 };
            }
        } else if is_part_of_a_name(c) {
            let end = first(at, &|at| !is_part_of_a_name(chars[at]));
            found.push(chars[at..end].iter().collect());
            at = end;
        } else if ahead(at, "::") {
            found.push("::".into());
            at += 2;
        } else {
            if !c.is_whitespace() {
                found.push(c.to_string());
            }
            at += 1;
        }
    }
    found
}

/// The number of `#` of the raw string that begins here.
fn raw_text(chars: &[char]) -> Option<usize> {
    let (['r', after @ ..] | ['b', 'r', after @ ..]) = chars else { return None };
    let hashes = after.iter().take_while(|c| **c == '#').count();
    (after.get(hashes) == Some(&'"')).then_some(hashes)
}

fn is_part_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}
