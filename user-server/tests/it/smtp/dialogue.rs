//! The dialogue for one email, with a server that fails at each of its steps.

use std::time::{Duration, Instant};

use user_server::domain::{Mailer, SendError};
use user_server::mail::{SmtpTimeouts, TlsMode};

use super::sink::{Action, Script, Sink};
use super::{email, mailer};

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
        assert!(matches!(sent, Err(SendError::Temporary(_))), "{point}: {sent:?}");
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
        assert!(matches!(sent, Err(SendError::Temporary(_))), "{point}: {sent:?}");
        error_text(sent);
    }
}

#[tokio::test]
async fn only_a_rejection_of_the_email_itself_is_permanent() {
    for (point, answer, is_permanent) in [
        ("GREETING", "554 no service", false),
        ("EHLO", "550 who are you", false),
        ("MAIL", "550 5.1.8 unknown sender", false),
        ("MAIL", "530 5.7.0 log in first", false),
        ("RCPT", "550 5.1.1 <bob@example.org> unknown", true),
        ("RCPT", "550 no such user bob", true),
        ("RCPT", "554 5.7.1 <bob@example.org>: Relay access denied", false),
        ("RCPT", "530 5.7.0 log in first", false),
        ("RCPT", "450 4.2.0 <bob@example.org> greylisted", false),
        ("RCPT", "421 going down", false),
        ("DATA", "554 no valid recipients", true),
        ("DATA", "451 later", false),
        (".", "552 5.3.4 too big", true),
        (".", "554 5.7.1 spam to bob: 123456", true),
        (".", "452 4.3.1 disk full", false),
        ("RCPT", "bob is not here", false),
        (".", "bob 123456", false),
    ] {
        let (sent, _sink) = send(vec![(point, Action::Reply(answer))]).await;
        assert_eq!(
            matches!(sent, Err(SendError::Permanent(_))),
            is_permanent,
            "{point} {answer}: {sent:?}"
        );
        error_text(sent);
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
    assert!(matches!(sent, Err(SendError::Permanent(_))), "{sent:?}");
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
