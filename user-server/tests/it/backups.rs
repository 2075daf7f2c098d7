//! Backup and restore: the data of the backup is restored, and everything that was open (sessions,
//! codes) has ended.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use user_proto::{ErrorCode, RefreshToken};

use crate::postgres::node;
use crate::support::{
    PASSWORD, Process, TestServer, check, code_of, login, outcome, postgres, postgres_program,
    register, run_in, verify_email,
};

const REVOKED: ErrorCode = ErrorCode::SESSION_REVOKED;

fn refresh(token: &str) -> RefreshToken<'_> {
    RefreshToken { refresh_token: token.into() }
}

#[tokio::test]
async fn a_backup_made_beside_the_server_can_be_restored() {
    let process = Process::start(&[]);
    let client = process.client();
    let ada = process.account(&client, "ada").await;
    let pending = client.call(register("grace", "grace@example.org")).await.unwrap();
    let code = process.emails().code("grace@example.org", 1).await;
    let result = run_in(process.location(), &["backup", "copy"], &[]);
    assert!(
        result.code == Some(0) && result.output.contains("the database and the secret"),
        "{result:?}"
    );
    let copy = process.location().join("copy");
    assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    let repeated = run_in(process.location(), &["backup", "copy"], &[]);
    assert!(
        repeated.code == Some(1) && repeated.error.contains("choose another name"),
        "{repeated:?}"
    );

    // Changes after the backup: a refresh, a session, a user.
    let rotated = outcome(client.call(refresh(&ada.refresh())).await).unwrap();
    let later = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    let eve = process.account(&client, "eve").await;
    let busy = run_in(process.location(), &["restore", "copy", "--force"], &[]);
    assert!(busy.code == Some(1) && busy.error.contains("in use"), "{busy:?}");
    let folder = process.kill().await;
    let unforced = run_in(folder.path(), &["restore", "copy"], &[]);
    assert!(unforced.code == Some(1) && unforced.error.contains("--force"), "{unforced:?}");
    let restored = run_in(folder.path(), &["restore", "copy", "--force"], &[]);
    assert!(
        restored.code == Some(0) && restored.output.contains("ended 1 session "),
        "{restored:?}"
    );

    let process = Process::start_in(folder, &[]);
    let client = process.client();
    for access in
        [ada.access(), text(&rotated.access_token), text(&later.access_token), eve.access()]
    {
        assert_eq!(check(&client, &access).await, Some(REVOKED));
    }
    for token in
        [ada.refresh(), text(&rotated.refresh_token), text(&later.refresh_token), eve.refresh()]
    {
        assert_eq!(code_of(&client, refresh(&token)).await, REVOKED);
    }
    let old_code = code_of(&client, verify_email(pending.verification_id, &code)).await;
    assert_eq!(old_code, ErrorCode::CODE_EXPIRED);
    assert_eq!(code_of(&client, login("eve", PASSWORD)).await, ErrorCode::INVALID_CREDENTIALS);
    let session = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    assert_eq!(session.user_id, ada.session.user_id);
    assert_eq!(check(&client, &text(&session.access_token)).await, None);
    outcome(client.call(refresh(&text(&session.refresh_token))).await).unwrap();
    for leftover in
        ["users.db.restore", "users.db.restore-wal", "users.db.restore.part", "jwt-secret.part"]
    {
        assert!(!process.data().join(leftover).exists(), "{leftover}");
    }
}

/// A restore by a clock that is behind makes the tokens of before doubtful, since they were issued
/// later than the restore by that clock.
#[tokio::test]
async fn a_restore_by_a_clock_that_is_behind_brings_back_no_token() {
    let server = TestServer::start().await;
    let client = server.client();
    let hour = Duration::from_secs(3600);
    let ada = server.account(&client, "ada").await;
    assert_eq!(check(&client, &ada.access()).await, None);
    let folder = server.stop().await;
    let data = folder.path().to_str().unwrap().to_owned();
    let settings = [("DATA_DIR", data.as_str())];
    let result = run_in(folder.path(), &["backup", "copy"], &settings);
    assert_eq!(result.code, Some(0), "{result:?}");
    let server = TestServer::start_in(folder, &[]).await;
    let client = server.client();
    server.clock.advance(2 * hour);
    let later = text(&server.login(&client, "ada").await.access_token);
    let folder = server.stop().await;
    let restored = run_in(folder.path(), &["restore", "copy", "--force"], &settings);
    assert_eq!(restored.code, Some(0), "{restored:?}");

    let server = TestServer::start_in(folder, &[]).await;
    server.clock.advance(2 * hour);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(check(&server.client(), &later).await, Some(REVOKED));
    server.stop().await;
}

