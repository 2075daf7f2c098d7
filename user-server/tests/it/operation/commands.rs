//! Commands: what they change, what they report, and what they leave behind.

use serde_json::Value;
use user_proto::{Common, GetUser};

use crate::support::{Process, SECRET, postgres, run_in};

/// Commands that change no schema.
const COMMANDS: &[&[&str]] = &[
    &["user", "list"],
    &["audit", "list"],
    &["audit", "verify"],
    &["fsck"],
    &["keys", "list"],
    &["export"],
];

#[tokio::test]
async fn only_a_start_migrate_restore_and_import_change_a_schema() {
    let folder = tempfile::tempdir().unwrap();
    for command in COMMANDS {
        let run = run_in(folder.path(), command, &[]);
        assert!(
            run.code == Some(1) && run.error.contains("does not exist"),
            "{command:?}: {run:?}"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{command:?}");
    }
    let dry = run_in(folder.path(), &["migrate", "--dry-run"], &[]);
    assert!(dry.code == Some(0) && dry.output.contains("would apply 0001 accounts"), "{dry:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let migrated = run_in(folder.path(), &["migrate"], &[]);
    assert!(migrated.output.contains("applied 0001 accounts"), "{migrated:?}");
    let again = run_in(folder.path(), &["migrate"], &[]);
    assert!(again.code == Some(0) && again.output.contains("is up to date"), "{again:?}");
    // The database of an earlier version.
    let path = folder.path().join("user-data/users.db");
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let newest = "SELECT MAX(version) FROM _sqlx_migrations";
    let version: i64 = sqlx::query_scalar(newest).fetch_one(&database).await.unwrap();
    let forget = "DELETE FROM _sqlx_migrations WHERE version = $1";
    sqlx::query(forget).bind(version).execute(&database).await.unwrap();
    let before: i64 = sqlx::query_scalar(newest).fetch_one(&database).await.unwrap();
    database.close().await;
    let message =
        format!("schema {before}, this version needs {version}: run: user-server migrate");
    for command in COMMANDS {
        let run = run_in(folder.path(), command, &[]);
        assert!(run.code == Some(1) && run.error.contains(&message), "{command:?}: {run:?}");
    }
}

#[test]
fn commands_do_not_migrate_postgres_and_show_no_notice_of_the_driver() {
    let Some(server) = postgres() else { return };
    let (url, folder) = (server.database(), tempfile::tempdir().unwrap());
    let settings = [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", "mails")];
    for command in COMMANDS {
        let run = run_in(folder.path(), command, &settings);
        assert!(run.code == Some(1) && run.error.contains("schema 0, this version"), "{run:?}");
    }
    let name = url.rsplit('/').next().unwrap();
    assert!(!server.psql(name, "SELECT 1 FROM users"), "nothing was created");
    for _ in 0..2 {
        let migrated = run_in(folder.path(), &["migrate"], &settings);
        assert_eq!((migrated.code, migrated.error.as_str()), (Some(0), ""), "{migrated:?}");
    }
    let list = run_in(folder.path(), &["user", "list"], &settings);
    assert_eq!((list.code, list.error.as_str()), (Some(0), ""), "{list:?}");
}

#[test]
fn an_empty_audit_log_is_not_verified_successfully() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), &["migrate"], &[]).code, Some(0));
    let verify = run_in(folder.path(), &["audit", "verify"], &[]);
    assert_eq!(verify.code, Some(1), "{verify:?}");
    assert!(verify.error.contains("nothing to verify"), "{verify:?}");
    assert!(!verify.output.contains("good"), "{verify:?}");
}

