//! The dialogue for one email, with a server that fails at each of its steps.

use std::time::{Duration, Instant};

use user_server::domain::{Mailer, SendError};
use user_server::mail::{Sender, SmtpMailer, SmtpServer, SmtpTimeouts, TlsMode};

use super::sink::{Action, Script, Sink};
use super::{SENDER, email, mailer};

const POINTS: [&str; 6] = ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."];

async fn send(script: Script) -> (Result<(), SendError>, Sink) {
    let sink = Sink::start(script).await;
    let mailer = mailer(sink.port, TlsMode::None, None, None);
    let short = Duration::from_millis(300);
    let mailer =
        mailer.with_timeouts(SmtpTimeouts { step: short, message: short, total: short * 4 });
    let sent = mailer.send(&email("bob@example.org")).await;
    (sent, sink)
}

fn error_text(sent: Result<(), SendError>) -> String {
    let text = sent.unwrap_err().to_string();
    assert!(!text.contains("bob") && !text.contains("123456"), "{text}");
    text
}

#[tokio::test]
async fn an_email_is_sent_with_the_minimum_of_commands() {
    let (sent, sink) = send(vec![]).await;
    sent.unwrap();
    let dialogue = &sink.emails(1).await[0];
    assert_eq!(
        dialogue.lines[1..4],
        ["MAIL FROM:<no-reply@user.example>", "RCPT TO:<bob@example.org>", "DATA"]
    );
    assert_eq!(dialogue.email().to, "bob@example.org");
    assert!(
        dialogue.message_id().ends_with("@user.example>\r")
            || dialogue.message_id().ends_with("@user.example>")
    );
    sink.wait(1, |dialogue| dialogue.sent("QUIT")).await;
}

#[tokio::test]
async fn a_stalled_server_is_abandoned_after_the_timeout_of_one_step() {
    for point in POINTS {
        let began = Instant::now();
        let (sent, _sink) = send(vec![(point, Action::Stall)]).await;
        assert!(matches!(sent, Err(SendError::Service(_))), "{point}: {sent:?}");
        assert!(began.elapsed() < Duration::from_millis(1500), "{point}: {:?}", began.elapsed());
        assert!(error_text(sent).contains("no answer within 300ms"), "{point}");
    }
}

#[tokio::test]
async fn a_server_slow_at_every_step_is_abandoned_after_the_total_timeout() {
    let slow = |answer| Action::ReplyAfter(Duration::from_millis(250), answer);
    let script = vec![
        ("GREETING", Action::Reply("220 x")),
        ("DATA", slow("354 x")),
        (".", slow("250 x")),
        ("", slow("250 x")),
    ];
    let (sent, _sink) = send(script).await;
    assert!(error_text(sent).contains("not accepted within 1.2s"));
}

#[tokio::test]
async fn a_dropped_connection_is_a_temporary_error() {
    for point in POINTS {
        let (sent, _sink) = send(vec![(point, Action::Drop)]).await;
        assert!(matches!(sent, Err(SendError::Service(_))), "{point}: {sent:?}");
        error_text(sent);
    }
}

/// The party that is at fault.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    Recipient,
    Unexplained,
    Service,
    Undecided,
}

fn fault(sent: &Result<(), SendError>) -> Fault {
    match sent.as_ref().unwrap_err() {
        SendError::Recipient(_) => Fault::Recipient,
        SendError::Unexplained(_) => Fault::Unexplained,
        SendError::Service(_) => Fault::Service,
        SendError::Undecided(_) => Fault::Undecided,
    }
}

