//! Email over SMTP: registration does not depend on the mail server, and every email is delivered
//! at least once.

mod aiosmtpd;
mod dialogue;
mod sink;

use std::time::Duration;

use tokio::net::TcpListener;
use user_proto::{Register, VerifyEmail};
use user_server::domain::{Clock, Mail, SystemClock};
use user_server::mail::{Sender, SmtpAuthorities, SmtpMailer, SmtpServer, TlsMode};

use crate::support::{PASSWORD, Process, TestServer};
pub use aiosmtpd::Smtpd;
use sink::Script;
pub use sink::{Action, Dialogue, Sink};

pub const SENDER: &str = "no-reply@user.example";
/// Longer than the first delay before an email is retried.
const FIRST_RETRIES: Duration = Duration::from_secs(25);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn email(to: &str) -> Mail {
    Mail {
        id: uuid::Uuid::now_v7(),
        created_at: SystemClock.now(),
        to: to.to_owned(),
        subject: "a subject".to_owned(),
        text: "the code is 123456\n".to_owned(),
        html: "<p>123456</p>\n".to_owned(),
        code: Some("123456".to_owned()),
    }
}

fn mailer(port: u16, mode: TlsMode, ca: Option<&str>, login: Option<(&str, &str)>) -> SmtpMailer {
    let authorities = ca.map(|path| SmtpAuthorities::parse(&std::fs::read(path).unwrap()).unwrap());
    let server = SmtpServer::new("127.0.0.1", port, mode, authorities.as_ref()).unwrap();
    let server = match login {
        Some((user, password)) => server.with_login(user.to_owned(), password.to_owned()),
        None => server,
    };
    SmtpMailer::new(server, Sender::parse(SENDER).unwrap())
}

async fn server_at(port: u16) -> TestServer {
    let port = port.to_string();
    let settings = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", &port),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", SENDER),
    ];
    TestServer::start_with(&settings).await
}

async fn with_sink(script: Script) -> (TestServer, Sink) {
    let sink = Sink::start(script).await;
    (server_at(sink.port).await, sink)
}

#[tokio::test]
async fn a_registration_while_the_mail_server_is_down_gets_its_email_later() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let server = server_at(port).await;
    let client = server.client();
    let registered = server.register(&client, "Ada", "ada@example.org").await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let sink = Sink::start_on(port, vec![]).await;
    server.clock.advance(FIRST_RETRIES);
    let code = sink.emails(1).await[0].email().code().unwrap();
    let verification_id = registered.verification_id;
    client.call(VerifyEmail::new(verification_id, code.as_str().into())).await.unwrap();
    client.close().await;
    server.stop().await;
}

/// Asserts that an email which the mail server received and did not accept is retried: the same
/// email with the same code. `first` is the answer to the first attempt.
async fn assert_retried(first: Action) {
    let (server, sink) = with_sink(vec![(".", first)]).await;
    let client = server.client();
    let registered = server.register(&client, "Ada", "ada@example.org").await;
    sink.emails(1).await;
    sink.set_script(vec![]);
    // The sink records the email before it answers, so the clock may advance before the delay
    // begins.
    let attempts = loop {
        server.clock.advance(FIRST_RETRIES);
        tokio::time::sleep(Duration::from_millis(1200)).await;
        if sink.emails(1).await.len() > 1 {
            break sink.emails(2).await;
        }
    };
    assert_eq!(attempts[0].message_id(), attempts[1].message_id());
    let codes = [attempts[0].email().code().unwrap(), attempts[1].email().code().unwrap()];
    assert_eq!(codes[0], codes[1]);
    let verification_id = registered.verification_id;
    client.call(VerifyEmail::new(verification_id, codes[0].as_str().into())).await.unwrap();
    server.clock.advance(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(sink.emails(2).await.len(), 2, "an accepted email was sent again");
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn an_email_rejected_temporarily_is_retried_with_the_same_code() {
    assert_retried(Action::Reply("451 4.3.0 later")).await;
}

#[tokio::test]
async fn an_email_without_an_answer_is_retried_with_the_same_code() {
    assert_retried(Action::Drop).await;
}

#[tokio::test]
async fn an_email_rejected_permanently_is_not_retried() {
    let (server, sink) = with_sink(vec![("RCPT", Action::Reply("550 5.1.1 unknown"))]).await;
    let client = server.client();
    server.register(&client, "Ada", "ada@example.org").await;
    sink.wait(1, |dialogue| dialogue.sent("QUIT")).await;
    sink.set_script(vec![]);
    for _ in 0..3 {
        server.clock.advance(Duration::from_secs(1800));
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    assert_eq!(sink.dialogues().len(), 1, "{:?}", sink.dialogues());
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn an_email_is_given_up_after_a_day() {
    let (server, sink) = with_sink(vec![("RCPT", Action::Reply("450 4.2.0 later"))]).await;
    let client = server.client();
    server.register(&client, "Ada", "ada@example.org").await;
    sink.wait(1, |dialogue| dialogue.sent("QUIT")).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    server.clock.advance(DAY);
    sink.wait(2, |dialogue| dialogue.sent("QUIT")).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    sink.set_script(vec![]);
    server.clock.advance(DAY);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(sink.dialogues().len(), 2, "{:?}", sink.dialogues());
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_stalled_email_delays_no_other_and_no_email_is_sent_twice() {
    let slowly = Action::ReplyAfter(Duration::from_millis(100), "250 accepted");
    let (server, sink) = with_sink(vec![("RCPT TO:<slow@", Action::Stall), (".", slowly)]).await;
    let client = server.client();
    server.register(&client, "slow", "slow@example.org").await;
    sink.wait(1, |dialogue| dialogue.sent("RCPT TO:<slow@")).await;
    for number in 0..12 {
        server
            .register(&client, &format!("user{number}"), &format!("user{number}@example.org"))
            .await;
    }
    sink.emails(12).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut sent: Vec<String> =
        sink.emails(12).await.iter().map(|dialogue| dialogue.email().to).collect();
    assert_eq!(sent.len(), 12, "{sent:?}");
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), 12, "{sent:?}");
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn the_destination_of_emails_and_delivery_errors_are_reported() {
    let sink =
        Sink::start(vec![("RCPT", Action::Reply("450 4.2.0 <ada@example.org> is busy"))]).await;
    let port = sink.port.to_string();
    let server = Process::start(&[
        ("SMTP_HOST", "localhost"),
        ("SMTP_PORT", &port),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", SENDER),
        ("LOG", "trace"),
    ]);
    assert!(
        server.printed.contains(&format!("emails    smtp://localhost:{port} (no TLS)")),
        "{}",
        server.printed
    );
    let client = server.client();
    let request = Register {
        username: "Ada".into(),
        email: "ada@example.org".into(),
        password: PASSWORD.into(),
    };
    client.call(request).await.unwrap();
    sink.wait(1, |dialogue| dialogue.sent("QUIT")).await;
    sink.set_script(vec![]);
    let code = sink.emails(1).await[0].email().code().unwrap();
    let log = server.log();
    assert!(log.contains("RCPT TO: refused with 450 4.2.0") && log.contains("SMTP_USER"), "{log}");
    for hidden in ["ada@", "Ada", code.as_str()] {
        assert!(!log.contains(hidden), "{hidden}: {log}");
    }
    client.close().await;
}
