//! Hostile payloads. They are generated as text, since much of it is JSON that no library would write.

use std::fmt::Write as _;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::json;

const NAMES: [&str; 11] = [
    "authenticate",
    "auth",
    "send-message",
    "edit-message",
    "delete-message",
    "mark-read",
    "received",
    "typing",
    "stop-typing",
    "resume",
    "bogus",
];

const FIELDS: [&str; 23] = [
    "token",
    "idToken",
    "accessToken",
    "catchUp",
    "receiverId",
    "recipientId",
    "receiver",
    "to",
    "toUserId",
    "message",
    "content",
    "text",
    "messageId",
    "clientMessageId",
    "conversationId",
    "senderId",
    "sender",
    "seq",
    "isTyping",
    "conversations",
    "role",
    "__proto__",
    "$where",
];

/// Generates hostile payloads. The same seed generates the same ones.
pub(super) struct Generator {
    pub(super) random: StdRng,
    /// Strings with a meaning for this server: ids and tokens, the desk's id first.
    pub(super) known: Vec<String>,
    pub(super) tokens: Vec<String>,
    /// Ids of messages, of the sender and of others.
    pub(super) messages: Vec<String>,
    /// The id of a person without a conversation, for events that must not reach anybody.
    pub(super) stranger: String,
}

