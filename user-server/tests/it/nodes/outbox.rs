//! One outbox with workers on every node.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::smtp::{SENDER, Sink};
use crate::support::{Cluster, NODES, long_deadline, postgres, register, together};

/// Number of registrations at once. All of them must be hashed within the longest deadline, on a
/// machine that runs other tests as well.
const EMAILS: usize = 48;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_email_is_sent_once_by_one_node() {
    let Some(database) = postgres() else { return };
    let sink = Sink::start(vec![]).await;
    let port = sink.port.to_string();
    let smtp = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", &port),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", SENDER),
    ];
    let Some(cluster) = Cluster::on(database, &smtp).await else { return };
    let clients = cluster.site.clients();
    together((0..EMAILS).map(|number| {
        let client = clients[number % clients.len()].clone();
        async move {
            let (name, address) = (format!("ada{number}"), format!("ada{number}@example.org"));
            client.call_with(register(&name, &address), long_deadline()).await.unwrap();
        }
    }))
    .await;
    sink.emails(EMAILS).await;
    // By now, every worker has polled the outbox several times.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sent = sink.emails(EMAILS).await;
    let addresses: BTreeSet<String> = sent.iter().map(|dialogue| dialogue.email().to).collect();
    assert_eq!((sent.len(), addresses.len()), (EMAILS, EMAILS), "an email was sent twice");
    // Fast nodes may leave nothing to the others.
    let senders = (0..NODES).filter(|node| cluster.log(*node).contains("email sent")).count();
    assert!(senders > 1, "one node sent everything");
    cluster.stop().await;
}
