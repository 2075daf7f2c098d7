//! The mail server down, stalling and rejecting, under load: registrations are not affected, and
//! every email is delivered eventually.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::smtp::{Action, Dialogue, SENDER, Sink};
use crate::support::{EmailFolder, Inbox, Journey, TEST_TIMEOUT, TestServer, Workload, free_port};

const CLIENTS: usize = 4;
/// Longer than any delay before an email is retried.
const RETRIES: Duration = Duration::from_secs(16 * 60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrations_do_not_depend_on_the_mail_server() {
    fail(Duration::from_millis(700)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes; docs/FAULTS.md has the command and the figures"]
async fn long_registrations_do_not_depend_on_the_mail_server() {
    println!("{}", fail(Duration::from_secs(20)).await);
}

async fn fail(span: Duration) -> String {
    let (mut sink, port) = (None::<Sink>, free_port());
    let port_text = port.to_string();
    let settings = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", &port_text),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", SENDER),
    ];
    let server = TestServer::start_with(&settings).await;
    let unused_folder = tempfile::tempdir().unwrap();
    let workload =
        Workload::new(Inbox::new(&EmailFolder(unused_folder.path().to_owned())), usize::MAX);
    let stats = workload.stats.clone();
    let running =
        workload.spawn((0..CLIENTS).map(|_| server.client()).collect(), |_| Journey::Registration);
    let mut delivered = BTreeSet::new();
    for (phase, answer) in [
        ("accepts emails", Some((".", Action::Reply("250 accepted")))),
        ("is down", None),
        ("stalls", Some(("RCPT", Action::Stall))),
        ("rejects temporarily", Some(("RCPT", Action::Reply("451 4.3.0 later")))),
    ] {
        if let Some(open) = sink.take() {
            delivered.extend(recipients(&open.close().await));
        }
        if let Some(answer) = answer {
            sink = Some(Sink::start_on(port, vec![answer]).await);
        }
        stats.phase(phase);
        tokio::time::sleep(span).await;
    }
    let sink = sink.unwrap();
    stats.phase("accepts emails again");
    sink.set_script(vec![]);
    tokio::time::sleep(span).await;
    workload.stop();
    let addresses: BTreeSet<String> =
        running.join_all().await.into_iter().flatten().map(|user| user.address()).collect();
    stats.assert_only(&["OK"]);
    let began = Instant::now();
    loop {
        delivered.extend(recipients(&sink.dialogues()));
        if delivered.is_superset(&addresses) {
            break;
        }
        let missing = addresses.difference(&delivered).count();
        assert!(
            began.elapsed() < TEST_TIMEOUT,
            "{missing} of {} emails are not delivered",
            addresses.len()
        );
        server.clock.advance(RETRIES);
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    server.stop().await;
    stats.table(&format!(
        "The mail server fails; {} registrations, every email delivered",
        addresses.len()
    ))
}

/// Returns the recipients of the accepted emails.
fn recipients(dialogues: &[Dialogue]) -> Vec<String> {
    dialogues
        .iter()
        .filter(|dialogue| dialogue.email.is_some())
        .map(|dialogue| dialogue.email().to)
        .collect()
}
