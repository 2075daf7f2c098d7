//! A wall clock that jumps: no ended session becomes valid again, and no wait becomes longer.

use std::time::Duration;

use user_proto::{ErrorCode, Logout, ResendCode};

use crate::support::{
    PASSWORD, TestServer, check, login, on_behalf_of, outcome, refused_at, request_reset,
};

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
    outcome(client.call_with(login("ada", PASSWORD), on_behalf_of(ip)).await)
        .expect("the wait of a second is over");
    // A budget that is used up, in the hour that the clock then repeats.
    server.clock.advance(HOUR);
    for _ in 0..20 {
        client.call_with(request_reset("ada@example.org"), on_behalf_of(ip)).await.unwrap();
    }
    server.clock.set_back(HOUR / 2);
    let limited = (ErrorCode::RATE_LIMITED, Some(HOUR));
    let reset = || request_reset("ada@example.org");
    assert_eq!(refused_at(&client, ip, reset()).await, limited);
    server.clock.advance(HOUR);
    outcome(client.call_with(reset(), on_behalf_of(ip)).await).expect("an hour later");
    // The pause between two emails of a code.
    let id = client.call(reset()).await.unwrap().verification_id;
    server.clock.set_back(HOUR);
    outcome(client.call(ResendCode { verification_id: id }).await).expect("the minute is over");
    server.stop().await;
}
