//! The dialogue for one mail, with a server that fails it at each step in turn.

use std::time::{Duration, Instant};

use user_server::domain::{Mailer, SendError};
use user_server::mail::{SmtpTimeouts, TlsMode};

use super::sink::{ChangeContext, Script, Sink};
use super::{mail, mailer};

const POINTS: [&str; 6] = ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."];

async fn send(script: Script) -> (Result<(), SendError>, Sink) {
    let sink = Sink::start(script).await;
    let mailer = mailer(sink.port, TlsMode::None, None, None);
    let short = Duration::from_millis(300);
    let mailer =
        mailer.with_timeouts(SmtpTimeouts { step: short, message: short, total: short * 4 });
    let sent = mailer.send(&mail("bob@example.org")).await;
    (sent, sink)
}

fn why(sent: Result<(), SendError>) -> String {
    let text = sent.unwrap_err().to_string();
    assert!(!text.contains("bob") && !text.contains("123456"), "{text}");
    text
}

#[tokio::test]
async fn a_mail_goes_with_the_least_of_words() {
    let (sent, sink) = send(vec![]).await;
    sent.unwrap();
    let dialogue = &sink.mails(1).await[0];
    assert_eq!(
        dialogue.lines[1..4],
        ["MAIL FROM:<no-reply@user.example>", "RCPT TO:<bob@example.org>", "DATA"]
    );
    assert_eq!(dialogue.mail().to, "bob@example.org");
    assert!(
        dialogue.message_id().ends_with("@user.example>\r")
            || dialogue.message_id().ends_with("@user.example>")
    );
    sink.wait(1, |dialogue| dialogue.said("QUIT")).await;
}

#[tokio::test]
async fn a_server_that_stalls_costs_a_step_and_no_more() {
    for point in POINTS {
        let began = Instant::now();
        let (sent, _sink) = send(vec![(point, ChangeContext::Stall)]).await;
        assert!(matches!(sent, Err(SendError::Temporary(_))), "{point}: {sent:?}");
        assert!(began.elapsed() < Duration::from_millis(1500), "{point}: {:?}", began.elapsed());
        assert!(why(sent).contains("no answer within 300ms"), "{point}");
    }
}

#[tokio::test]
async fn a_server_that_is_slow_at_every_step_is_left_in_the_end() {
    let slow = |answer| ChangeContext::SayAfter(Duration::from_millis(250), answer);
    let script = vec![
        ("GREETING", ChangeContext::Say("220 x")),
        ("DATA", slow("354 x")),
        (".", slow("250 x")),
        ("", slow("250 x")),
    ];
    let (sent, _sink) = send(script).await;
    assert!(why(sent).contains("not accepted within 1.2s"));
}

#[tokio::test]
async fn a_server_that_drops_the_connection_is_asked_again() {
    for point in POINTS {
        let (sent, _sink) = send(vec![(point, ChangeContext::Drop)]).await;
        assert!(matches!(sent, Err(SendError::Temporary(_))), "{point}: {sent:?}");
        why(sent);
    }
}

#[tokio::test]
async fn only_a_refusal_of_the_mail_itself_is_final() {
    for (point, answer, is_final) in [
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
        let (sent, _sink) = send(vec![(point, ChangeContext::Say(answer))]).await;
        assert_eq!(
            matches!(sent, Err(SendError::Permanent(_))),
            is_final,
            "{point} {answer}: {sent:?}"
        );
        why(sent);
    }
}

#[tokio::test]
async fn a_server_that_does_not_answer_quit_has_the_email() {
    for act in [ChangeContext::Stall, ChangeContext::Drop, ChangeContext::Say("421 no")] {
        send(vec![("QUIT", act)]).await.0.unwrap();
    }
}

#[tokio::test]
async fn an_address_that_is_none_is_never_sent_to() {
    let sink = Sink::start(vec![]).await;
    let mailer = mailer(sink.port, TlsMode::None, None, None);
    let sent = mailer.send(&mail("bob@example.org>\r\nRCPT TO:<eve@example.org")).await;
    assert!(matches!(sent, Err(SendError::Permanent(_))), "{sent:?}");
    assert!(sink.dialogues().is_empty());
}

#[tokio::test]
async fn without_tls_nothing_is_said_and_no_password_shown() {
    let offers = vec![("EHLO", ChangeContext::Say("250-sink\r\n250 AUTH PLAIN LOGIN"))];
    let sink = Sink::start(offers).await;
    let login = Some(("ada", "engine"));
    let sent =
        mailer(sink.port, TlsMode::StartTls, None, login).send(&mail("bob@example.org")).await;
    assert!(why(sent).contains("STARTTLS: the server does not offer it"));
    let sent = mailer(sink.port, TlsMode::None, None, login).send(&mail("bob@example.org")).await;
    assert!(why(sent).contains("a password is never sent over a connection without TLS"));
    for dialogue in sink.dialogues() {
        assert_eq!(dialogue.lines.len(), 1, "{dialogue:?}");
    }
}

#[tokio::test]
async fn a_server_that_offers_tls_and_has_none_gets_no_mail() {
    for answer in ["220 go on", "454 not now"] {
        let sink = Sink::start(vec![
            ("EHLO", ChangeContext::Say("250-sink\r\n250 STARTTLS")),
            ("STARTTLS", ChangeContext::Say(answer)),
        ])
        .await;
        let mailer = mailer(sink.port, TlsMode::StartTls, None, None);
        let short = Duration::from_millis(300);
        let mailer =
            mailer.with_timeouts(SmtpTimeouts { step: short, message: short, total: short * 4 });
        assert!(why(mailer.send(&mail("bob@example.org")).await).contains("STARTTLS"));
        assert!(!sink.dialogues()[0].said("MAIL"));
    }
}
