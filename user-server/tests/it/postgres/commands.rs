//! The operators' commands `migrate` and `check`.

use user_server::store::PostgresStore;

use crate::support::{SECRET, postgres, run_in};

#[test]
fn an_operator_migrates_manually() {
    let Some(server) = postgres() else { return };
    let folder = tempfile::tempdir().unwrap();
    let url = server.database();
    let settings = [
        ("PostgreSQL", url.as_str()),
        ("JWTSECRETKEY", SECRET),
        ("MAIL_DIR", "user-data/mails"),
        ("MIGRATE", "off"),
    ];
    let before = run_in(folder.path(), &[], &settings);
    assert_eq!(before.code, Some(1), "{before:?}");
    let result = run_in(folder.path(), &["migrate"], &settings);
    assert_eq!((result.code, result.error.as_str()), (Some(0), ""), "{result:?}");
    let newest = PostgresStore::newest_schema();
    assert!(result.output.contains(&format!("schema 0 is now {newest}")), "{result:?}");
    let again = run_in(folder.path(), &["migrate"], &settings);
    assert!(again.code == Some(0) && again.output.contains("is up to date"), "{again:?}");
    assert!(server.psql(url.rsplit('/').next().unwrap(), "SELECT * FROM users"));
}

#[test]
fn check_connects_to_the_configured_services() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = run_in(folder.path(), &["check"], &[]);
    assert_eq!((embedded.code, embedded.error.as_str()), (Some(0), ""), "{embedded:?}");
    assert_eq!(embedded.output.matches("good ").count(), 6, "{embedded:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "check changes nothing");

    let Some(server) = postgres() else { return };
    let url = server.database();
    let settings = [("PostgreSQL", url.as_str()), ("JWTSECRETKEY", SECRET), ("MAIL_DIR", "mails")];
    let fresh = run_in(folder.path(), &["check"], &settings);
    assert_eq!(fresh.code, Some(0), "{fresh:?}");
    let newest = format!("the next start updates it to {}", PostgresStore::newest_schema());
    assert!(fresh.output.contains(&newest), "{fresh:?}");

    let by_hand = [&settings[..], &[("MIGRATE", "off")]].concat();
    let behind = run_in(folder.path(), &["check"], &by_hand);
    assert_eq!(behind.code, Some(1), "{behind:?}");
    assert!(
        behind.output.contains("WRONG  schema") && behind.output.contains("user-server migrate"),
        "{behind:?}"
    );

    let closed = "postgresql://tests:hunter2@127.0.0.1:1/users";
    let smtp = [
        ("SMTP_HOST", "127.0.0.1"),
        ("SMTP_PORT", "1"),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", "u@users.example"),
    ];
    let unreachable = run_in(
        folder.path(),
        &["check"],
        &[&[("PostgreSQL", closed), settings[1]], &smtp[..]].concat(),
    );
    assert_eq!(unreachable.code, Some(1), "{unreachable:?}");
    assert_eq!(unreachable.output.matches("WRONG").count(), 2, "{unreachable:?}");
    assert!(!format!("{unreachable:?}").contains("hunter2"), "{unreachable:?}");
}