#[tokio::test]
async fn each_reply_is_classified_by_the_party_at_fault() {
    use Fault::{Recipient, Service, Undecided, Unexplained};
    for (point, answer, expected) in [
        // A refusal of the connection, of this client or of its sender concerns every email.
        ("GREETING", "554 no service", Service),
        ("GREETING", "421 too many connections", Service),
        ("EHLO", "550 who are you", Service),
        ("EHLO", "504 5.5.2 need a fully-qualified hostname", Service),
        ("MAIL", "550 5.1.8 unknown sender", Service),
        ("MAIL", "530 5.7.0 log in first", Service),
        ("MAIL", "553 5.7.1 sender not owned by user", Service),
        ("MAIL", "452 4.3.1 disk full", Service),
        ("MAIL", "451 4.7.1 quota exceeded", Service),
        // Many servers judge HELO and the sender only when they are given a recipient.
        ("RCPT", "504 5.5.2 <localhost>: HELO rejected", Service),
        ("RCPT", "450 4.5.2 <localhost>: HELO rejected", Service),
        ("RCPT", "550 5.1.7 sender has no valid address", Service),
        ("RCPT", "450 4.1.8 sender address: domain not found", Service),
        ("RCPT", "530 5.7.0 log in first", Service),
        ("RCPT", "421 going down", Service),
        ("RCPT", "452 4.3.1 disk full", Service),
        ("DATA", "421 4.7.0 try later", Service),
        (".", "452 4.3.1 disk full", Service),
        ("RCPT", "550 5.1.1 <bob@example.org> unknown", Recipient),
        ("RCPT", "550 5.1.2 no such domain", Recipient),
        ("RCPT", "553 5.1.3 bad syntax", Recipient),
        ("RCPT", "551 5.1.6 moved", Recipient),
        ("RCPT", "550 5.1.10 null MX", Recipient),
        ("RCPT", "550 5.2.1 disabled", Recipient),
        ("RCPT", "550 no such user bob", Unexplained),
        ("RCPT", "550-5.7.1.x\r\n550 no such user bob", Unexplained),
        ("RCPT", "550 5.2.2 mailbox full", Undecided),
        ("RCPT", "550 5.4.1 recipient refused: access denied", Undecided),
        ("RCPT", "554 5.7.1 <bob@example.org>: Relay access denied", Undecided),
        ("RCPT", "554 5.1.1 not with this status", Undecided),
        ("RCPT", "553 no", Undecided),
        ("RCPT", "450 4.2.0 <bob@example.org> greylisted", Undecided),
        ("RCPT", "451 4.7.1 greylisted", Undecided),
        ("DATA", "554 no valid recipients", Undecided),
        ("DATA", "451 later", Undecided),
        (".", "550 5.1.1 unknown", Undecided),
        (".", "552 5.3.4 too big", Undecided),
        (".", "554 5.7.1 spam to bob: 123456", Undecided),
        // What is not SMTP says nothing about the recipient.
        ("RCPT", "bob is not here", Service),
        (".", "bob 123456", Service),
    ] {
        let (sent, _sink) = send(vec![(point, Action::Reply(answer))]).await;
        assert_eq!(fault(&sent), expected, "{point} {answer}: {sent:?}");
        error_text(sent);
    }
}

#[tokio::test]
async fn helo_is_used_where_ehlo_is_unknown() {
    for answer in ["502 unknown", "500 5.5.1 unknown"] {
        let (sent, sink) = send(vec![("EHLO", Action::Reply(answer))]).await;
        sent.unwrap();
        let dialogues = sink.dialogues();
        assert!(dialogues[0].lines[0].starts_with("EHLO "), "{dialogues:?}");
        let name = dialogues[0].lines[0].strip_prefix("EHLO ").unwrap();
        assert_eq!(dialogues[1].lines[0], format!("HELO {name}"));
        assert!(dialogues[1].email.is_some(), "{dialogues:?}");
    }
    let refuses_both =
        vec![("EHLO", Action::Reply("502 unknown")), ("HELO", Action::Reply("550 5.7.1 no"))];
    let (sent, _sink) = send(refuses_both).await;
    assert_eq!(fault(&sent), Fault::Service);
    assert!(error_text(sent).contains("refused with 550"));
    // Any other refusal concerns the name, which HELO would repeat.
    let (sent, sink) = send(vec![("EHLO", Action::Reply("504 5.5.2 your name"))]).await;
    assert_eq!((fault(&sent), sink.dialogues().len()), (Fault::Service, 1));
}

