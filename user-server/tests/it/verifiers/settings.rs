//! A node that restarts with other settings: what it does not accept any more, its verifiers refuse
//! as soon as it is back.

use user_proto::verifier::{Verifier, VerifyError};

use super::fleet::Fleet;
use super::{EDDSA, WORST};
use crate::support::{SECRET, TEST_TIMEOUT, TestServer};

const NEXT: &str = "another secret of more than thirty-two bytes for the change";

/// Starts a server with the first settings, and restarts it at the same address with the others
/// while verifiers check a token of the first run. Returns the row of the figures, the server and
/// a verifier.
async fn restart(
    case: &str,
    before: &[(&str, &str)],
    after: &[(&str, &str)],
) -> (String, TestServer, Verifier) {
    let server = TestServer::start_with(before).await;
    let address = server.address;
    let ada = server.account(&server.client(), "ada").await;
    let mut fleet = Fleet::start(&[address.to_string()], 4).await;
    fleet.accept(&ada.access()).await;
    let port = address.port().to_string();
    let mut started = None;
    let change = async {
        let folder = server.stop().await;
        let settings = [after, &[("TCP_PORT", port.as_str())]].concat();
        started = Some(TestServer::start_in(folder, &settings).await);
    };
    fleet.observe(ada.session.session_id, &ada.access(), change).await;
    fleet.refuse(&[ada.access()]).await;
    let server = started.unwrap();
    let again = server.login(&server.client(), "ada").await;
    fleet.accept(again.access_token.expose_str().unwrap()).await;
    (fleet.row(case, WORST), server, fleet.verifier())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_removed_without_being_retired_is_refused() {
    let before = [("JWTSECRETKEY", SECRET), ("JWTSECRETKEY_ACCEPT", NEXT), EDDSA];
    let after = [("JWTSECRETKEY", NEXT), EDDSA];
    let (row, server, verifier) = restart("a secret is removed", &before, &after).await;
    println!("{row}");
    assert_eq!(verifier.status().keys, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_algorithm_that_is_not_accepted_any_more_is_refused() {
    let after = [("TOKEN_SIGNING", "ES256"), ("TOKEN_ACCEPT", "ES256")];
    let (row, server, verifier) = restart("TOKEN_ACCEPT is narrowed", &[EDDSA], &after).await;
    println!("{row}");
    assert_eq!(verifier.status().keys, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_valid_at_once_after_a_change_of_their_lifetime() {
    let short = [EDDSA, ("ACCESS_TOKEN_EXPIRY", "1")];
    let long = [EDDSA, ("ACCESS_TOKEN_EXPIRY", "60")];
    let mut server = TestServer::start_with(&short).await;
    let address = server.address;
    server.account(&server.client(), "ada").await;
    let fleet = Fleet::start(&[address.to_string()], 1).await;
    let (verifier, port) = (fleet.verifier(), address.port().to_string());
    for settings in [long, short, long] {
        let folder = server.stop().await;
        let settings = [&settings[..], &[("TCP_PORT", port.as_str())]].concat();
        server = TestServer::start_in(folder, &settings).await;
        let session = server.login(&server.client(), "ada").await;
        let token = session.access_token.expose_str().unwrap();
        let began = std::time::Instant::now();
        loop {
            match verifier.verify(token).await {
                Ok(_) => break,
                // It may still wait before it connects again.
                Err(VerifyError::Unavailable) => {}
                Err(error) => panic!("{error}: {:?}", verifier.status()),
            }
            assert!(began.elapsed() < TEST_TIMEOUT, "{:?}", verifier.status());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        while verifier.verify_local(token).is_none() {
            assert!(began.elapsed() < TEST_TIMEOUT, "{:?}", verifier.status());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert!(verifier.verify_local(token).unwrap().is_ok());
    }
    server.stop().await;
}