#[test]
fn a_file_that_is_not_a_backup_is_refused_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(run_in(empty.path(), &["migrate"], &[]).code, Some(0));
    let database = std::fs::read(empty.path().join("user-data/users.db")).unwrap();
    let mut damaged = database.clone();
    damaged[200..].fill(0xff);
    for bytes in [&b"not a backup"[..], &b"x".repeat(10_000), &[], &database, &damaged] {
        std::fs::write(folder.path().join("copy"), bytes).unwrap();
        let run = run_in(folder.path(), &["restore", "copy"], &[]);
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.error.contains("copy is not a usable backup"), "{run:?}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}

#[tokio::test]
async fn the_audit_log_names_the_operator_without_a_login_shell() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    let operators = |settings: &[(&str, &str)], more: &[&str]| {
        let command = [&["user", "unlock", "ada"], more].concat();
        let run = run_in(process.location(), &command, settings);
        assert_eq!(run.code, Some(0), "{run:?}");
        let list =
            run_in(process.location(), &["audit", "list", "--kind", "unlocked", "--json"], &[]);
        let line: Value = serde_json::from_str(list.output.lines().last().unwrap()).unwrap();
        line["operator"].as_str().unwrap().to_owned()
    };
    let own = std::process::Command::new("id").arg("-un").output().unwrap().stdout;
    assert_eq!(operators(&[], &[]), String::from_utf8(own).unwrap().trim());
    assert_eq!(operators(&[("USER", "ada")], &[]), "ada");
    assert_eq!(operators(&[("USER", "root"), ("SUDO_USER", "bob")], &[]), "bob (as root)");
    assert_eq!(operators(&[("USER", "root")], &["--operator", "eve"]), "eve");
}

