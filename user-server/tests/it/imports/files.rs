//! From files: what is refused and why, and what happens when it is done again.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Process, login, outcome, run_in};

use super::{PASSWORD, bcrypt, csv, import, on_postgres, person};

#[test]
fn what_is_refused_has_its_line_and_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let good = bcrypt(4);
    let ada = person("ada", &good);
    let mut text = csv(std::slice::from_ref(&ada));
    let id = || uuid::Uuid::new_v4();
    for row in [
        format!("{},ADA,other@example.org,{good},,true", id()),
        format!("17,b17,b17@example.org,{good},,true"),
        format!("{},costly,costly@example.org,{},,true", id(), good.replace("$2b$04$", "$2b$15$")),
        format!("{},plain,plain@example.org,geheim,,true", id()),
        format!("{},unverified,unverified@example.org,{good},,false", id()),
        format!("{},short", id()),
        format!("{},\"quoted, over\ntwo lines\",q@example.org,{good},,true", id()),
        format!("{},last,last@example.org,{good},,true", id()),
    ] {
        text += &row;
        text.push('\n');
    }
    std::fs::write(folder.path().join("users.csv"), text).unwrap();
    let rehearsed = import(folder.path(), &["users.csv", "--dry-run"], &[]);
    assert_eq!(
        (rehearsed.code, rehearsed.output.as_str()),
        (Some(1), "2 would be imported, 0 already present, 7 rejected\n")
    );
    let said = import(folder.path(), &["users.csv", "--rejects", "refused.csv"], &[]);
    assert_eq!(
        (said.code, said.output.as_str()),
        (Some(1), "2 imported, 0 already present, 7 rejected\n"),
        "{said:?}"
    );
    let path = folder.path().join("refused.csv");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = std::fs::read_to_string(&path).unwrap();
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
        assert!(refused.contains(expected), "no `{expected}` in {refused}");
    }
    assert!(
        !refused.contains("$2b$")
            && !refused.contains("geheim")
            && !rehearsed.error.contains("geheim"),
        "{refused}"
    );
    let again = import(folder.path(), &["users.csv", "--include-unverified"], &[]);
    assert_eq!(
        (again.code, again.output.as_str()),
        (Some(1), "1 imported, 2 already present, 6 rejected\n")
    );
}

#[tokio::test]
async fn it_is_done_beside_a_running_server_and_again() {
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
    // As if it had been stopped in the middle: the last line is cut off.
    let half = import(process.location(), &["half.jsonl"], &[]);
    assert_eq!(half.code, Some(1), "{half:?}");
    let whole = import(process.location(), &["users.jsonl"], &[]);
    assert_eq!(
        (whole.code, whole.output.as_str()),
        (Some(0), "600 imported, 600 already present, 0 rejected\n")
    );
    let client = process.client();
    outcome(client.call(login("user7", PASSWORD)).await).unwrap();
    // A hash that was replaced since is no other user.
    let again = import(process.location(), &["users.jsonl"], &[]);
    assert_eq!(
        (again.code, again.output.as_str()),
        (Some(0), "0 imported, 1200 already present, 0 rejected\n")
    );
}

#[test]
fn what_can_not_be_read_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("users.txt", "");
    write("columns.csv", "id,username\n");
    write("unsaid.csv", "id,username,email,password_hash\n");
    write(
        "open.csv",
        &format!("id,username,email,password_hash,verified\n\"{}", "x".repeat(600_000)),
    );
    write("long.jsonl", &"x".repeat(600_000));
    for (file, says) in [
        ("users.txt", ".csv or .jsonl"),
        ("missing.csv", "No such file"),
        ("columns.csv", "`email`"),
        ("unsaid.csv", "--include-unverified"),
        ("open.csv", "too long"),
        ("long.jsonl", "too long"),
    ] {
        let said = import(folder.path(), &[file], &[]);
        assert!(said.code == Some(2) && said.error.contains(says), "{file}: {said:?}");
    }
    assert_eq!(run_in(folder.path(), &["import"], &[]).code, Some(2));
}

/// Who did this, and how, as the audit tells.
pub(super) fn told(folder: &Path, kind: &str, settings: &[(&str, &str)]) -> Vec<(String, String)> {
    let said = run_in(folder, &["audit", "list", "--kind", kind, "--json"], settings);
    assert_eq!(said.code, Some(0), "{said:?}");
    let row = |line: &str| {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        [&row["operator"], &row["detail"]].map(|value| value.as_str().unwrap().to_owned()).into()
    };
    said.output.lines().map(row).collect()
}

fn who_imports_is_written_down(settings: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    let hash = bcrypt(4);
    let people = [person("ada", &hash), person("grace", &hash), person("ada", &hash)];
    std::fs::write(folder.path().join("users.csv"), csv(&people)).unwrap();
    let by = |arguments: &[&str]| {
        import(folder.path(), &[arguments, &["--operator", "root"]].concat(), settings)
    };
    assert_eq!(by(&["users.csv", "--dry-run"]).code, Some(1));
    assert!(told(folder.path(), "imported", settings).is_empty(), "a rehearsal is no change");
    assert_eq!(by(&["users.csv"]).code, Some(1));
    assert_eq!(by(&["users.csv"]).code, Some(1));
    let expected = [
        "started",
        "2 added, 0 already present, 1 rejected",
        "started",
        "0 added, 2 already present, 1 rejected",
    ];
    assert_eq!(
        told(folder.path(), "imported", settings),
        expected.map(|detail| ("root".to_owned(), detail.to_owned()))
    );
}

#[test]
fn who_imports_is_written_down_on_sqlite() {
    who_imports_is_written_down(&[]);
}

#[test]
fn who_imports_is_written_down_on_postgresql() {
    let Some(settings) = on_postgres() else { return };
    let settings: Vec<(&str, &str)> =
        settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    who_imports_is_written_down(&settings);
}
