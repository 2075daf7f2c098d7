//! The audit log from the operator's view: listed and verified beside a running server, with every
//! kind of tampering detected.

use std::time::Duration;

use user_proto::{DeleteUser, ErrorCode, Logout, RefreshToken};
use user_server::domain::{AuditFilter, AuditTrail, Clock};
use user_server::store::SqliteStore;

use crate::support::{PASSWORD, TestServer, code_of, login, on_behalf_of, run_in};

/// Waits until every row is sealed.
pub async fn wait_until_sealed(server: &TestServer) {
    let store = SqliteStore::open_read_only(&server.folder.path().join("users.db"));
    for _ in 0..400 {
        if store.unsealed().await.unwrap().rows == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("unsealed rows remain");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_row_is_detected() {
    let server = TestServer::start().await;
    let client = server.client();
    let ada = server.account(&client, "ada").await;
    server.account(&client, "grace").await;
    let client_address = || on_behalf_of("192.0.2.7");
    let session = client.call_with(login("ada", PASSWORD), client_address()).await.unwrap();
    client
        .call_with(RefreshToken { refresh_token: session.refresh_token.clone() }, client_address())
        .await
        .unwrap();
    for _ in 0..2 {
        let wrong = client.call_with(login("ada", "tides rise at ten"), client_address()).await;
        assert_eq!(wrong.unwrap_err().code(), Some(ErrorCode::INVALID_CREDENTIALS));
        let unknown_user = client
            .call_with(login("a secret as a name", "tides rise at ten"), client_address())
            .await;
        assert_eq!(unknown_user.unwrap_err().code(), Some(ErrorCode::INVALID_CREDENTIALS));
    }
    client.call(Logout { token: session.access_token.clone(), all_sessions: None }).await.unwrap();
    wait_until_sealed(&server).await;

    let folder = server.folder.path().to_owned();
    let data = folder.to_str().unwrap().to_owned();
    let run = move |arguments: &[&str]| run_in(&folder, arguments, &[("DATA_DIR", &data)]);
    let listed = run(&["audit", "list", "--json"]);
    assert_eq!((listed.code, listed.error.as_str()), (Some(0), ""), "{listed:?}");
    let kinds = ["registered", "verified", "logged_in", "refreshed", "login_failed", "logged_out"];
    for kind in kinds {
        assert!(
            listed.output.contains(&format!("\"kind\":\"{kind}\"")),
            "{kind}: {}",
            listed.output
        );
    }
    let failed = run(&["audit", "list", "--kind", "login_failed"]);
    assert_eq!(failed.output.lines().count(), 4, "{failed:?}");
    assert!(failed.output.contains("from 192.0.2.7"), "{failed:?}");
    assert_eq!(run(&["audit", "list", "--kind", "none"]).code, Some(2));

    let verified = run(&["audit", "verify"]);
    assert_eq!((verified.code, verified.error.as_str()), (Some(0), ""), "{verified:?}");
    let chain_end = verified
        .output
        .lines()
        .find_map(|line| line.strip_prefix("end       "))
        .unwrap()
        .to_owned();
    assert_eq!(run(&["audit", "verify", "--expect", &chain_end]).code, Some(0));

    let rows = listed.output + &failed.output;
    let secrets = [
        PASSWORD,
        "tides rise",
        "a secret as a name",
        "example.org",
        "\"ada\"",
        session.access_token.expose_str().unwrap(),
    ];
    for secret in secrets {
        assert!(!rows.contains(secret), "{secret} is in the audit log");
    }
    let delete = DeleteUser {
        access_token: ada.session.access_token.clone(),
        current_password: PASSWORD.into(),
    };
    client.call(delete).await.unwrap();
    // Adds a later row: deleting the last row would otherwise also delete the reason for the
    // erasures.
    server.login(&client, "grace").await;
    wait_until_sealed(&server).await;
    let erased = run(&["audit", "verify", "--expect", &chain_end]);
    assert_eq!(erased.code, Some(0), "{erased:?}");
    assert!(erased.output.contains("erased    the network of"), "{erased:?}");

    let folder = server.stop().await;
    let tampered = [
        ("UPDATE audit SET detail = 'x' WHERE seq = 2", "it was changed"),
        ("UPDATE audit SET kind = 'refreshed' WHERE seq = 3", "it was changed"),
        ("DELETE FROM audit WHERE seq = 3", "rows are missing before it"),
        ("INSERT INTO audit (id, at, kind, detail, seq, commitment, hash, kid, mac)
          SELECT randomblob(16), at, kind, detail, 0, commitment, hash, kid, mac FROM audit WHERE seq = 2", "before the start"),
        ("INSERT INTO audit (id, at, kind, detail, seq)
          SELECT randomblob(16), at, kind, detail, -5 FROM audit WHERE seq = 2", "or moved"),
        ("UPDATE audit SET seq = CASE seq WHEN 2 THEN 1002 ELSE 1003 END WHERE seq IN (2, 3);
          UPDATE audit SET seq = 1005 - seq WHERE seq > 1000", "or moved"),
        ("UPDATE audit SET network = '192.0.2.9' WHERE kind = 'login_failed' AND network IS NOT NULL", "its network was changed"),
        ("UPDATE audit SET network = NULL, salt = NULL WHERE kind = 'login_failed' AND network IS NOT NULL", "was not deleted"),
        ("DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit)", "rows are missing after it"),
        ("DELETE FROM audit WHERE seq = (SELECT MAX(seq) FROM audit);
          UPDATE audit_chain SET seq = (SELECT MAX(seq) FROM audit), hash = (SELECT hash FROM audit ORDER BY seq DESC LIMIT 1)", "the end of the chain was changed"),
    ];
    let original = std::fs::read(folder.path().join("users.db")).unwrap();
    let data = folder.path().to_str().unwrap();
    for (change, expected) in tampered {
        for companion in ["users.db-wal", "users.db-shm"] {
            let _ = std::fs::remove_file(folder.path().join(companion));
        }
        std::fs::write(folder.path().join("users.db"), &original).unwrap();
        let database = sqlx::SqlitePool::connect(folder.path().join("users.db").to_str().unwrap())
            .await
            .unwrap();
        sqlx::raw_sql(change).execute(&database).await.unwrap();
        database.close().await;
        let found = run_in(folder.path(), &["audit", "verify"], &[("DATA_DIR", data)]);
        assert_eq!(found.code, Some(1), "{change}: {found:?}");
        assert!(found.error.contains(expected), "{change}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throttled_logins_are_logged_once_a_minute() {
    let server = TestServer::start().await;
    server.clock.freeze();
    let client = server.client();
    let into_minute = u64::try_from(server.clock.now().0.rem_euclid(60_000)).unwrap();
    server.clock.advance(Duration::from_millis(60_000 - into_minute));
    let log_in_repeatedly = async || {
        for _ in 0..12 {
            let _ = client
                .call_with(login("nobody", "tides rise at ten"), on_behalf_of("192.0.2.7"))
                .await;
        }
    };
    log_in_repeatedly().await;
    assert_eq!(
        code_of(&client, login("ada", "tides rise at ten")).await,
        ErrorCode::INVALID_CREDENTIALS
    );
    let store = SqliteStore::open_read_only(&server.folder.path().join("users.db"));
    let rows = async |kind: &str| {
        let filter =
            AuditFilter { kind: Some(kind.to_owned()), limit: 1000, ..AuditFilter::default() };
        store.entries(&filter).await.unwrap()
    };
    assert_eq!(rows("login_failed").await.len(), 6);
    assert_eq!(rows("throttled").await.len(), 1);
    server.clock.advance(Duration::from_millis(59_999));
    log_in_repeatedly().await;
    assert_eq!(rows("throttled").await.len(), 1, "still the same minute");
    server.clock.advance(Duration::from_millis(1));
    log_in_repeatedly().await;
    let throttled = rows("throttled").await;
    assert_eq!(throttled.len(), 2);
    assert!(
        throttled[0].subject.is_some() && throttled[0].subject == throttled[1].subject,
        "the subject is the keyed hash of the login"
    );
    server.stop().await;
}

/// The lease of a clock that was ahead does not stop the sealing until that time has come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_sealed_after_a_clock_that_was_ahead_is_put_right() {
    let server = TestServer::start().await;
    server.clock.advance(Duration::from_secs(30 * 86_400));
    server.account(&server.client(), "ada").await;
    wait_until_sealed(&server).await;
    let server = TestServer::start_in(server.stop().await, &[]).await;
    server.account(&server.client(), "grace").await;
    wait_until_sealed(&server).await;
    let folder = server.folder.path().to_owned();
    let data = folder.to_str().unwrap();
    let verified = run_in(&folder, &["audit", "verify"], &[("DATA_DIR", data)]);
    assert_eq!(verified.code, Some(0), "{verified:?}");
    assert!(verified.output.contains("; 0 waiting to be sealed"), "{verified:?}");
    server.stop().await;
}
