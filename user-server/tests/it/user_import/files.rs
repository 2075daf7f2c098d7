//! Import from files: rejected rows with their reasons, and repeated imports.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Process, login, outcome, run_in};

use super::{PASSWORD, bcrypt, csv, import, on_postgres, user_row};

#[test]
fn a_rejected_row_is_reported_with_its_line_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let hash = bcrypt(4);
    let ada = user_row("ada", &hash);
    let mut text = csv(std::slice::from_ref(&ada));
    let id = || uuid::Uuid::new_v4();
    for row in [
        format!("{},ADA,other@example.org,{hash},,true", id()),
        format!("17,b17,b17@example.org,{hash},,true"),
        format!("{},costly,costly@example.org,{},,true", id(), hash.replace("$2b$04$", "$2b$15$")),
        format!("{},plain,plain@example.org,geheim,,true", id()),
        format!("{},unverified,unverified@example.org,{hash},,false", id()),
        format!("{},short", id()),
        format!("{},\"quoted, over\ntwo lines\",q@example.org,{hash},,true", id()),
        format!("{},last,last@example.org,{hash},,true", id()),
    ] {
        text += &row;
        text.push('\n');
    }
    std::fs::write(folder.path().join("users.csv"), text).unwrap();
    let dry_run = import(folder.path(), &["users.csv", "--dry-run"], &[]);
    assert_eq!(
        (dry_run.code, dry_run.output.as_str()),
        (Some(1), "2 would be imported, 0 already present, 7 rejected\n")
    );
    let result = import(folder.path(), &["users.csv", "--rejects", "rejected.csv"], &[]);
    assert_eq!(
        (result.code, result.output.as_str()),
        (Some(1), "2 imported, 0 already present, 7 rejected\n"),
        "{result:?}"
    );
    let path = folder.path().join("rejected.csv");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let rejected = std::fs::read_to_string(&path).unwrap();
    for expected in [
        "line,id,reason",
        "3,",
        "username is taken",
        "4,,id: not a UUID",
        "cost is higher than 14",
        "\n6,",
        "\n7,",
        "\n9,",
    ] {
        assert!(rejected.contains(expected), "no `{expected}` in {rejected}");
    }
    assert!(
        !rejected.contains("$2b$")
            && !rejected.contains("geheim")
            && !dry_run.error.contains("geheim"),
        "{rejected}"
    );
    let again = import(folder.path(), &["users.csv", "--include-unverified"], &[]);
    assert_eq!(
        (again.code, again.output.as_str()),
        (Some(1), "1 imported, 2 already present, 6 rejected\n")
    );
}

#[test]
fn lines_are_counted_with_empty_ones_and_rejected_rows_are_in_order() {
    let hash = bcrypt(4);
    for (name, line_break) in [("unix.csv", "\n"), ("windows.csv", "\r\n")] {
        let folder = tempfile::tempdir().unwrap();
        let row =
            |name: &str| format!("{},{name},{name}@example.org,{hash},,true", uuid::Uuid::new_v4());
        let lines = [
            "id,username,email,password,created_at,verified".to_owned(),
            row("ada"),
            String::new(),
            // Only the database knows that it is taken.
            row("ADA"),
            String::new(),
            String::new(),
            "17,b,b@example.org,x,,true".to_owned(),
            format!("{},\"two{line_break}lines\",q@example.org,{hash},,true", uuid::Uuid::new_v4()),
            row("future").replace(",,true", ",2030-01-01,true"),
            row("ada"),
            "18,b,b@example.org,x,,true".to_owned(),
        ];
        let text = lines.join(line_break);
        std::fs::write(folder.path().join(name), text).unwrap();
        let run = import(folder.path(), &[name, "--rejects", "rejected.csv"], &[]);
        assert_eq!(run.output, "1 imported, 0 already present, 6 rejected\n", "{run:?}");
        let rejected = std::fs::read_to_string(folder.path().join("rejected.csv")).unwrap();
        let numbers: Vec<&str> =
            rejected.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!(numbers, ["4", "7", "8", "10", "11", "12"], "{name}: {rejected}");
        assert!(rejected.contains("created_at: the time is in the future"), "{rejected}");
        let again = import(folder.path(), &[name, "--rejects", "rejected.csv"], &[]);
        assert!(again.code == Some(2) && again.error.contains("already exists"), "{again:?}");
    }
}

#[test]
fn an_import_that_cannot_begin_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("empty.csv", b"");
    write("empty.jsonl", b"");
    write("binary.csv", b"\x7fELF\xff\xfe\n\x00");
    let rows = csv(&[user_row("ada", &bcrypt(4)), user_row("b", &bcrypt(4))]);
    write("users.csv", rows.as_bytes());
    for (arguments, code, expected) in [
        (&["empty.csv"][..], 2, "empty.csv is empty"),
        (&["empty.jsonl"], 2, "is empty"),
        (&["binary.csv"], 2, "cannot import binary.csv: its first line is not UTF-8"),
        (&["users.csv", "--table", "x"], 2, "cannot be used with"),
        (&["users.csv", "--rejects", "/dev/full"], 2, "/dev/full already exists"),
        (&["."], 2, ".csv or .jsonl"),
    ] {
        let run = import(folder.path(), arguments, &[]);
        assert_eq!(run.code, Some(code), "{arguments:?}: {run:?}");
        assert!(run.error.contains(expected), "{arguments:?}: {run:?}");
    }
}