/// A session that a running node opens while `restore --after-pg-restore --force` ends all of them
/// ends as well, with its token.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_begins_during_a_restore_ends_with_it() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let running = node(&url, &[]).await;
    let client = running.client();
    running.account(&client, "ada").await;
    // The statement of the restore, not the one with which a login trims old sessions.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                    IF current_query() LIKE '% id <= $2' THEN PERFORM pg_sleep(3); END IF;
                    RETURN NULL;
                END $$;
                CREATE TRIGGER slow BEFORE DELETE ON sessions
                    FOR EACH STATEMENT EXECUTE FUNCTION slow();";
    assert!(server.psql(url.rsplit('/').next().unwrap(), slow));
    let folder = tempfile::tempdir().unwrap();
    let (location, settings_url) = (folder.path().to_owned(), url.clone());
    let restore = tokio::task::spawn_blocking(move || {
        let arguments = ["restore", "--after-pg-restore", "--force"];
        run_in(&location, &arguments, &settings(&settings_url))
    });
    // Until the first entry of the revocation log has ended the sessions of before.
    let mut token = text(&running.login(&client, "ada").await.access_token);
    while check(&client, &token).await.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while check(&client, &token).await.is_some() {
        tokio::time::sleep(Duration::from_millis(50)).await;
        token = text(&running.login(&client, "ada").await.access_token);
    }
    let is_during = !restore.is_finished();
    let restored = restore.await.unwrap();
    assert_eq!(restored.code, Some(0), "{restored:?}");
    assert!(is_during, "the token was issued after the restore");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(check(&client, &token).await, Some(REVOKED));
    running.stop().await;
}

#[tokio::test]
async fn a_key_stays_retired_through_a_restore() {
    let new = || run_in(std::path::Path::new("."), &["keys", "new"], &[]).output;
    let secrets = [new(), new()].map(|secret| secret.trim().to_owned());
    let settings =
        [("JWTSECRETKEY", secrets[0].as_str()), ("JWTSECRETKEY_ACCEPT", secrets[1].as_str())];
    let process = Process::start(&settings);
    let ada = process.account(&process.client(), "ada").await;
    let result = run_in(process.location(), &["backup", "copy"], &settings);
    assert_eq!(result.code, Some(0), "{result:?}");
    let kid = kid_of(&ada.access());
    let retired = run_in(process.location(), &["keys", "retire", &kid], &settings);
    assert_eq!(retired.code, Some(0), "{retired:?}");
    let folder = process.kill().await;
    let restore = ["restore", "copy", "--force"];
    let restored = run_in(folder.path(), &restore, &settings);
    assert!(restored.output.contains(&kid), "{restored:?}");
    assert!(restored.output.contains("stay retired"), "{restored:?}");
    let keys = run_in(folder.path(), &["keys", "list"], &settings);
    let line = keys.output.lines().find(|line| line.starts_with(&kid)).unwrap();
    assert!(line.contains("retired"), "{line}");

    let process = Process::start_in(folder, &settings);
    let client = process.client();
    assert_eq!(check(&client, &ada.access()).await, Some(ErrorCode::INVALID_TOKEN));
    let session = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    assert_ne!(kid_of(&text(&session.access_token)), kid);

    // A replaced database that cannot be read does not stop the restore, but is reported.
    let folder = process.kill().await;
    let database = folder.path().join("user-data").join("users.db");
    assert!(database.exists());
    std::fs::write(&database, "damaged").unwrap();
    let restored = run_in(folder.path(), &restore, &settings);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    for part in ["cannot read the retired keys", "user-server keys retire KID"] {
        assert!(restored.output.contains(part), "{restored:?}");
    }
}

/// Returns the name of the key that signed a token.
fn kid_of(token: &str) -> String {
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: serde_json::Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().unwrap().to_owned()
}

fn settings(url: &str) -> [(&str, &str); 3] {
    let secret = "a secret of at least thirty-two bytes";
    [("PostgreSQL", url), ("JWTSECRETKEY", secret), ("MAIL_DIR", "user-data/mails")]
}

