//! Mail over SMTP.

use std::time::Duration;

use async_trait::async_trait;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use url::Url;

use super::{Mail, MailError, Mailer};
use crate::auth::Secret;

/// Timeout of one SMTP command.
const STEP_TIMEOUT: Duration = Duration::from_secs(10);

/// Timeout of sending one mail.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Hosts that are this machine, to which a password may be sent unencrypted.
const LOCAL_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Sends mail through an SMTP server.
#[derive(Debug)]
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// Why the mail settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// The URL is not one of the two forms.
    #[error("not an SMTP URL such as smtps://user:password@mail.example.org")]
    Url(#[source] lettre::transport::smtp::Error),
    /// The sender is not an address.
    #[error("not a sender such as Support <support@example.org>")]
    From(#[source] lettre::address::AddressError),
}

impl SmtpMailer {
    /// Sends from `from` (`support@example.org` or `Support <support@example.org>`) through the server at `url`.
    ///
    /// `smtps://user:password@host` uses TLS from the start, `smtp://user:password@host` STARTTLS. A password is never sent
    /// unencrypted to another machine: `smtp://` with a password requires STARTTLS. Without one, TLS is used if the server offers
    /// it. `?tls=required` and `?tls=opportunistic` override this. Special characters in user and password are percent-encoded.
    /// Connects at the first mail.
    ///
    /// # Errors
    /// [`SmtpError`]; it never contains the URL, which may hold the password.
    pub fn new(url: &Secret, from: &str) -> Result<Self, SmtpError> {
        let url = with_tls(url.expose());
        let builder = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).map_err(SmtpError::Url)?;
        let from = from.parse().map_err(SmtpError::From)?;
        Ok(Self { transport: builder.timeout(Some(STEP_TIMEOUT)).build(), from })
    }

    fn message(&self, mail: Mail) -> Result<Message, MailError> {
        let invalid = |error: &dyn std::error::Error| MailError::Invalid(error.to_string());
        let to = mail.to.as_str().parse().map_err(|error| invalid(&error))?;
        // Line breaks would end the subject and could inject a header, so they become spaces.
        let subject = mail.subject.replace(char::is_control, " ");
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(mail.text)
            .map_err(|error| invalid(&error))
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: Mail) -> Result<(), MailError> {
        let message = self.message(mail)?;
        match tokio::time::timeout(TIMEOUT, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(MailError::NotAccepted(error.to_string())),
            Err(_) => Err(MailError::NotAccepted("it took too long".to_owned())),
        }
    }
}

/// The URL with an explicit `tls` parameter: lettre uses no TLS for `smtp://` without one.
fn with_tls(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return text.to_owned() };
    if url.scheme() != "smtp" || url.query_pairs().any(|(name, _)| name == "tls") {
        return text.to_owned();
    }
    let has_login = !url.username().is_empty() || url.password().is_some();
    let is_local = url.host_str().is_some_and(|host| LOCAL_HOSTS.contains(&host));
    let tls = if has_login && !is_local { "required" } else { "opportunistic" };
    url.query_pairs_mut().append_pair("tls", tls);
    url.into()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpListener;
    use tokio::task::JoinHandle;

    use super::*;

    /// A mail server that accepts one mail and returns every line it received.
    async fn mail_server() -> (String, JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let served = tokio::spawn(async move {
            let mut stream = BufReader::new(listener.accept().await.unwrap().0);
            stream.write_all(b"220 here\r\n").await.unwrap();
            let (mut lines, mut in_letter) = (Vec::new(), false);
            let mut line = String::new();
            while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                let text = line.trim_end().to_owned();
                line.clear();
                let answer: &[u8] = match text.as_str() {
                    "." => {
                        in_letter = false;
                        b"250 taken\r\n"
                    }
                    _ if in_letter => b"",
                    "DATA" => {
                        in_letter = true;
                        b"354 go on\r\n"
                    }
                    text if text.starts_with("EHLO") => b"250-here\r\n250 AUTH PLAIN\r\n",
                    text if text.starts_with("AUTH") => b"235 welcome\r\n",
                    text if text.contains("nobody@") => b"550 no such person\r\n",
                    _ => b"250 ok\r\n",
                };
                lines.push(text);
                if lines.last().is_some_and(|line| line == "QUIT") || stream.write_all(answer).await.is_err() {
                    break;
                }
            }
            lines
        });
        (host, served)
    }

    fn mail(to: &str) -> Mail {
        Mail {
            to: to.parse().unwrap(),
            subject: "Hi\r\nBcc: eve@x.test".into(),
            text: "Line 1\n.\nhttp://x.test/?code=1".into(),
        }
    }

    #[tokio::test]
    async fn a_mail_arrives_with_its_headers_intact() {
        let (host, served) = mail_server().await;
        let url = Secret::from(format!("smtp://ann:p%40ss@{host}"));
        let mailer = SmtpMailer::new(&url, "Support <support@x.test>").unwrap();
        mailer.send(mail("bob@x.test")).await.unwrap();
        drop(mailer);
        let lines = served.await.unwrap();
        let has = |wanted: &str| lines.iter().any(|line| line == wanted);
        assert!(lines.iter().any(|line| line.starts_with("AUTH PLAIN ")), "{lines:?}");
        assert!(has("MAIL FROM:<support@x.test>") && has("RCPT TO:<bob@x.test>"), "{lines:?}");
        assert!(has("From: Support <support@x.test>") && has("To: bob@x.test"), "{lines:?}");
        assert!(has("Subject: Hi  Bcc: eve@x.test"), "{lines:?}");
        assert!(has("http://x.test/?code=1"), "the link is not broken by an encoding: {lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with("Bcc:")), "{lines:?}");
    }

    #[tokio::test]
    async fn a_rejected_mail_is_an_error() {
        let (host, _served) = mail_server().await;
        let mailer = SmtpMailer::new(&Secret::from(format!("smtp://{host}")), "support@x.test").unwrap();
        assert!(matches!(mailer.send(mail("nobody@x.test")).await, Err(MailError::NotAccepted(_))));
    }

    #[tokio::test]
    async fn an_address_that_would_inject_a_header_is_rejected() {
        let mailer = SmtpMailer::new(&Secret::from("smtp://127.0.0.1:1"), "support@x.test").unwrap();
        let forged = Mail { to: crate::domain::Email::stored("a@b\r\nBcc: c@d".into()), ..mail("bob@x.test") };
        assert!(matches!(mailer.send(forged).await, Err(MailError::Invalid(_))));
    }

    #[test]
    fn invalid_settings_are_rejected_without_showing_the_password() {
        for url in ["", "mail.x.test", "http://ann:hunter2@x.test", "smtp://"] {
            let error = SmtpMailer::new(&url.into(), "support@x.test").unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        assert!(SmtpMailer::new(&"smtps://x.test".into(), "support@x.test\r\nBcc: c@d").is_err());
    }

    #[test]
    fn a_password_for_another_machine_requires_tls() {
        for (url, word) in [
            ("smtp://ann:pw@mail.x.test:587", "?tls=required"),
            ("smtp://ann:pw@localhost.x.test", "?tls=required"),
            ("SMTP://ann:tls=1@x.test", "?tls=required"),
            ("smtp://mail.x.test", "?tls=opportunistic"),
            ("smtp://ann:pw@127.0.0.1:1025", "?tls=opportunistic"),
            ("smtp://mail.x.test?tls=required", "?tls=required"),
            ("smtps://ann:pw@mail.x.test", ".test"),
        ] {
            assert!(with_tls(url).ends_with(word), "{url}");
        }
    }
}
