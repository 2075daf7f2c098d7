//! A wall clock that jumps: no ended session becomes valid again, on any node, and no wait becomes
//! longer.

use std::time::{Duration, Instant};

use user_proto::{ErrorCode, GetUser, Logout, RefreshToken, ResendCode, Secret, WatchRevocations};
use user_server::domain::{Clock, ConnectionPools, Housekeeping, SystemClock};
use user_server::store::SqliteStore;

use crate::contract::sweep;
use crate::postgres::node;
use crate::support::{
    PASSWORD, TestServer, check, code_of, login, on_behalf_of, outcome, postgres, refused_at,
    request_reset, run_in,
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

#[tokio::test(flavor = "multi_thread")]
async fn a_session_stays_ended_if_the_clock_is_set_back_after_its_revocation_was_deleted() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await.access();
    let session = server.login(&client, "ada").await;
    let open = session.access_token.expose_str().unwrap().to_owned();
    client.call(Logout { token: ada.as_str().into(), all_sessions: None }).await.unwrap();
    let folder = server.stop().await;
    // As it happens two lifetimes and an hour later.
    let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
    assert!(store.sweep(&sweep::retention(), SystemClock.now().plus(3 * HOUR)).await.unwrap() > 0);
    store.close().await;

    let server = TestServer::start_in(folder, &[]).await;
    let client = server.client();
    assert_eq!(check(&client, &ada).await, Some(ErrorCode::SESSION_REVOKED));
    let get = GetUser { access_token: ada.as_str().into() };
    assert_eq!(code_of(&client, get).await, ErrorCode::SESSION_REVOKED);
    assert_eq!(check(&client, &open).await, None, "the session is open");
    let watch = WatchRevocations { cursor: b"".as_slice().into(), wait_ms: 0 };
    let stale = client.call(watch).await.unwrap().stale_ms;
    assert_eq!(stale, u32::MAX, "clients that verify tokens themselves must ask");
    // When the clock is past the deletion again, every token from before has expired.
    server.clock.advance(3 * HOUR);
    let watch = WatchRevocations { cursor: b"".as_slice().into(), wait_ms: 0 };
    assert!(client.call(watch).await.unwrap().stale_ms < 1000);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_clock_that_was_ahead_is_not_valid_when_its_time_comes() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    server.clock.advance(2 * HOUR);
    tokio::time::sleep(READS).await;
    let ahead = server.login(&client, "ada").await.access_token.expose_str().unwrap().to_owned();
    let refresh = server.login(&client, "ada").await;
    server.clock.set_back(2 * HOUR);
    tokio::time::sleep(READS).await;
    client.call(Logout { token: ahead.as_str().into(), all_sessions: None }).await.unwrap();
    assert_eq!(check(&client, &ada.access()).await, None, "others go on");
    let folder = server.stop().await;
    // As it happens before the time of the token comes.
    let store = SqliteStore::open(&folder.path().join("users.db")).await.unwrap();
    store.sweep(&sweep::retention(), SystemClock.now().plus(2 * HOUR)).await.unwrap();
    store.close().await;

    let server = TestServer::start_in(folder, &[]).await;
    let client = server.client();
    server.clock.advance(2 * HOUR);
    tokio::time::sleep(READS).await;
    assert_eq!(check(&client, &ahead).await, Some(ErrorCode::SESSION_REVOKED));
    let open = refresh.access_token.expose_str().unwrap();
    assert_eq!(check(&client, open).await, None, "its session is open");
    server.stop().await;
}