#[tokio::test]
async fn json_output_has_one_convention() {
    let process = Process::start(&[]);
    process.account(&process.client(), "ada").await;
    let lines = |command: &[&str]| -> Vec<Value> {
        let run = run_in(process.location(), command, &[]);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let checks = lines(&["check", "--json"]);
    assert!(checks.iter().all(|line| line["good"] == true && line["component"].is_string()));
    let invariants = lines(&["fsck", "--json"]);
    assert!(invariants.len() > 10 && invariants.iter().all(|line| line["violations"] == 0));
    let keys = lines(&["keys", "list", "--json"]);
    assert_eq!(keys[0]["role"], "signs");
    assert_eq!((&keys[0]["sessions"], &keys[0]["retired_at"]), (&1.into(), &Value::Null));
    let kid = keys[0]["kid"].as_str().unwrap().to_owned();
    let retire = run_in(process.location(), &["keys", "retire", &kid, "--force"], &[]);
    assert_eq!(retire.code, Some(0), "{retire:?}");
    let keys = lines(&["keys", "list", "--json"]);
    assert_eq!(keys[0]["role"], "retired");
    assert!(keys[0]["retired_at"].as_str().unwrap().ends_with('Z'), "{keys:?}");
}

#[tokio::test]
async fn a_request_in_the_log_has_its_connection_peer_and_traceparent() {
    let Some(server) = postgres() else { return };
    let url = server.database();
    let folder = tempfile::tempdir().unwrap();
    let mails = folder.path().join("mails");
    let settings = [
        ("PostgreSQL", url.as_str()),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", mails.to_str().unwrap()),
        ("LOG_FORMAT", "json"),
    ];
    let process = Process::start(&settings);
    let client = process.client();
    let token = {
        let node = crate::postgres::node(&url, &[]).await;
        let registered = node.register(&client, "ada", "ada@example.org").await;
        let written = crate::support::EmailFolder(mails.clone());
        let code = tokio::select! {
            code = node.emails.code("ada@example.org", 1) => code,
            code = written.code("ada@example.org", 1) => code,
        };
        let verify = crate::support::verify_email(registered.verification_id, &code);
        let session = client.call(verify).await.unwrap();
        node.stop().await;
        session.access_token
    };
    let name = url.rsplit('/').next().unwrap();
    assert!(server.psql(name, "ALTER TABLE sessions RENAME TO hidden"));
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let common = Common { traceparent: Some(trace.into()), ..Common::default() };
    client.call_with(GetUser { access_token: token }, common).await.unwrap_err();
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let log = process.log();
    let line_with = |text: &str| -> Value {
        let line = log.lines().rfind(|line| line.contains(text)).expect(&log);
        let line: Value = serde_json::from_str(line).unwrap();
        let span = &line["span"];
        assert_eq!(span["traceparent"], trace, "{line}");
        assert_eq!(span["peer"], "127.0.0.1", "{line}");
        assert_eq!(span["request"], "GetUser", "{line}");
        assert!(span["connection"].as_u64().unwrap() > 0, "{line}");
        assert!(line["spans"].is_null(), "the span is there once: {line}");
        line
    };
    let failed = line_with("a request failed");
    assert!(!failed["fault"].as_str().unwrap().contains("internal"), "{failed}");
    let answered = line_with("a request was answered");
    assert_eq!(answered["outcome"], "UNAVAILABLE", "{answered}");
    assert!(answered["duration_ms"].is_u64(), "{answered}");
}

#[test]
fn the_help_is_short_or_complete_and_the_man_pages_have_their_sections() {
    let folder = tempfile::tempdir().unwrap();
    let help = |option: &str| run_in(folder.path(), &[option], &[]).output;
    let (short, long) = (help("-h"), help("--help"));
    assert!(short.lines().count() < 40, "{short}");
    assert!(long.contains("TCP_PORT") && !short.contains("TCP_PORT"));
    let written = run_in(folder.path(), &["man", "pages"], &[("TCP_PORT", "not needed")]);
    assert_eq!(written.code, Some(0), "{written:?}");
    let page =
        |name: &str| std::fs::read_to_string(folder.path().join("pages").join(name)).unwrap();
    let general = page("user-server.1");
    for section in [
        "SYNOPSIS",
        "OPTIONS",
        "EXAMPLES",
        "\"EXIT STATUS\"",
        "ENVIRONMENT",
        "FILES",
        "SIGNALS",
        "\"SEE ALSO\"",
    ] {
        assert!(general.contains(&format!(".SH {section}")), "{section}: {general}");
    }
    for name in ["check", "status", "user", "user-find", "audit-verify"] {
        assert!(page(&format!("user-server-{name}.1")).contains(".SH NAME"), "{name}");
    }
    for part in ["<FILE>", "NO_COLOR", "CREDENTIALS_DIRECTORY"] {
        assert!(general.contains(part), "{part}: {general}");
    }
    // Names and URLs are copied from the pages.
    let title =
        ".TH user-server-user-send-reset 1 \"\" \"user-server 0.1.0\" \"User service\"\n.nh\n";
    assert!(page("user-server-user-send-reset.1").contains(title));
    for entry in std::fs::read_dir(folder.path().join("pages")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = page(&name);
        assert!(text.contains(".SH EXAMPLES"), "{name}");
        if name != "user-server.1" {
            assert!(!text.contains("The server did not start"), "{name}");
            let command = name.trim_start_matches("user-server-").trim_end_matches(".1");
            let command = command.replacen("user-", "user ", 1);
            let command = command.replacen("keys-", "keys ", 1).replacen("audit-", "audit ", 1);
            let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
            let help = run_in(folder.path(), &arguments, &[]).output;
            assert!(help.contains("Examples:\n  "), "{name}: {help}");
        }
        for status in ["\\fB2\\fR", "\\fB64\\fR"] {
            assert!(text.contains(status), "{name}: {status}");
        }
    }
    let restore = page("user-server-restore.1");
    assert!(restore.contains("after\\-pg\\-restore once"), "{restore}");
    assert!(restore.contains(".SH EXAMPLES") && !restore.contains("See also"), "{restore}");
    assert!(page("user-server-import.1").contains("Some rows were rejected."));
    assert!(!page("user-server-backup.1").contains("for `import`"));
    for shell in ["bash", "zsh", "fish"] {
        let script = run_in(folder.path(), &["completions", shell], &[]);
        assert!(script.code == Some(0) && script.output.contains("user-server"), "{script:?}");
    }
}
