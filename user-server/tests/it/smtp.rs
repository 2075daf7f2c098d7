//! Mails by SMTP: registration goes on whatever the mail server does, and every mail arrives at
//! least once.

mod dialogue;
mod real;
mod sink;

use std::time::Duration;

use tokio::net::TcpListener;
use user_proto::{Register, VerifyEmail};
use user_server::domain::{Clock, Mail, SystemClock};
use user_server::mail::{Sender, SmtpAuthorities, SmtpMailer, SmtpServer, TlsMode};

use crate::support::{PASSWORD, Process, TestServer};
pub use real::Smtpd;
use sink::Script;
pub use sink::{ChangeContext, Dialogue, Sink};

pub const SENDER: &str = "no-reply@user.example";
/// Longer than the first wait before a mail is tried again.
const FIRST_RETRIES: Duration = Duration::from_secs(25);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn mail(to: &str) -> Mail {
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
async fn a_registration_made_while_the_mail_server_is_down_gets_its_mail_after() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let server = server_at(port).await;
    let client = server.client();
    let registered = server.register(&client, "Ada", "ada@example.org").await;
    tokio::time::sleep(Duration::from_millis(500)).await;

    let sink = Sink::start_on(port, vec![]).await;
    server.clock.advance(FIRST_RETRIES);
    let code = sink.mails(1).await[0].mail().code().unwrap();
    let verification_id = registered.verification_id;
    client.call(VerifyEmail::new(verification_id, code.as_str().into())).await.unwrap();
    client.close().await;
    server.stop().await;
}

/// A mail that the server heard and did not take, in this way, comes again: the same mail with the
/// same code.
async fn comes_again(first: ChangeContext) {
    let (server, sink) = with_sink(vec![(".", first)]).await;
    let client = server.client();
    let registered = server.register(&client, "Ada", "ada@example.org").await;
    sink.mails(1).await;
    sink.follow(vec![]);
    // The sink is heard before it answers, so the clock may be turned before the wait begins.
    let again = loop {
        server.clock.advance(FIRST_RETRIES);
        tokio::time::sleep(Duration::from_millis(1200)).await;
        if sink.mails(1).await.len() > 1 {
            break sink.mails(2).await;
        }
    };
    assert_eq!(again[0].message_id(), again[1].message_id());
    let codes = [again[0].mail().code().unwrap(), again[1].mail().code().unwrap()];
    assert_eq!(codes[0], codes[1]);
    let verification_id = registered.verification_id;
    client.call(VerifyEmail::new(verification_id, codes[0].as_str().into())).await.unwrap();
    server.clock.advance(Duration::from_secs(3600));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(sink.mails(2).await.len(), 2, "a mail that was taken came again");
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_mail_refused_for_now_comes_again_with_the_same_code() {
    comes_again(ChangeContext::Say("451 4.3.0 later")).await;
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_comes_again_with_the_same_code() {
    comes_again(ChangeContext::Drop).await;
}

#[tokio::test]
async fn a_mail_refused_for_good_does_not_come_again() {
    let (server, sink) = with_sink(vec![("RCPT", ChangeContext::Say("550 5.1.1 unknown"))]).await;
    let client = server.client();
    server.register(&client, "Ada", "ada@example.org").await;
    sink.wait(1, |dialogue| dialogue.said("QUIT")).await;
    sink.follow(vec![]);
    for _ in 0..3 {
        server.clock.advance(Duration::from_secs(1800));
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    assert_eq!(sink.dialogues().len(), 1, "{:?}", sink.dialogues());
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn after_a_day_a_mail_is_given_up() {
    let (server, sink) = with_sink(vec![("RCPT", ChangeContext::Say("450 4.2.0 later"))]).await;
    let client = server.client();
    server.register(&client, "Ada", "ada@example.org").await;
    sink.wait(1, |dialogue| dialogue.said("QUIT")).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    server.clock.advance(DAY);
    sink.wait(2, |dialogue| dialogue.said("QUIT")).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    sink.follow(vec![]);
    server.clock.advance(DAY);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(sink.dialogues().len(), 2, "{:?}", sink.dialogues());
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn a_mail_that_stalls_holds_up_no_other_and_no_mail_goes_twice() {
    let slowly = ChangeContext::SayAfter(Duration::from_millis(100), "250 taken");
    let (server, sink) =
        with_sink(vec![("RCPT TO:<slow@", ChangeContext::Stall), (".", slowly)]).await;
    let client = server.client();
    server.register(&client, "slow", "slow@example.org").await;
    sink.wait(1, |dialogue| dialogue.said("RCPT TO:<slow@")).await;
    for number in 0..12 {
        server
            .register(&client, &format!("user{number}"), &format!("user{number}@example.org"))
            .await;
    }
    sink.mails(12).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut sent: Vec<String> =
        sink.mails(12).await.iter().map(|dialogue| dialogue.mail().to).collect();
    assert_eq!(sent.len(), 12, "{sent:?}");
    sent.sort();
    sent.dedup();
    assert_eq!(sent.len(), 12, "{sent:?}");
    client.close().await;
    server.stop().await;
}

#[tokio::test]
async fn the_operator_is_told_where_mails_go_and_why_they_do_not() {
    let sink =
        Sink::start(vec![("RCPT", ChangeContext::Say("450 4.2.0 <ada@example.org> is busy"))])
            .await;
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
    sink.wait(1, |dialogue| dialogue.said("QUIT")).await;
    sink.follow(vec![]);
    let code = sink.mails(1).await[0].mail().code().unwrap();
    let log = server.log();
    assert!(log.contains("RCPT TO: refused with 450 4.2.0") && log.contains("SMTP_USER"), "{log}");
    for hidden in ["ada@", "Ada", code.as_str()] {
        assert!(!log.contains(hidden), "{hidden}: {log}");
    }
    client.close().await;
}
