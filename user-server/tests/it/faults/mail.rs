//! The mail server down, slow and refusing, under load: registrations do not notice, and every mail
//! comes in the end.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::smtp::{ChangeContext, Dialogue, SENDER, Sink};
use crate::support::{EmailFolder, Inbox, Journey, TEST_TIMEOUT, TestServer, Workload, free_port};

const CLIENTS: usize = 4;
/// Longer than any wait before a mail is tried again.
const RETRIES: Duration = Duration::from_secs(16 * 60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn registrations_do_not_notice_the_mail_server() {
    fail(Duration::from_millis(700)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes two minutes; docs/FAULTS.md has the command and the figures"]
async fn long_registrations_do_not_notice_the_mail_server() {
    println!("{}", fail(Duration::from_secs(20)).await);
}

async fn fail(span: Duration) -> String {
    let (mut sink, port) = (None::<Sink>, free_port());
    let named = port.to_string();
    let settings = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", &named),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", SENDER),
    ];
    let server = TestServer::start_with(&settings).await;
    let nowhere = tempfile::tempdir().unwrap();
    let world = Workload::new(Inbox::new(&EmailFolder(nowhere.path().to_owned())), usize::MAX);
    let stats = world.stats.clone();
    let running =
        world.spawn((0..CLIENTS).map(|_| server.client()).collect(), |_| Journey::Registration);
    let mut taken = BTreeSet::new();
    for (phase, answer) in [
        ("accepts emails", Some((".", ChangeContext::Say("250 taken")))),
        ("is down", None),
        ("stalls", Some(("RCPT", ChangeContext::Stall))),
        ("rejects temporarily", Some(("RCPT", ChangeContext::Say("451 4.3.0 later")))),
    ] {
        if let Some(open) = sink.take() {
            taken.extend(recipients(&open.close().await));
        }
        if let Some(answer) = answer {
            sink = Some(Sink::start_on(port, vec![answer]).await);
        }
        stats.phase(phase);
        tokio::time::sleep(span).await;
    }
    let sink = sink.unwrap();
    stats.phase("accepts emails again");
    sink.follow(vec![]);
    tokio::time::sleep(span).await;
    world.stop();
    let addresses: BTreeSet<String> =
        running.join_all().await.into_iter().flatten().map(|life| life.address()).collect();
    stats.assert_only(&["OK"]);
    let began = Instant::now();
    loop {
        taken.extend(recipients(&sink.dialogues()));
        if taken.is_superset(&addresses) {
            break;
        }
        let missing = addresses.difference(&taken).count();
        assert!(
            began.elapsed() < TEST_TIMEOUT,
            "{missing} of {} mails do not come",
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

/// Whom mails were taken for.
fn recipients(dialogues: &[Dialogue]) -> Vec<String> {
    dialogues
        .iter()
        .filter(|dialogue| dialogue.mail.is_some())
        .map(|dialogue| dialogue.mail().to)
        .collect()
}
