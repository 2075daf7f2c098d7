//! A mail server that rejects this service: every indicator reports it, and no code is lost.

use std::time::Duration;

use user_proto::client::Client;

use super::server_with_mail_at;
use crate::http::request::get;
use crate::smtp::{Action, SENDER, Sink};
use crate::support::{TestServer, on_behalf_of, register, run_in};

const MONITOR: (&str, &str) = ("METRICS_ADDR", "127.0.0.1:0");

async fn register_at(client: &Client, name: &str, address: &str, ip: &str) {
    client.call_with(register(name, address), on_behalf_of(ip)).await.unwrap();
}

/// Waits until `mail` is degraded, or no longer.
async fn wait_for_mail(server: &TestServer, degraded: bool) {
    let address = server.service.monitor_address().unwrap();
    let began = std::time::Instant::now();
    loop {
        let body = get(address, "/readyz").await.body;
        let metrics = get(address, "/metrics").await.body;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let is_degraded = body["degraded"].as_array().unwrap().contains(&"mail".into());
        let failing = metrics.contains("\nuser_server_mail_failing 1\n");
        if (is_degraded, failing) == (degraded, degraded) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{degraded}: {body}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the output of `check` for the server's settings.
fn check(server: &TestServer, sink: &Sink) -> String {
    let port = sink.port.to_string();
    let settings = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", port.as_str()),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", SENDER),
        ("DATA_DIR", server.folder.path().to_str().unwrap()),
    ];
    let checked = run_in(server.folder.path(), &["check"], &settings);
    checked.output
}

/// Rejections of HELO, the sender, the quota or the policy once made codes disappear while every
/// indicator was green.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_server_that_rejects_the_service_is_reported_at_once_and_loses_no_code() {
    for (point, answer) in [
        ("EHLO", "550 5.7.1 your name is on a list"),
        ("MAIL", "550 5.1.8 unknown sender"),
        ("MAIL", "452 4.5.3 over quota"),
        ("RCPT", "504 5.5.2 HELO rejected: need a fully-qualified hostname"),
        ("RCPT", "553 5.1.8 sender rejected"),
    ] {
        let sink = Sink::start(vec![(point, Action::Reply(answer))]).await;
        let server = server_with_mail_at(sink.port, &[MONITOR]).await;
        let client = server.client();
        register_at(&client, "ada", "ada@example.org", "192.0.2.1").await;
        wait_for_mail(&server, true).await;
        let checked = check(&server, &sink);
        assert!(checked.contains("WRONG  emails "), "{point} {answer}: {checked}");
        sink.set_script(vec![]);
        server.clock.advance(Duration::from_secs(60));
        assert!(sink.emails(1).await[0].email().code().is_some());
        wait_for_mail(&server, false).await;
        client.close().await;
        server.stop().await;
    }
}

/// A policy that rejects every email once made codes disappear too. A rejection of one recipient,
/// or of the recipients that one person requests, is no such sign.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_rejects_every_email_is_reported_after_three_domains_and_networks() {
    let sink = Sink::start(vec![("RCPT", Action::Reply("554 5.7.1 rejected by policy"))]).await;
    let server = server_with_mail_at(sink.port, &[MONITOR]).await;
    let client = server.client();
    for (number, domain) in ["one", "two", "three", "four"].into_iter().enumerate() {
        let address = format!("ada@{domain}.example");
        register_at(&client, &format!("ada{number}"), &address, "192.0.2.1").await;
    }
    sink.wait(4, |dialogue| dialogue.sent("QUIT")).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    wait_for_mail(&server, false).await;
    register_at(&client, "bob", "bob@two.example", "192.0.2.2").await;
    register_at(&client, "eve", "eve@three.example", "192.0.2.3").await;
    wait_for_mail(&server, true).await;
    assert!(check(&server, &sink).contains("WRONG  email queue"), "{}", check(&server, &sink));
    sink.set_script(vec![]);
    server.clock.advance(Duration::from_secs(60));
    sink.emails(6).await;
    wait_for_mail(&server, false).await;
    assert!(check(&server, &sink).contains("good   email queue"), "{}", check(&server, &sink));
    client.close().await;
    server.stop().await;
}

/// A refusal without a reason is taken for the recipient's after one more attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unexplained_refusal_is_retried_once() {
    let sink = Sink::start(vec![("RCPT", Action::Reply("550 no"))]).await;
    let server = server_with_mail_at(sink.port, &[]).await;
    let client = server.client();
    register_at(&client, "ada", "ada@example.org", "192.0.2.1").await;
    sink.wait(1, |dialogue| dialogue.sent("QUIT")).await;
    for attempts in [2, 2, 2] {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.clock.advance(Duration::from_secs(1200));
        sink.wait(attempts, |dialogue| dialogue.sent("QUIT")).await;
        tokio::time::sleep(Duration::from_millis(1200)).await;
        assert_eq!(sink.dialogues().len(), attempts);
    }
    client.close().await;
    server.stop().await;
}
