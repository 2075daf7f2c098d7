//! A wall clock that jumps: no ended session becomes valid again, and no wait becomes longer.

use std::time::Duration;

use user_proto::{ErrorCode, Logout};

use crate::support::{PASSWORD, TestServer, check, login, on_behalf_of, outcome, refused_at};

const HOUR: Duration = Duration::from_secs(3600);
/// Enough for two reads of the revocation log.
const READS: Duration = Duration::from_millis(600);

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_and_back_revives_no_session() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await.access();
    client.call(Logout { token: ada.as_str().into(), all_sessions: None }).await.unwrap();
    server.clock.advance(HOUR);
    tokio::time::sleep(READS).await;
    assert_eq!(check(&client, &ada).await, Some(ErrorCode::TOKEN_EXPIRED));
    let session = server.login(&client, "ada").await;
    let ahead = session.access_token.expose_str().unwrap().to_owned();
    assert_eq!(check(&client, &ahead).await, None);
    server.clock.set_back(HOUR);
    for _ in 0..2 {
        assert_eq!(check(&client, &ada).await, Some(ErrorCode::SESSION_REVOKED));
        assert_eq!(
            check(&client, &ahead).await,
            Some(ErrorCode::TOKEN_EXPIRED),
            "it would be valid for an hour too long"
        );
        tokio::time::sleep(READS).await;
    }
    // Nor after a restart, when the log is all that is left.
    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &[]).await;
    assert_eq!(check(&server.client(), &ada).await, Some(ErrorCode::SESSION_REVOKED));
    server.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_set_back_makes_no_wait_longer() {
    let server = TestServer::start_frozen().await;
    let client = server.client();
    server.account(&client, "ada").await;
    let ip = "192.0.2.7";
    for _ in 0..6 {
        let refused = refused_at(&client, ip, login("ada", "tides rise at ten")).await;
        assert!(matches!(refused.0, ErrorCode::INVALID_CREDENTIALS | ErrorCode::RATE_LIMITED));
    }
    server.clock.set_back(HOUR);
    let limited = (ErrorCode::RATE_LIMITED, Some(Duration::from_secs(1)));
    assert_eq!(refused_at(&client, ip, login("ada", PASSWORD)).await, limited);
    server.clock.advance(HOUR + Duration::from_secs(1));
    outcome(client.call_with(login("ada", PASSWORD), on_behalf_of(ip)).await).unwrap();
    server.stop().await;
}
