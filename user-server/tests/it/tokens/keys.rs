//! Keys: a rotation rejects no token, and a retired key is valid nowhere.

use std::time::{Duration, Instant};

use user_proto::client::Client;
use user_proto::{ErrorCode, RefreshToken, ResendCode, VerifyToken};
use user_server::keys::Key;

use crate::support::{
    MAIL_PAUSE, Process, TestServer, check, code_of, postgres, run_in, verify_email,
};

pub(super) const OLD: &str = "the old secret of the nodes: thirty-two bytes and more";
pub(super) const NEW: &str = "the new secret of the nodes: thirty-two bytes and more";

pub(super) fn kid(secret: &str) -> String {
    Key::new(secret.as_bytes()).unwrap().kid
}

/// Starts a node on a shared database that signs with one secret and accepts another.
pub(super) async fn node(url: &str, signs: &str, accepts: &str) -> TestServer {
    let folder = tempfile::tempdir().unwrap();
    let mail_dir = folder.path().join("mails").to_str().unwrap().to_owned();
    let settings = [
        ("PostgreSQL", url),
        ("JWTSECRETKEY", signs),
        ("JWTSECRETKEY_ACCEPT", accepts),
        ("MAIL_DIR", mail_dir.as_str()),
    ];
    TestServer::start_in(folder, &settings).await
}

pub(super) fn refresh(token: &str) -> RefreshToken<'_> {
    RefreshToken { refresh_token: token.into() }
}

fn run_command(url: &str, secrets: [&str; 2], arguments: &[&str]) -> crate::support::RunOutput {
    let folder = tempfile::tempdir().unwrap();
    let [signs, accepts] = secrets;
    let settings = [
        ("PostgreSQL", url),
        ("JWTSECRETKEY", signs),
        ("JWTSECRETKEY_ACCEPT", accepts),
        ("MAIL_DIR", "mails"),
    ];
    run_in(folder.path(), arguments, &settings)
}

