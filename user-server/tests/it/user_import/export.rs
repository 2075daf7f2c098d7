//! Export from one database and import into the other.

use std::os::unix::fs::PermissionsExt;

use crate::support::{login, outcome, run_in};

use super::files::audit_rows;
use super::{PASSWORD, UserRow, bcrypt, csv, import, on_postgres, user_row};

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn an_export_of_one_database_imports_unchanged_into_the_other() {
    let Some(settings) = on_postgres() else { return };
    let settings = borrowed(&settings);
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hash = bcrypt(4);
    let rows: Vec<UserRow> =
        (0..1100).map(|number| user_row(&format!("User{number}"), &hash)).collect();
    let text = csv(&rows).replacen("User0,", "Üser0,", 1);
    std::fs::write(first.path().join("users.csv"), text).unwrap();
    let result = import(first.path(), &["users.csv"], &[]);
    assert_eq!(result.code, Some(0), "{result:?}");
    assert_eq!(run_in(first.path(), &["user", "disable", "user7"], &[]).code, Some(0));

    let export = |folder: &std::path::Path, format: &str, settings: &[(&str, &str)]| {
        let name = format!("all.{format}");
        // An export never replaces a file.
        let _ = std::fs::remove_file(folder.join(&name));
        let result = run_in(folder, &["export", &name, "--operator", "root"], settings);
        assert!(result.code == Some(0) && result.error.contains("password hashes"), "{result:?}");
        let path = folder.join(&name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(path).unwrap()
    };
    for format in ["csv", "jsonl"] {
        let before = export(first.path(), format, &[]);
        assert!(before.lines().count() >= 1100);
        std::fs::write(second.path().join(format!("in.{format}")), &before).unwrap();
        let result = import(second.path(), &[&format!("in.{format}")], &settings);
        assert_eq!(result.code, Some(0), "{result:?}");
        assert!(export(second.path(), format, &settings) == before, "{format}: the exports differ");
    }
    let missing_folder =
        run_in(first.path(), &["export", "no/such/folder.csv", "--operator", "root"], &[]);
    assert_eq!(missing_folder.code, Some(1), "{missing_folder:?}");
    for (folder, settings) in [(first.path(), &[][..]), (second.path(), &settings)] {
        assert_eq!(
            audit_rows(folder, "exported", settings),
            ["csv", "jsonl"].map(|how| ("root".to_owned(), how.to_owned()))
        );
    }
    let to_output = run_in(first.path(), &["export"], &[]);
    assert!(
        to_output
            .output
            .starts_with("id,username,email,password_hash,created_at,verified,disabled_at\n")
    );
    let to_output = run_in(first.path(), &["export", "-", "--format", "jsonl"], &[]);
    assert!(
        to_output.output.starts_with("{\"") && !first.path().join("-").exists(),
        "{to_output:?}"
    );
    // And back, into an embedded database.
    let third = tempfile::tempdir().unwrap();
    std::fs::copy(second.path().join("all.jsonl"), third.path().join("users.jsonl")).unwrap();
    assert_eq!(import(third.path(), &["users.jsonl"], &[]).code, Some(0));
    let process = crate::support::Process::start_in(third, &[]);
    let client = process.client();
    outcome(client.call(login("üser0", PASSWORD)).await).unwrap();
    let disabled = outcome(client.call(login("user7", PASSWORD)).await).map(drop);
    assert_eq!(disabled, Err(user_proto::ErrorCode::ACCOUNT_DISABLED));
}

#[tokio::test]
async fn formulas_are_marked_in_csv_and_come_back_unchanged() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let names = ["=cmd|calc", "+ada", "-bob", "plain", "'=eve", "'quoted"];
    let hash = bcrypt(4);
    let mut json = String::new();
    for (number, name) in names.iter().enumerate() {
        let row = serde_json::json!({
            "id": uuid::Uuid::from_u128(number as u128 + 1).to_string(),
            "username": name,
            "email": format!("=user{number}@example.org"),
            "password_hash": hash,
            "verified": true,
        });
        json.push_str(&format!("{row}\n"));
    }
    std::fs::write(first.path().join("users.jsonl"), json).unwrap();
    assert_eq!(import(first.path(), &["users.jsonl"], &[]).code, Some(0));
    let export = |folder: &std::path::Path, format: &str| {
        let run = run_in(folder, &["export", "-", "--format", format], &[]);
        assert_eq!(run.code, Some(0), "{run:?}");
        run.output
    };
    let csv = export(first.path(), "csv");
    for line in csv.lines().skip(1) {
        for cell in line.split(',') {
            let cell = cell.trim_start_matches('"');
            assert!(!cell.starts_with(['=', '+', '-', '@']), "{line}");
        }
    }
    // Also through standard input.
    let piped = crate::support::run_with_input(second.path(), &["import", "-"], csv.as_bytes());
    assert_eq!(piped.code, Some(0), "{piped:?}");
    assert_eq!(export(second.path(), "jsonl"), export(first.path(), "jsonl"));

    std::fs::write(first.path().join("taken.csv"), "valuable").unwrap();
    let refused = run_in(first.path(), &["export", "taken.csv"], &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.error.contains("already exists"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(first.path().join("taken.csv")).unwrap(), "valuable");
}
