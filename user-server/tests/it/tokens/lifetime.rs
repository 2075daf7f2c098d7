//! A change of ACCESS_TOKEN_EXPIRY while tokens of the earlier lifetime are in use.

use std::sync::Arc;
use std::time::Duration;

use user_proto::client::Client;
use user_proto::{ErrorCode, Logout, VerifyToken};
use user_server::domain::ShiftedClock;

use crate::support::{PASSWORD, TestServer, code_of, config, login, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_shorter_lifetime_no_ended_session_returns() {
    let long = TestServer::start_with(&[("ACCESS_TOKEN_EXPIRY", "60")]).await;
    let client = long.client();
    let ada = long.account(&client, "ada").await;
    let ended = client.call(login("ada", PASSWORD)).await.unwrap().access_token;
    let other = client.call(login("ada", PASSWORD)).await.unwrap().access_token;
    let (issued, lasts) = {
        let live = client.call(VerifyToken { access_token: other.clone() }).await.unwrap();
        (live.issued_at.0, live.expires_at.0 - live.issued_at.0)
    };
    assert_eq!(lasts, 3600);
    client.call(Logout { token: ended.clone(), all_sessions: None }).await.unwrap();
    drop((client, ada));
    let folder = long.stop().await;

    for (later, of_ended) in [
        (20, ErrorCode::SESSION_REVOKED),
        (130, ErrorCode::TOKEN_EXPIRED),
        (3000, ErrorCode::TOKEN_EXPIRED),
    ] {
        let clock = Arc::new(ShiftedClock::default());
        clock.advance(Duration::from_secs(later));
        let config = config(folder.path(), &[("ACCESS_TOKEN_EXPIRY", "1")]);
        let service = start(&config, clock).await;
        let client = Client::new(service.address().to_string());
        let code = code_of(&client, VerifyToken { access_token: ended.clone() }).await;
        assert_eq!(code, of_ended, "{later} s later");
        let live = client.call(VerifyToken { access_token: other.clone() }).await;
        if later < 60 {
            assert_eq!(live.unwrap().expires_at.0, issued + 60, "by the shorter lifetime");
        } else {
            assert!(live.is_err(), "a token is not valid for longer than the lifetime");
        }
        drop(client);
        service.stop().await;
    }
}
