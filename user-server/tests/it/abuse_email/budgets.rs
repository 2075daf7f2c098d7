//! The budgets of codes, each with 64 requests at once, on one node and on two.

use std::collections::BTreeMap;
use std::time::Duration;

use user_proto::{ErrorCode, RequestMessage, ResendCode};
use uuid::Uuid;

use crate::postgres::node;
use crate::support::{
    MAIL_PAUSE, TestServer, call_patiently, on_behalf_of, postgres, register, request_reset,
    together,
};

/// The pause between two emails, and the difference between the clocks of two nodes.
const PAUSE: Duration = MAIL_PAUSE.saturating_add(Duration::from_secs(1));

/// Starts one node with the embedded database, and two nodes that share a database where PostgreSQL
/// is installed.
async fn sites() -> Vec<Vec<TestServer>> {
    let mut sites = vec![vec![TestServer::start().await]];
    if let Some(server) = postgres() {
        let url = server.database();
        sites.push(vec![node(&url, &[]).await, node(&url, &[]).await]);
    }
    for server in sites.iter().flatten() {
        server.clock.freeze();
    }
    sites
}

fn advance(nodes: &[TestServer], span: Duration) {
    for node in nodes {
        node.clock.advance(span);
    }
}

async fn stop(nodes: Vec<TestServer>) {
    for node in nodes {
        node.stop().await;
    }
}

/// Sends 64 requests at once, in turn to each node, each for the end user at an address. Returns
/// the number of each outcome.
async fn at_once<M: RequestMessage + Clone + Send + Sync + 'static>(
    nodes: &[TestServer],
    requests: impl Iterator<Item = (String, M)>,
) -> BTreeMap<String, usize>
where
    M::Reply: Send,
{
    // At most 32 requests of one connection may hash at once.
    let clients: Vec<_> = nodes.iter().cycle().take(4).map(|node| node.client()).collect();
    let tasks: Vec<_> = requests
        .take(64)
        .enumerate()
        .map(|(number, (ip, request))| {
            let client = clients[number % clients.len()].clone();
            async move {
                let common = user_proto::Common { deadline_ms: Some(30_000), ..on_behalf_of(&ip) };
                match call_patiently(&client, request, common).await {
                    Ok(_) => "OK".to_owned(),
                    Err(code) => format!("{code:?}"),
                }
            }
        })
        .collect();
    let mut counts = BTreeMap::new();
    for outcome in together(tasks).await {
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

fn counts(ok: usize, refused: usize) -> BTreeMap<String, usize> {
    let limited = format!("{:?}", ErrorCode::RATE_LIMITED);
    [("OK".to_owned(), ok), (limited, refused)].into_iter().filter(|(_, n)| *n > 0).collect()
}

/// Requests a reset for each of 64 networks.
async fn resets(nodes: &[TestServer]) -> Vec<Uuid> {
    let client = nodes[0].client();
    let mut ids = Vec::new();
    for number in 0..64 {
        let address = format!("user{number}@example.org");
        let request = request_reset(&address);
        let ip = format!("203.0.113.{number}");
        ids.push(client.call_with(request, on_behalf_of(&ip)).await.unwrap().verification_id);
    }
    client.close().await;
    ids
}

/// Who knows the id of a row could resend its email against the owner of the address: the row
/// allows one a minute and ten in its lifetime, to any number of networks. Only the client that
/// requested the row knows its id, so nobody can use this up for another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_resends_of_a_row_are_one_and_ten_in_its_lifetime() {
    for nodes in sites().await {
        let client = nodes[0].client();
        let id = client.call(request_reset("ada@example.org")).await.unwrap().verification_id;
        let resend = || {
            (0..).map(|number: u32| {
                (format!("203.0.113.{}", number % 64), ResendCode { verification_id: id })
            })
        };
        assert_eq!(at_once(&nodes, resend()).await, counts(0, 64), "too soon");
        for _ in 0..10 {
            advance(&nodes, PAUSE);
            assert_eq!(at_once(&nodes, resend()).await, counts(1, 63));
        }
        advance(&nodes, PAUSE);
        assert_eq!(at_once(&nodes, resend()).await, counts(0, 64), "the row has no resends left");
        client.close().await;
        stop(nodes).await;
    }
}

/// A network could keep the writers of the database busy against everyone, or use up its budget
/// against its own users: 60 an hour, of which a refusal that needs no write costs nothing, and
/// another network is not affected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_has_sixty_resends_an_hour() {
    for nodes in sites().await {
        let ids = resets(&nodes).await;
        let of = |ip: &'static str, ids: &[Uuid]| {
            let ids = ids.to_vec();
            ids.into_iter()
                .map(move |verification_id| (ip.to_owned(), ResendCode { verification_id }))
        };
        // Refused without a write: too soon, or unknown.
        assert_eq!(at_once(&nodes, of("192.0.2.1", &ids)).await, counts(0, 64));
        let unknown =
            (0..).map(|_| ("192.0.2.1".to_owned(), ResendCode { verification_id: Uuid::new_v4() }));
        let expired = format!("{:?}", ErrorCode::CODE_EXPIRED);
        assert_eq!(at_once(&nodes, unknown).await, BTreeMap::from([(expired, 64)]));
        advance(&nodes, PAUSE);
        assert_eq!(at_once(&nodes, of("192.0.2.1", &ids)).await, counts(60, 4));
        advance(&nodes, PAUSE);
        assert_eq!(at_once(&nodes, of("192.0.2.1", &ids)).await, counts(0, 64));
        assert_eq!(at_once(&nodes, of("192.0.2.2", &ids)).await, counts(60, 4));
        advance(&nodes, Duration::from_secs(3600));
        assert_eq!(at_once(&nodes, of("192.0.2.1", &ids)).await, counts(60, 4));
        stop(nodes).await;
    }
}

