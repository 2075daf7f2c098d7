//! A node that runs while its last key is retired: it starts nothing that it could not complete.

use user_proto::{Common, ErrorCode, IdempotencyKey, ResendCode};
use user_server::domain::{AuditFilter, AuditTrail};
use user_server::store::SqliteStore;

use super::keys::{NEW, OLD, kid, refresh, wait_until_rejected};
use crate::audit::wait_until_sealed;
use crate::http;
use crate::support::{
    PASSWORD, TestServer, code_of, login, refused, register, request_reset, run_in, verify_email,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_key_nothing_is_started() {
    let settings = [("JWTSECRETKEY", OLD), ("METRICS_ADDR", "127.0.0.1:0")];
    let server = TestServer::start_with(&settings).await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    let (bob, code) = server.registered_code(&client, "bob", "bob@example.org").await;
    let (home, data) =
        (server.folder.path().to_owned(), server.folder.path().to_str().unwrap().to_owned());
    let store = SqliteStore::open_read_only(&home.join("users.db"));
    wait_until_sealed(&server).await;
    let command = [settings[0], ("DATA_DIR", &data)];
    let result =
        run_in(&home, &["keys", "retire", &kid(OLD), "--force", "--operator", "root"], &command);
    assert!(result.code == Some(0) && result.output.contains("no key is left"), "{result:?}");
    wait_until_rejected(std::slice::from_ref(&client), &ada.access()).await;

    let all = AuditFilter { limit: 1000, ..AuditFilter::default() };
    let rows = store.entries(&all).await.unwrap();
    assert_eq!(
        rows.last().map(|row| (row.kind.as_str(), row.operator.as_deref())),
        Some(("key_retired", Some("root")))
    );
    let monitor = server.service.monitor_address().unwrap();
    let ready = http::get(monitor, "/readyz").await;
    let body: serde_json::Value = serde_json::from_str(&ready.body).unwrap();
    let degraded = body["degraded"].as_array().unwrap();
    assert!(ready.status == 200 && degraded.contains(&"keys".into()), "{}", ready.body);
    assert_eq!(http::metrics(monitor).await.one("user_server_keys_left"), 0.0);
    let hashes =
        async || http::metrics(monitor).await.one("user_server_hash_duration_seconds_count");
    let before = hashes().await;
    let keyed = |number| Common {
        idempotency_key: Some(IdempotencyKey([number; 16])),
        ..Common::default()
    };
    let grace = || register("grace", "grace@example.org");
    for _ in 0..8 {
        assert_eq!(code_of(&client, grace()).await, ErrorCode::UNAVAILABLE);
        assert_eq!(refused(client.call_with(grace(), keyed(1)).await).code, ErrorCode::UNAVAILABLE);
        assert_eq!(code_of(&client, login("ada", PASSWORD)).await, ErrorCode::UNAVAILABLE);
        assert_eq!(code_of(&client, request_reset(&ada.email)).await, ErrorCode::UNAVAILABLE);
        assert_eq!(
            code_of(&client, ResendCode { verification_id: bob }).await,
            ErrorCode::UNAVAILABLE
        );
    }
    assert_eq!(
        code_of(&client, verify_email(bob, &code)).await,
        ErrorCode::CODE_EXPIRED,
        "its key is retired"
    );
    assert_eq!(code_of(&client, refresh(&ada.refresh())).await, ErrorCode::INVALID_TOKEN);
    assert_eq!(hashes().await, before, "a hash was computed needlessly");
    assert_eq!(store.entries(&all).await.unwrap().len(), rows.len(), "a change was started");

    let server = TestServer::start_in(server.stop().await, &[("JWTSECRETKEY", NEW)]).await;
    let client = server.client();
    server.login(&client, "ada").await;
    client.call_with(grace(), keyed(1)).await.unwrap();
    server.emails.code("grace@example.org", 1).await;
    // The waiting rows are sealed, after a row which records that the old key can no longer
    // authenticate the end of the chain.
    wait_until_sealed(&server).await;
    let verified =
        run_in(&home, &["audit", "verify"], &[("JWTSECRETKEY", NEW), ("DATA_DIR", &data)]);
    assert_eq!((verified.code, verified.error.as_str()), (Some(0), ""), "{verified:?}");
    let taken_over = AuditFilter {
        kind: Some("chain_taken_over".to_owned()),
        limit: 1000,
        ..AuditFilter::default()
    };
    assert_eq!(store.entries(&taken_over).await.unwrap().len(), 1);
    server.stop().await;
}