impl Generator {
    pub(super) fn one_in(&mut self, n: u32) -> bool {
        self.random.random_range(0..n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from.choose(&mut self.random).copied().unwrap_or_default()
    }

    fn known(&mut self) -> String {
        self.known.choose(&mut self.random).cloned().unwrap_or_default()
    }

    /// The id of a message, or now and then of something else.
    fn message(&mut self) -> String {
        if self.one_in(8) { self.known() } else { self.messages.choose(&mut self.random).cloned().unwrap_or_default() }
    }

    fn token(&mut self) -> String {
        self.tokens.choose(&mut self.random).cloned().unwrap_or_default()
    }

    /// A JSON text that a browser's `JSON.parse` accepts, which is more than some libraries do.
    fn value(&mut self, depth: usize) -> String {
        match self.random.random_range(0..if depth > 4 { 16 } else { 20 }) {
            0 => "null".into(),
            1 => self.pick(&["true", "false"]).into(),
            2 => self.pick(&["0", "-1", "1", "1.5", "-0.0", "1e999", "-1e999", "18446744073709551615"]).into(),
            3 => self
                .pick(&["9223372036854775807", "9223372036854775808", "1e-400", "123456789012345678901234567890"])
                .into(),
            4..=6 => json!(self.known()).to_string(),
            7 => r#"{"$ne":null}"#.into(),
            8 => self.pick(&[r#"{"$gt":""}"#, r#"{"$where":"1"}"#, r#"{"$regex":".*"}"#, r#"{"$in":[null]}"#]).into(),
            9 => self.pick(&[r#""\ud800""#, r#""\udc00\ud800""#, r#""a\ud83dz""#, r#""\ud83d\ude00""#]).into(),
            10 => self
                .pick(&[r#""\u0000""#, r#""a\u0000b""#, r#""\u2028""#, r#""\ufeff""#, r#"" \t\n ""#, r#""""#])
                .into(),
            11 => self.pick(&[r#""' OR 1=1 --""#, r#""../../etc/passwd""#, r#""<script>""#, r#""%00""#]).into(),
            12 if self.one_in(20) => format!("\"{}\"", "x".repeat(300_000)),
            12 => format!("\"{}\"", self.pick(&["x", "é", "\\u00e9", "😀"]).repeat(self.random.random_range(0..40))),
            13 if self.one_in(8) => nested(if self.one_in(3) { 5_000 } else { 200 }),
            13 => r#"{"_placeholder":true,"num":0}"#.into(),
            14 => r#""hello""#.into(),
            15 => self.pick(&[r#"{"toString":1}"#, r#"{"length":-1}"#, "[[[[]]]]", "{}", "[]"]).into(),
            16..=17 => {
                let items: Vec<String> = (0..self.random.random_range(0..4)).map(|_| self.value(depth + 1)).collect();
                format!("[{}]", items.join(","))
            }
            _ => self.object(depth),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        let mut fields = Vec::new();
        for _ in 0..self.random.random_range(0..5) {
            let name = if self.one_in(8) { self.known() } else { self.pick(&FIELDS).to_owned() };
            fields.push(format!("{}:{}", json!(name), self.value(depth + 1)));
        }
        format!("{{{}}}", fields.join(","))
    }

    /// A realistic argument of an event with something wrong in it.
    fn plausible(&mut self, name: &str) -> String {
        let (id, other) = (json!(self.known()).to_string(), self.value(2));
        let text = if self.one_in(3) { other.clone() } else { r#""hello there""#.into() };
        let stranger = json!(self.stranger).to_string();
        let desk = json!(self.known[0]).to_string();
        match name {
            "authenticate" | "auth" if self.one_in(2) => json!(self.token()).to_string(),
            "authenticate" | "auth" => format!(r#"{{"token":{other}}}"#),
            "send-message" if self.one_in(2) => format!(r#"{{"receiverId":{desk},"message":{text}}}"#),
            "send-message" => format!(r#"{{"receiverId":{id},"message":{text},"clientMessageId":{other}}}"#),
            "mark-read" if self.one_in(3) => format!(r#"{{"senderId":{stranger}}}"#),
            "edit-message" => format!(r#"{{"messageId":{},"message":{text}}}"#, json!(self.message())),
            "delete-message" => format!(r#"{{"messageId":{}}}"#, json!(self.message())),
            "mark-read" | "received" => format!(r#"{{"conversationId":{id},"seq":{other}}}"#),
            "typing" | "stop-typing" if self.one_in(3) => format!(r#"{{"receiverId":{stranger}}}"#),
            "typing" | "stop-typing" => format!(r#"{{"receiverId":{id},"isTyping":{other}}}"#),
            "resume" => format!(r#"{{"conversations":{{{id}:{other}}}}}"#),
            _ => other,
        }
    }

    /// An event's array, and how many binary attachments go with it.
    pub(super) fn event(&mut self) -> (String, usize) {
        let name = self.pick(&NAMES);
        let mut event = format!("[{}", json!(name));
        let count = if self.one_in(5) { self.random.random_range(0..4) } else { 1 };
        for _ in 0..count {
            let argument = if self.one_in(2) { self.plausible(name) } else { self.value(0) };
            write!(event, ",{argument}").unwrap();
        }
        let mut attachments = 0;
        if self.one_in(12) {
            attachments = self.random.random_range(1..4);
            for number in 0..attachments {
                write!(event, r#",{{"_placeholder":true,"num":{number}}}"#).unwrap();
            }
        }
        event.push(']');
        (event, attachments)
    }

    /// A frame that is an unknown event, or not an event at all.
    pub(super) fn noise(&mut self) -> String {
        let (event, _) = self.event();
        let number: i64 = self.random.random();
        match self.random.random_range(0..14) {
            0 => self
                .pick(&[
                    "", "4", "44", "42", "42[", "42{}", "42[]", "42[5]", "42[null]", "9", "x", "😀", "45", "46", "43",
                    "430[]",
                ])
                .into(),
            1 => self
                .pick(&["0", "1", "2", "2probe", "3", "3probe", "5", "6", "40", "41", "40{}", "40/", "40{\"token\":1}"])
                .into(),
            2 => format!("40/admin,{}", self.value(1)),
            3 => format!("42/admin,{event}"),
            4 => format!("42{number}{event}"),
            5 => format!("43{}{event}", number.unsigned_abs()),
            6 => format!("45{}-{event}", number.unsigned_abs()),
            7 => format!("46{}-1{event}", self.random.random_range(0..3)),
            8 => format!("44{event}"),
            9 => format!("4{}{event}", self.random.random_range(0..20)),
            10 => {
                let end = (0..=event.len()).filter(|end| event.is_char_boundary(*end)).nth(event.len() / 2);
                format!("42{}", &event[..end.unwrap_or_default()])
            }
            11 => format!("42{}{event}", "9".repeat(40)),
            12 => format!("42/{},{event}", "é/".repeat(self.random.random_range(0..300))),
            _ => (0..self.random.random_range(1..60)).map(|_| self.random.random::<char>()).collect(),
        }
    }
}

fn nested(depth: usize) -> String {
    format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
}