/// A network could have emails sent to strangers, or use up its budget against its own users: 20
/// registrations and 20 resets an hour, for known and unknown addresses alike, and another network
/// is not affected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_has_twenty_registrations_and_resets_an_hour() {
    for nodes in sites().await {
        let client = nodes[0].client();
        nodes[0].account(&client, "ada").await;
        for address in ["ada@example.org", "nobody@example.org"] {
            let resets = (0..).map(|_| ("192.0.2.1".to_owned(), request_reset(address)));
            let expected = if address.starts_with("ada") { counts(20, 44) } else { counts(0, 64) };
            assert_eq!(at_once(&nodes, resets).await, expected, "{address}");
        }
        let names: Vec<(String, String)> =
            (0..64).map(|n| (format!("user{n}"), format!("user{n}@example.org"))).collect();
        let names: &'static [(String, String)] = names.leak();
        let registrations = || {
            names.iter().map(|(name, address)| ("192.0.2.1".to_owned(), register(name, address)))
        };
        assert_eq!(at_once(&nodes, registrations()).await, counts(20, 44));
        let resets = (0..).map(|_| ("192.0.2.2".to_owned(), request_reset("ada@example.org")));
        assert_eq!(at_once(&nodes, resets).await, counts(20, 44), "another network");
        advance(&nodes, Duration::from_secs(3600));
        assert_eq!(at_once(&nodes, registrations()).await, counts(20, 44), "a new hour");
        client.close().await;
        stop(nodes).await;
    }
}

/// A network could fill the database with rows that stay for a day: at most 200 of its
/// registrations and resets are pending, for known and unknown addresses alike, and another network
/// is not affected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_rows_of_a_network_are_pending() {
    for nodes in sites().await {
        let client = nodes[0].client();
        nodes[0].account(&client, "ada").await;
        let resets = |count: usize| {
            let address = |n| if n % 2 == 0 { "ada@example.org" } else { "nobody@example.org" };
            (0..count).map(move |n| ("192.0.2.1".to_owned(), request_reset(address(n))))
        };
        for _ in 0..9 {
            assert_eq!(at_once(&nodes, resets(20)).await, counts(20, 0));
            advance(&nodes, Duration::from_secs(3600));
        }
        assert_eq!(at_once(&nodes, resets(10)).await, counts(10, 0));
        advance(&nodes, Duration::from_secs(3600));
        assert_eq!(at_once(&nodes, resets(64)).await, counts(10, 54), "190 were pending");
        let other = (0..20).map(|_| ("192.0.2.2".to_owned(), request_reset("ada@example.org")));
        assert_eq!(at_once(&nodes, other).await, counts(20, 0), "another network");
        advance(&nodes, Duration::from_secs(15 * 3600));
        assert_eq!(
            at_once(&nodes, resets(64)).await,
            counts(20, 44),
            "the first rows are a day old"
        );
        client.close().await;
        stop(nodes).await;
    }
}
