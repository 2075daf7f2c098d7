//! Out of one database and into the other.

use std::os::unix::fs::PermissionsExt;

use crate::support::{login, outcome, run_in};

use super::files::told;
use super::{PASSWORD, Person, bcrypt, csv, import, on_postgres, person};

fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

#[tokio::test]
async fn what_is_exported_from_one_database_is_equal_in_the_other() {
    let Some(settings) = on_postgres() else { return };
    let settings = borrowed(&settings);
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let hash = bcrypt(4);
    let people: Vec<Person> =
        (0..1100).map(|number| person(&format!("User{number}"), &hash)).collect();
    let text = csv(&people).replacen("User0,", "Üser0,", 1);
    std::fs::write(first.path().join("users.csv"), text).unwrap();
    let said = import(first.path(), &["users.csv"], &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(run_in(first.path(), &["user", "disable", "user7"], &[]).code, Some(0));

    let export = |folder: &std::path::Path, format: &str, settings: &[(&str, &str)]| {
        let name = format!("all.{format}");
        let said = run_in(folder, &["export", &name, "--operator", "root"], settings);
        assert!(said.code == Some(0) && said.error.contains("password hashes"), "{said:?}");
        let path = folder.join(&name);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::read_to_string(path).unwrap()
    };
    for format in ["csv", "jsonl"] {
        let before = export(first.path(), format, &[]);
        assert!(before.lines().count() >= 1100);
        std::fs::write(second.path().join(format!("in.{format}")), &before).unwrap();
        let said = import(second.path(), &[&format!("in.{format}")], &settings);
        assert_eq!(said.code, Some(0), "{said:?}");
        assert!(export(second.path(), format, &settings) == before, "{format}: they are not equal");
    }
    let nowhere =
        run_in(first.path(), &["export", "no/such/folder.csv", "--operator", "root"], &[]);
    assert_eq!(nowhere.code, Some(1), "{nowhere:?}");
    for (folder, settings) in [(first.path(), &[][..]), (second.path(), &settings)] {
        assert_eq!(
            told(folder, "exported", settings),
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
    // And back, into an embedded one.
    let third = tempfile::tempdir().unwrap();
    std::fs::copy(second.path().join("all.jsonl"), third.path().join("users.jsonl")).unwrap();
    assert_eq!(import(third.path(), &["users.jsonl"], &[]).code, Some(0));
    let process = crate::support::Process::start_in(third, &[]);
    let client = process.client();
    outcome(client.call(login("üser0", PASSWORD)).await).unwrap();
    let disabled = outcome(client.call(login("user7", PASSWORD)).await).map(drop);
    assert_eq!(disabled, Err(user_proto::ErrorCode::ACCOUNT_DISABLED));
}
