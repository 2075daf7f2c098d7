//! One outbox, and workers on every node.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::smtp::{SENDER, Sink};
use crate::support::{Cluster, NODES, long_deadline, postgres, register, together};

/// As many registrations as may hash at once on the connections of a crowd.
const MAILS: usize = 128;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mail_is_sent_by_one_node_and_once() {
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
    let crowd = cluster.site.clients();
    together((0..MAILS).map(|number| {
        let client = crowd[number % crowd.len()].clone();
        async move {
            let (name, address) = (format!("ada{number}"), format!("ada{number}@example.org"));
            client.call_with(register(&name, &address), long_deadline()).await.unwrap();
        }
    }))
    .await;
    sink.mails(MAILS).await;
    // Whoever would send one again has looked several times by now.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let sent = sink.mails(MAILS).await;
    let addresses: BTreeSet<String> = sent.iter().map(|dialogue| dialogue.mail().to).collect();
    assert_eq!((sent.len(), addresses.len()), (MAILS, MAILS), "a mail went twice");
    for node in 0..NODES {
        assert!(cluster.log(node).contains("email sent"), "node {node} sends no emails");
    }
    cluster.stop().await;
}