#[tokio::test]
async fn the_name_in_ehlo_has_a_domain() {
    let (sent, sink) = send(vec![]).await;
    sent.unwrap();
    let greeting = sink.dialogues()[0].lines[0].clone();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let expected = if host.contains('.') { host.trim() } else { "user.example" };
    assert_eq!(greeting, format!("EHLO {expected}"));

    let server = SmtpServer::new("127.0.0.1", sink.port, TlsMode::None, None).unwrap();
    for (name, greeting) in [
        ("users.domain.example", "EHLO users.domain.example"),
        ("192.0.2.7", "EHLO [192.0.2.7]"),
        ("2001:db8::7", "EHLO [IPv6:2001:db8::7]"),
    ] {
        let server = server.clone().with_helo(name).unwrap();
        SmtpMailer::new(server, Sender::parse(SENDER).unwrap())
            .send(&email("bob@example.org"))
            .await
            .unwrap();
        assert_eq!(sink.dialogues().last().unwrap().lines[0], greeting);
    }
    for name in ["localhost", "a b.example", "a.example\r\nQUIT", ""] {
        assert!(server.clone().with_helo(name).is_none(), "{name}");
    }
}

#[tokio::test]
async fn a_check_states_the_sender_and_a_recipient_but_sends_nothing() {
    for (point, answer, is_good) in [
        ("QUIT", "221 bye", true),
        ("MAIL", "550 5.1.8 unknown sender", false),
        ("RCPT", "504 5.5.2 HELO rejected", false),
        ("RCPT", "554 5.7.1 Relay access denied", false),
        // Nobody has to receive emails at the sender's address.
        ("RCPT", "550 5.1.1 no such user", true),
        ("RCPT", "550 no such user", true),
    ] {
        let sink = Sink::start(vec![(point, Action::Reply(answer))]).await;
        let probed = mailer(sink.port, TlsMode::None, None, None).probe().await;
        assert_eq!(probed.is_ok(), is_good, "{point} {answer}: {probed:?}");
        assert!(!sink.dialogues()[0].sent("DATA"));
        assert!(sink.dialogues()[0].sent("QUIT"));
    }
}

#[tokio::test]
async fn a_server_that_fails_at_quit_has_accepted_the_email() {
    for action in [Action::Stall, Action::Drop, Action::Reply("421 no")] {
        send(vec![("QUIT", action)]).await.0.unwrap();
    }
}

#[tokio::test]
async fn an_invalid_address_is_never_sent_to() {
    let sink = Sink::start(vec![]).await;
    let mailer = mailer(sink.port, TlsMode::None, None, None);
    let sent = mailer.send(&email("bob@example.org>\r\nRCPT TO:<eve@example.org")).await;
    assert!(matches!(sent, Err(SendError::Recipient(_))), "{sent:?}");
    assert!(sink.dialogues().is_empty());
}

#[tokio::test]
async fn without_tls_no_command_and_no_password_is_sent() {
    let offers = vec![("EHLO", Action::Reply("250-sink\r\n250 AUTH PLAIN LOGIN"))];
    let sink = Sink::start(offers).await;
    let login = Some(("ada", "engine"));
    let sent =
        mailer(sink.port, TlsMode::StartTls, None, login).send(&email("bob@example.org")).await;
    assert!(error_text(sent).contains("STARTTLS: the server does not offer it"));
    let sent = mailer(sink.port, TlsMode::None, None, login).send(&email("bob@example.org")).await;
    assert!(error_text(sent).contains("a password is never sent over a connection without TLS"));
    for dialogue in sink.dialogues() {
        assert_eq!(dialogue.lines.len(), 1, "{dialogue:?}");
    }
}

#[tokio::test]
async fn a_server_with_broken_starttls_gets_no_email() {
    for answer in ["220 go on", "454 not now"] {
        let sink = Sink::start(vec![
            ("EHLO", Action::Reply("250-sink\r\n250 STARTTLS")),
            ("STARTTLS", Action::Reply(answer)),
        ])
        .await;
        let mailer = mailer(sink.port, TlsMode::StartTls, None, None);
        let short = Duration::from_millis(300);
        let mailer =
            mailer.with_timeouts(SmtpTimeouts { step: short, message: short, total: short * 4 });
        assert!(error_text(mailer.send(&email("bob@example.org")).await).contains("STARTTLS"));
        assert!(!sink.dialogues()[0].sent("MAIL"));
    }
}
