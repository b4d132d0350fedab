//! Tests of event parsing, with valid and malformed input.

use super::*;

const ID: &str = "6b0154b6789b7d07c9ad717a";

fn read(text: &str) -> ClientEvent {
    ClientEvent::read(text.as_bytes()).unwrap()
}

fn problem(text: &str) -> Problem {
    match read(text) {
        ClientEvent::SendMessage(Err(problem)) => problem,
        other => panic!("{text} was read as {other:?}"),
    }
}

fn message(fields: &str) -> String {
    format!("[\"send-message\",{{{fields}}}]")
}

#[test]
fn a_token_is_read_in_every_form_that_frontends_use() {
    for argument in [
        "\"abc\"",
        "\"Bearer abc\"",
        "{\"token\":\"abc\"}",
        "{\"idToken\":\"abc\"}",
        "{\"accessToken\":\"Bearer abc\"}",
    ] {
        let ClientEvent::Authenticate(shown) = read(&format!("[\"authenticate\",{argument}]")) else { panic!() };
        assert_eq!(shown.token.as_deref(), Some("abc"), "{argument}");
    }
}

#[test]
fn a_missing_token_and_an_invalid_one_are_distinguished() {
    for (argument, is_shown) in
        [("null", false), ("\"\"", false), ("0", false), ("false", false), ("{}", false), ("7", true), ("[]", true)]
    {
        let ClientEvent::Authenticate(shown) = read(&format!("[\"authenticate\",{argument}]")) else { panic!() };
        assert_eq!(shown.token.is_some(), is_shown, "{argument}");
    }
}

#[test]
fn a_message_is_read_under_every_name_that_frontends_use() {
    for (to, text) in [("receiverId", "message"), ("recipientId", "content"), ("to", "text"), ("toUserId", "message")] {
        let text = message(&format!("\"{to}\":\"{ID}\",\"{text}\":\"hi\",\"senderId\":\"spoofed\""));
        let ClientEvent::SendMessage(Ok(message)) = read(&text) else { panic!("{text}") };
        assert_eq!((message.to, message.text.as_str()), (Addressee::User(ID.parse().unwrap()), "hi"));
    }
}

#[test]
fn a_malformed_message_is_rejected_with_the_errors_of_the_dialect() {
    let required = "Receiver ID and message are required";
    for fields in ["\"message\":\"x\"", &format!("\"receiverId\":\"{ID}\""), &format!("\"to\":\"{ID}\",\"text\":\"\"")]
    {
        assert_eq!(problem(&message(fields)).message, required);
    }
    for arguments in ["", ",null", ",5", ",\"text\"", ",[]"] {
        assert_eq!(problem(&format!("[\"send-message\"{arguments}]")).message, "Failed to send message");
    }
    for text in ["5", "{\"$ne\":null}", "[\"a\"]", "true"] {
        let problem = problem(&message(&format!("\"receiverId\":\"{ID}\",\"message\":{text}")));
        assert_eq!((problem.message, problem.code), ("Failed to send message", ErrorCode::Invalid), "{text}");
    }
    for id in ["\"nope\"", "{\"$ne\":null}", "5"] {
        let problem = problem(&message(&format!("\"receiverId\":{id},\"message\":\"x\"")));
        assert_eq!((problem.message, problem.code), ("Failed to send message", ErrorCode::Invalid), "{id}");
    }
}

#[test]
fn typing_is_read_in_every_form_that_frontends_use() {
    let typing = |text: &str| match read(text) {
        ClientEvent::Typing { to, is_typing } => (to.is_some(), is_typing),
        other => panic!("{other:?}"),
    };
    assert_eq!(typing(&format!("[\"typing\",{{\"receiverId\":\"{ID}\"}}]")), (true, true));
    assert_eq!(typing(&format!("[\"typing\",\"{ID}\"]")), (true, true));
    assert_eq!(typing(&format!("[\"typing\",{{\"to\":\"{ID}\",\"isTyping\":false}}]")), (true, false));
    assert_eq!(typing(&format!("[\"stop-typing\",{{\"receiverId\":\"{ID}\"}}]")), (true, false));
    assert_eq!(typing("[\"typing\"]"), (false, true));
}

#[test]
fn malformed_read_marks_and_resumes_are_rejected() {
    for text in [
        "[\"mark-read\"]",
        "[\"mark-read\",{\"senderId\":{\"$ne\":null}}]",
        "[\"mark-read\",{\"conversationId\":\"x\"}]",
        "[\"mark-read\",{\"conversationId\":\"6b0154b6789b7d07c9ad717a\",\"seq\":-1}]",
    ] {
        assert!(matches!(read(text), ClientEvent::MarkRead(None)), "{text}");
    }
    assert!(matches!(read("[\"resume\",5]"), ClientEvent::Resume(None)));
    assert!(matches!(read("[\"resume\",{\"conversations\":{\"x\":1}}]"), ClientEvent::Resume(None)));
    assert!(matches!(read("[\"resume\"]"), ClientEvent::Resume(Some(from)) if from.is_empty()));
}

#[test]
fn malformed_events_are_rejected() {
    let nested = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    for text in ["", "{}", "[]", "[5]", "[null]", "[\"typing\"", "[\"typing\",1e999]", &nested] {
        assert!(ClientEvent::read(text.as_bytes()).is_err(), "{}", &text[..text.len().min(40)]);
    }
    assert!(matches!(read("[\"user-join\",{\"userId\":1}]"), ClientEvent::Unknown(name) if name == "user-join"));
}