/// Waits until every node rejects a token.
pub(super) async fn wait_until_rejected(clients: &[Client], token: &str) {
    let began = Instant::now();
    for client in clients {
        while check(client, token).await != Some(ErrorCode::INVALID_TOKEN) {
            assert!(began.elapsed() < Duration::from_secs(20), "a node never rejects it");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_rotation_over_three_nodes_rejects_no_token() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(node(&url, OLD, "").await);
    }
    let (mut tokens, mut last) = (Vec::new(), nodes[0].client());
    // An email is written to the folder of the node that sends it; with one node left, that folder
    // is known.
    for spare in nodes.drain(1..) {
        spare.stop().await;
    }
    let ada = nodes[0].account(&last, "ada").await;
    let mut current = ada.refresh();
    tokens.push(ada.access());
    for _ in 0..2 {
        nodes.push(node(&url, OLD, "").await);
    }
    // Accept the new key everywhere, then sign with it, one node after the other, while all are in
    // use.
    for (signs, accepts) in [(OLD, NEW), (NEW, OLD)] {
        for index in 0..nodes.len() {
            nodes.remove(index).stop().await;
            nodes.insert(index, node(&url, signs, accepts).await);
            for one in &nodes {
                let client = one.client();
                for token in &tokens {
                    assert_eq!(check(&client, token).await, None);
                }
                let next = client.call(refresh(&current)).await.unwrap();
                current = next.refresh_token.expose_str().unwrap().to_owned();
                tokens.push(next.access_token.expose_str().unwrap().to_owned());
                last = client;
            }
        }
    }
    assert!(current.contains(&kid(NEW)), "the session has moved to the new key");
    assert_eq!(check(&last, &tokens[0]).await, None);
    let listed = run_command(&url, [NEW, OLD], &["keys", "list"]);
    let line =
        |kid: &str| listed.output.lines().find(|line| line.starts_with(kid)).unwrap().to_owned();
    assert!(line(&kid(NEW)).contains("signs") && line(&kid(NEW)).contains(" 1 "), "{listed:?}");
    assert!(line(&kid(OLD)).contains("accepted") && line(&kid(OLD)).contains(" 0 "), "{listed:?}");
    for one in nodes {
        one.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_key_is_rejected_on_every_node() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let first = node(&url, OLD, NEW).await;
    let ada = first.account(&first.client(), "ada").await;
    let nodes = [first, node(&url, OLD, NEW).await, node(&url, NEW, OLD).await];
    let clients: Vec<Client> = nodes.iter().map(|node| node.client()).collect();
    for client in &clients {
        assert_eq!(check(client, &ada.access()).await, None);
    }
    let unknown = run_command(&url, [OLD, NEW], &["keys", "retire", "nobody"]);
    assert_eq!(unknown.code, Some(1), "{unknown:?}");
    let retired = run_command(&url, [OLD, NEW], &["keys", "retire", &kid(OLD)]);
    assert_eq!((retired.code, retired.error.as_str()), (Some(0), ""), "{retired:?}");
    wait_until_rejected(&clients, &ada.access()).await;
    for client in &clients {
        assert_eq!(code_of(client, refresh(&ada.refresh())).await, ErrorCode::INVALID_TOKEN);
    }
    // A node with a retired signing key continues with the other key.
    let again = nodes[0].login(&clients[0], "ada").await;
    assert!(again.refresh_token.expose_str().unwrap().contains(&kid(NEW)));
    for client in &clients {
        client.call(VerifyToken { access_token: again.access_token.clone() }).await.unwrap();
    }
    let listed = run_command(&url, [OLD, NEW], &["keys", "list"]);
    assert!(listed.output.contains("retired"), "{listed:?}");
    for one in nodes {
        one.stop().await;
    }
    let alone = run_command(&url, [OLD, ""], &[]);
    assert_eq!(alone.code, Some(1), "{alone:?}");
    assert!(alone.error.contains("every key is retired"), "{alone:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_of_a_retired_key_is_replaced() {
    let settings = [("JWTSECRETKEY", OLD), ("JWTSECRETKEY_ACCEPT", NEW)];
    let server = TestServer::start_with(&settings).await;
    let (client, data) = (server.client(), server.folder.path().to_str().unwrap().to_owned());
    let (id, first) = server.registered_code(&client, "ada", "ada@example.org").await;
    let ada = server.account(&client, "grace").await;
    let command = [settings[0], settings[1], ("DATA_DIR", &data)];
    let retired = run_in(server.folder.path(), &["keys", "retire", &kid(OLD)], &command);
    assert_eq!(retired.code, Some(0), "{retired:?}");
    wait_until_rejected(std::slice::from_ref(&client), &ada.access()).await;
    assert_eq!(
        code_of(&client, verify_email(id, &first)).await,
        ErrorCode::CODE_EXPIRED,
        "its key is retired"
    );
    server.clock.advance(MAIL_PAUSE);
    client.call(ResendCode { verification_id: id }).await.unwrap();
    let second = server.emails.code("ada@example.org", 2).await;
    assert_ne!(second, first);
    client.call(verify_email(id, &second)).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retired_key_stays_retired_after_a_restart() {
    let settings = [("JWTSECRETKEY", OLD), ("JWTSECRETKEY_ACCEPT", NEW)];
    let process = Process::start(&settings);
    let client = process.client();
    let ada = process.account(&client, "ada").await;
    assert_eq!(check(&client, &ada.access()).await, None);
    let home = process.data().parent().unwrap().to_owned();
    let last_key = run_in(&home, &["keys", "retire", &kid(OLD)], &settings[..1]);
    assert!(last_key.code == Some(1) && last_key.error.contains("--force"), "{last_key:?}");
    let retired = run_in(&home, &["keys", "retire", &kid(OLD)], &settings);
    assert_eq!(retired.code, Some(0), "{retired:?}");
    wait_until_rejected(std::slice::from_ref(&client), &ada.access()).await;
    let process = Process::start_in(process.kill().await, &settings);
    assert_eq!(check(&process.client(), &ada.access()).await, Some(ErrorCode::INVALID_TOKEN));
}

#[test]
fn keys_new_prints_nothing_but_the_secret_on_standard_output() {
    let folder = tempfile::tempdir().unwrap();
    let result = run_in(folder.path(), &["keys", "new"], &[]);
    assert_eq!(result.code, Some(0), "{result:?}");
    let secret = result.output.trim_end();
    assert!(secret.len() == 64 && result.output.lines().count() == 1, "{result:?}");
    assert!(result.error.contains(&kid(secret)) && !result.error.contains(secret), "{result:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "keys new changes nothing");
}