fn text(secret: &user_proto::Secret<'_>) -> String {
    secret.expose_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_backup_moves_to_another_machine_with_its_secret() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    assert_eq!(run_in(process.location(), &["backup", "copy"], &[]).code, Some(0));
    let other_machine = tempfile::tempdir().unwrap();
    std::fs::copy(process.location().join("copy"), other_machine.path().join("copy")).unwrap();
    let result = run_in(other_machine.path(), &["restore", "copy"], &[]);
    assert!(result.code == Some(0) && result.output.contains("with its secret"), "{result:?}");
    let secret = |process: &Process| std::fs::read(process.data().join("jwt-secret")).unwrap();
    let moved = Process::start_in(other_machine, &[]);
    assert_eq!(secret(&moved), secret(&process));
    let mode = std::fs::metadata(moved.data().join("jwt-secret")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    outcome(moved.client().call(login("ada", PASSWORD)).await).unwrap();
    let database = std::fs::read(moved.data().join("users.db")).unwrap();
    let secret = secret(&moved);
    assert!(
        !database.windows(secret.len()).any(|window| window == secret),
        "the secret is in the database too"
    );
}

#[tokio::test]
async fn an_invalid_backup_changes_nothing() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    assert_eq!(run_in(process.location(), &["backup", "copy"], &[]).code, Some(0));
    let folder = process.kill().await;
    let mut damaged = std::fs::read(folder.path().join("copy")).unwrap();
    let middle = damaged.len() / 2;
    damaged.truncate(middle);
    std::fs::write(folder.path().join("short"), damaged).unwrap();
    std::fs::write(folder.path().join("text"), "no database").unwrap();
    std::fs::copy(folder.path().join("user-data/users.db"), folder.path().join("live")).unwrap();
    for file in ["short", "text", "live", "missing"] {
        let result = run_in(folder.path(), &["restore", file, "--force"], &[]);
        assert_eq!(result.code, Some(1), "{file}: {result:?}");
    }
    let process = Process::start_in(folder, &[]);
    outcome(process.client().call(login("ada", PASSWORD)).await).unwrap();
}

#[tokio::test]
async fn a_backup_with_one_changed_byte_is_refused() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    assert_eq!(run_in(process.location(), &["backup", "copy"], &[]).code, Some(0));
    let folder = process.kill().await;
    let intact = std::fs::read(folder.path().join("copy")).unwrap();
    let positions = [16, 60, 70, 99, 100, intact.len() / 3, intact.len() / 2, intact.len() - 1];
    for position in positions {
        let mut damaged = intact.clone();
        damaged[position] ^= 1;
        std::fs::write(folder.path().join("damaged"), damaged).unwrap();
        let run = run_in(folder.path(), &["restore", "damaged", "--force"], &[]);
        assert_eq!(run.code, Some(1), "{position}: {run:?}");
        assert!(run.error.contains("its checksum is wrong"), "{position}: {run:?}");
    }
    let restored = run_in(folder.path(), &["restore", "copy", "--force"], &[]);
    assert_eq!(restored.code, Some(0), "{restored:?}");
    // The fields of the checksum are empty in the database.
    let database = std::fs::read(folder.path().join("user-data/users.db")).unwrap();
    assert_eq!((&database[60..64], &database[68..72]), (&[0; 4][..], &[0; 4][..]));
}

#[test]
fn a_backup_that_fails_names_its_file_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), &["migrate"], &[]).code, Some(0));
    for (file, part) in [("-", "standard output"), ("none/copy", "none/copy: No such file")] {
        let run = run_in(folder.path(), &["backup", file], &[]);
        assert!(run.code == Some(1) && run.error.contains(part), "{file}: {run:?}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "only the data folder: {left:?}");
}

#[tokio::test]
async fn a_restored_dump_of_postgres_ends_all_sessions() {
    let Some(server) = postgres() else { return };
    let program = |name| postgres_program(name, "a restored dump of PostgreSQL");
    let (Some(pg_dump), Some(pg_restore)) = (program("pg_dump"), program("pg_restore")) else {
        return;
    };
    let (from, to) = (server.database(), server.database());
    let (from, to) = (settings(&from), settings(&to));
    let process = Process::start(&from);
    let client = process.client();
    let ada = process.account(&client, "ada").await;
    // The commands of docs/OPERATIONS.md.
    let dump = Command::new(pg_dump)
        .args(["-Fc", "-f"])
        .arg(process.location().join("copy"))
        .arg(from[0].1)
        .status();
    assert!(dump.unwrap().success());
    let later = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    let folder = process.kill().await;
    let mut pg_restore = Command::new(pg_restore);
    pg_restore
        .args(["--exit-on-error", "--no-owner", "-d", to[0].1])
        .arg(folder.path().join("copy"));
    assert!(pg_restore.status().unwrap().success());
    let result = run_in(folder.path(), &["restore", "--after-pg-restore"], &to);
    assert!(result.code == Some(0) && result.output.contains("ended 1 session "), "{result:?}");
    assert!(result.output.contains("user-server keys retire KID"), "{result:?}");

    let process = Process::start_in(folder, &to);
    let client = process.client();
    for access in [ada.access(), text(&later.access_token)] {
        assert_eq!(check(&client, &access).await, Some(REVOKED));
    }
    for token in [ada.refresh(), text(&later.refresh_token)] {
        assert_eq!(code_of(&client, refresh(&token)).await, REVOKED);
    }
    let session = outcome(client.call(login("ada", PASSWORD)).await).unwrap();
    assert_eq!(check(&client, &text(&session.access_token)).await, None);
    let result = run_in(process.location(), &["backup", "other"], &to);
    assert!(result.code == Some(1) && result.error.contains("pg_dump"), "{result:?}");
    let result = run_in(process.location(), &["restore", "copy"], &to);
    assert!(result.code == Some(1) && result.error.contains("--after-pg-restore"), "{result:?}");
}