/// The same if the clock is put right while the node does not run.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_a_clock_that_was_put_right_at_a_restart_is_not_valid_when_its_time_comes() {
    let server = TestServer::start().await;
    server.account(&server.client(), "ada").await;
    let folder = server.stop().await;
    let server = TestServer::start_in(folder, &[]).await;
    server.clock.advance(2 * HOUR);
    let client = server.client();
    let (session, other) = (server.login(&client, "ada").await, server.login(&client, "ada").await);
    let text = |secret: &Secret<'_>| secret.expose_str().unwrap().to_owned();
    let (ahead, refresh) = (text(&session.access_token), text(&session.refresh_token));
    let other = text(&other.access_token);
    let folder = server.stop().await;

    let server = TestServer::start_in(folder, &[]).await;
    let client = server.client();
    assert_eq!(check(&client, &ahead).await, Some(ErrorCode::TOKEN_EXPIRED), "not yet valid");
    // A refresh by the right clock does not hide when the first token was issued.
    let refresh = RefreshToken { refresh_token: refresh.as_str().into() };
    outcome(client.call(refresh).await).unwrap();
    client.call(Logout { token: ahead.as_str().into(), all_sessions: None }).await.unwrap();
    let data = server.stop().await;
    let path = data.path().to_str().unwrap().to_owned();
    let end = ["user", "end-sessions", "ada"];
    let result = run_in(data.path(), &end, &[("DATA_DIR", path.as_str())]);
    assert_eq!(result.code, Some(0), "{result:?}");
    let store = SqliteStore::open(&data.path().join("users.db")).await.unwrap();
    store.sweep(&sweep::retention(), SystemClock.now().plus(2 * HOUR)).await.unwrap();
    store.close().await;

    let server = TestServer::start_in(data, &[]).await;
    for span in [Duration::ZERO, 2 * HOUR] {
        server.clock.advance(span);
        tokio::time::sleep(READS).await;
        for token in [&ahead, &other] {
            let refused = check(&server.client(), token).await;
            let expected = match span.is_zero() {
                true => ErrorCode::TOKEN_EXPIRED,
                false => ErrorCode::SESSION_REVOKED,
            };
            assert_eq!(refused, Some(expected), "{span:?}");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_ahead_makes_no_token_doubtful() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    for span in [HOUR, 24 * 365 * HOUR] {
        server.clock.advance(span);
        tokio::time::sleep(READS).await;
        server.clock.set_back(span);
        tokio::time::sleep(READS).await;
        assert_eq!(check(&client, &ada.access()).await, None);
        let watch = WatchRevocations { cursor: b"".as_slice().into(), wait_ms: 0 };
        assert!(client.call(watch).await.unwrap().stale_ms < 1000, "clients need not ask");
        // Nor if tokens were issued meanwhile.
        server.clock.advance(span);
        server.login(&client, "ada").await;
        server.clock.set_back(span);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_node_with_a_wrong_clock_ends_has_ended_on_every_node() {
    let Some(database) = postgres() else { return };
    let url = database.database();
    for minutes in [-120, -5, -2, 2, 5, 120] {
        let (wrong, right) = (node(&url, &[]).await, node(&url, &[]).await);
        let (here, there) = (wrong.client(), right.client());
        let name = format!("ada{}", minutes + 1000);
        let ada = wrong.account_on(&here, &name, &right).await.access();
        assert_eq!(check(&there, &ada).await, None);
        let span = Duration::from_secs(60 * u64::from(i32::unsigned_abs(minutes)));
        match minutes < 0 {
            true => wrong.clock.set_back(span),
            false => wrong.clock.advance(span),
        }
        // An expired token ends its session as well.
        here.call(Logout { token: ada.as_str().into(), all_sessions: None }).await.unwrap();
        let ended = Instant::now();
        while check(&there, &ada).await != Some(ErrorCode::SESSION_REVOKED) {
            assert!(ended.elapsed() < Duration::from_secs(1), "{minutes} minutes");
        }
        // Nor is it valid on a node that starts later.
        let started = node(&url, &[]).await;
        assert_eq!(
            check(&started.client(), &ada).await,
            Some(ErrorCode::SESSION_REVOKED),
            "{minutes} minutes"
        );
        for server in [wrong, right, started] {
            server.stop().await;
        }
    }
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
