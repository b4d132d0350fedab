//! Links to attachments, valid for an hour.

use std::time::Duration;

use super::Accounts;
use super::codes::percent_encoded;
use crate::auth::FILE_LINK_PART;
use crate::domain::MessageId;

/// How long a link is valid.
const LIFETIME: Duration = Duration::from_hours(1);

/// The maximum length of the file name in a link, in bytes. It is only there for people to read.
const MAX_NAME: usize = 32;

impl Accounts {
    /// The path under which the file of a message can be fetched for an hour.
    #[must_use]
    pub fn file_path(&self, message: MessageId, name: &str) -> String {
        let expires_at = self.parts.clock.now().after(LIFETIME);
        let (opens, signature) = self.parts.tokens.sign_file_link(message, expires_at);
        // Browsers break a long line after a hyphen, but not after a slash.
        format!("/media/f-{opens}-{signature}-{}", shown(name))
    }

    /// The message that a link names, even if the link has expired: people with access to the message get a new one.
    #[must_use]
    pub fn once_linked_message(&self, link: &str) -> Option<MessageId> {
        let (opens, signature) = parts(link)?;
        self.parts.tokens.read_file_link(opens, signature).map(|(message, _)| message)
    }

    /// The message that a link names, if the link is valid.
    #[must_use]
    pub fn linked_message(&self, link: &str) -> Option<MessageId> {
        let (opens, signature) = parts(link)?;
        self.parts.tokens.verify_file_link(opens, signature, self.parts.clock.now())
    }
}

/// The signed part of a link, and the signature.
fn parts(link: &str) -> Option<(&str, &str)> {
    let (opens, rest) = link.strip_prefix("f-")?.split_at_checked(FILE_LINK_PART)?;
    let (signature, _) = rest.strip_prefix('-')?.split_at_checked(FILE_LINK_PART)?;
    Some((opens, signature))
}

/// A file name for a link. A long one is reduced to its beginning and its extension.
fn shown(name: &str) -> String {
    let whole = percent_encoded(name);
    if whole.len() <= MAX_NAME {
        return whole;
    }
    let (stem, extension) = name.rsplit_once('.').map_or((name, String::new()), |(stem, extension)| {
        let extension = format!(".{}", percent_encoded(extension));
        if extension.len() > MAX_NAME / 2 { (name, String::new()) } else { (stem, extension) }
    });
    let mut shown = String::new();
    for character in stem.chars() {
        let encoded = percent_encoded(character.encode_utf8(&mut [0; 4]));
        if shown.len() + encoded.len() + extension.len() > MAX_NAME {
            break;
        }
        shown.push_str(&encoded);
    }
    shown + &extension
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn a_long_name_keeps_its_beginning_and_its_extension() {
        for (name, is) in [
            ("a b.png", "a%20b.png"),
            ("a-name-that-is-rather-long-for-a-link.jpeg", "a-name-that-is-rather-long-.jpeg"),
            ("einige-Wörter-über-größere-Dateien.pdf", "einige-W%C3%B6rter-%C3%BCber.pdf"),
            ("发票发票发票发票.pdf", "%E5%8F%91%E7%A5%A8%E5%8F%91.pdf"),
            ("no-extension-at-all-but-a-name-of-fifty-characters", "no-extension-at-all-but-a-name-o"),
            ("v1.0 of a text whose dot begins no extension", "v1.0%20of%20a%20text%20whose%20d"),
        ] {
            assert_eq!(shown(name), is);
        }
    }
}