#[tokio::test]
async fn an_import_runs_beside_a_server_and_can_be_repeated() {
    let process = Process::start(&[]);
    let hash = bcrypt(4);
    let mut lines = String::new();
    for number in 0..1200 {
        let id = uuid::Uuid::new_v4();
        lines += &format!(
            "{{\"id\":\"{id}\",\"username\":\"user{number}\",\"email\":\"user{number}@example.org\",\
             \"password_hash\":\"{hash}\",\"created_at\":1700000000,\"verified\":true,\"colour\":[1]}}\n\n"
        );
    }
    let (half, _) = lines.match_indices('\n').nth(1199).unwrap();
    std::fs::write(process.location().join("half.jsonl"), &lines[..half + 60]).unwrap();
    std::fs::write(process.location().join("users.jsonl"), &lines).unwrap();
    // As if the import had been interrupted: the last line is truncated.
    let half = import(process.location(), &["half.jsonl"], &[]);
    assert_eq!(half.code, Some(1), "{half:?}");
    let whole = import(process.location(), &["users.jsonl"], &[]);
    assert_eq!(
        (whole.code, whole.output.as_str()),
        (Some(0), "600 imported, 600 already present, 0 rejected\n")
    );
    let client = process.client();
    outcome(client.call(login("user7", PASSWORD)).await).unwrap();
    // A user with a hash that was replaced since is already present.
    let again = import(process.location(), &["users.jsonl"], &[]);
    assert_eq!(
        (again.code, again.output.as_str()),
        (Some(0), "0 imported, 1200 already present, 0 rejected\n")
    );
}

#[test]
fn an_unreadable_file_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("users.txt", "");
    write("columns.csv", "id,username\n");
    write("without-verified.csv", "id,username,email,password_hash\n");
    write(
        "open.csv",
        &format!("id,username,email,password_hash,verified\n\"{}", "x".repeat(600_000)),
    );
    write("long.jsonl", &"x".repeat(600_000));
    for (file, expected) in [
        ("users.txt", ".csv or .jsonl"),
        ("missing.csv", "No such file"),
        ("columns.csv", "`email`"),
        ("without-verified.csv", "--include-unverified"),
        ("open.csv", "too long"),
        ("long.jsonl", "too long"),
    ] {
        let result = import(folder.path(), &[file], &[]);
        assert!(result.code == Some(2) && result.error.contains(expected), "{file}: {result:?}");
    }
    assert_eq!(run_in(folder.path(), &["import"], &[]).code, Some(2));
}

/// Returns the operator and the detail of each audit row of a kind.
pub(super) fn audit_rows(
    folder: &Path,
    kind: &str,
    settings: &[(&str, &str)],
) -> Vec<(String, String)> {
    let result = run_in(folder, &["audit", "list", "--kind", kind, "--json"], settings);
    assert_eq!(result.code, Some(0), "{result:?}");
    let operator_and_detail = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        [&row["operator"], &row["detail"]].map(|value| value.as_str().unwrap().to_owned()).into()
    };
    result.output.lines().map(operator_and_detail).collect()
}

fn imports_are_audited_with_their_operator(settings: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let hash = bcrypt(4);
    let rows = [user_row("ada", &hash), user_row("grace", &hash), user_row("ada", &hash)];
    std::fs::write(folder.path().join("users.csv"), csv(&rows)).unwrap();
    let by = |arguments: &[&str]| {
        import(folder.path(), &[arguments, &["--operator", "root"]].concat(), settings)
    };
    assert_eq!(by(&["users.csv", "--dry-run"]).code, Some(1));
    assert!(
        audit_rows(folder.path(), "imported", settings).is_empty(),
        "a dry run changes nothing"
    );
    assert_eq!(by(&["users.csv"]).code, Some(1));
    assert_eq!(by(&["users.csv"]).code, Some(1));
    let expected = [
        "started",
        "2 added, 0 already present, 1 rejected",
        "started",
        "0 added, 2 already present, 1 rejected",
    ];
    assert_eq!(
        audit_rows(folder.path(), "imported", settings),
        expected.map(|detail| ("root".to_owned(), detail.to_owned()))
    );
}

#[test]
fn imports_are_audited_with_their_operator_on_sqlite() {
    imports_are_audited_with_their_operator(&[]);
}

#[test]
fn imports_are_audited_with_their_operator_on_postgresql() {
    let Some(settings) = on_postgres() else { return };
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    imports_are_audited_with_their_operator(&settings);
}
