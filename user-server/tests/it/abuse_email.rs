//! Attacks on emails and their codes, against a live server: emails that strangers request, and
//! what replies reveal while emails cannot be delivered.

mod budgets;
mod delivery;
mod secrecy;

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use user_proto::UpdateUser;

use crate::smtp::{Action, SENDER, Sink};
use crate::support::{
    NEW_PASSWORD, PASSWORD, TestServer, login, on_behalf_of, outcome, register, update,
};

/// The time in which the code of a legitimate registration must arrive.
const PROMPT: Duration = Duration::from_secs(5);
/// The time that the mail server takes for an email: with 4 senders, 20 emails a second.
const SLOW: Duration = Duration::from_millis(200);

/// Starts a server that sends emails to this port.
async fn server_with_mail_at(port: u16, more: &[(&str, &str)]) -> TestServer {
    let port = port.to_string();
    let mut settings = vec![
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", port.as_str()),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", SENDER),
    ];
    settings.extend_from_slice(more);
    TestServer::start_with(&settings).await
}

/// Registers an address from a network of its own, and asserts that its code is emailed in time.
async fn assert_prompt(server: &TestServer, sink: &Sink, name: &str) {
    let client = server.client();
    let address = format!("{name}@example.org");
    client.call_with(register(name, &address), on_behalf_of("198.51.100.9")).await.unwrap();
    let began = Instant::now();
    let arrived = |sink: &Sink| {
        sink.dialogues()
            .iter()
            .any(|dialogue| dialogue.email.is_some() && dialogue.email().to == address)
    };
    while !arrived(sink) {
        assert!(began.elapsed() < PROMPT, "the code of a legitimate registration is late");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    client.close().await;
}

/// Four accounts that change their passwords without pause fill the queue with notices against
/// everyone who waits for a code: notices are merged, and codes take turns with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn password_changes_do_not_delay_codes() {
    let sink = Sink::start(vec![(".", Action::ReplyAfter(SLOW, "250 ok"))]).await;
    let server = server_with_mail_at(sink.port, &[]).await;
    let client = server.client();
    let mut attackers = JoinSet::new();
    for number in 0..4 {
        let (name, ip) = (format!("mallory{number}"), format!("192.0.2.{number}"));
        let address = format!("{name}@example.org");
        let id = client
            .call_with(register(&name, &address), on_behalf_of(&ip))
            .await
            .unwrap()
            .verification_id;
        let code = loop {
            let emails = sink.dialogues();
            let mine =
                emails.iter().find(|email| email.email.is_some() && email.email().to == address);
            if let Some(code) = mine.and_then(|email| email.email().code()) {
                break code;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        client.call(crate::support::verify_email(id, &code)).await.unwrap();
        let client = server.client();
        attackers.spawn(async move {
            let session =
                client.call_with(login(&name, PASSWORD), on_behalf_of(&ip)).await.unwrap();
            let token = session.access_token.expose_str().unwrap().to_owned();
            for turn in 0.. {
                let (old, new) = match turn % 2 {
                    0 => (PASSWORD, NEW_PASSWORD),
                    _ => (NEW_PASSWORD, PASSWORD),
                };
                let change = UpdateUser {
                    new_password: Some(new.into()),
                    current_password: Some(old.into()),
                    ..update(&token)
                };
                if outcome(client.call_with(change, on_behalf_of(&ip)).await).is_err() {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for number in 0..3 {
        assert_prompt(&server, &sink, &format!("ada{number}")).await;
    }
    attackers.shutdown().await;
    let notices = sink
        .emails(1)
        .await
        .iter()
        .filter(|dialogue| dialogue.email().subject.contains("password was changed"))
        .count();
    assert!(notices <= 4, "{notices} notices in an hour to four addresses");
    server.stop().await;
}

/// One network that registers many addresses at once fills the queue with codes against everyone
/// else who waits for one: networks take turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_registrations_of_one_network_do_not_delay_others() {
    // Two emails a second, so that the attacker's emails alone take ten.
    let sink =
        Sink::start(vec![(".", Action::ReplyAfter(Duration::from_millis(500), "250 ok"))]).await;
    let server = server_with_mail_at(sink.port, &[("MAIL_CONCURRENCY", "1")]).await;
    let client = server.client();
    for number in 0..20 {
        let (name, address) = (format!("mallory{number}"), format!("m{number}@example.org"));
        client.call_with(register(&name, &address), on_behalf_of("192.0.2.1")).await.unwrap();
    }
    let before = sink.dialogues().len();
    assert!(before < 20, "the queue is empty before the test begins");
    assert_prompt(&server, &sink, "ada").await;
    client.close().await;
    server.stop().await;
}
