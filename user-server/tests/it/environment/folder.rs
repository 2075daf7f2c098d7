//! The data folder and the secret: folders that others may write to, planted links, and secrets
//! that are easy to guess.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use user_server::keys::Key;

use super::finding;
use crate::support::{Process, RunOutput, run_in};

const STRONG: &str = "a secret of more than thirty-two bytes without a comma";
const WEAK: &str = "0123456789abcdef0123456789abcdef0123456789abcdef";

fn start(folder: &Path, more: &[(&str, &str)]) -> RunOutput {
    run_in(folder, &[], &[&[("TCP_PORT", "0")], more].concat())
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_planted_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (data, victim) = (folder.path().join("user-data"), folder.path().join("victim"));
    std::fs::create_dir(&data).unwrap();
    set_mode(&data, 0o700);
    for (name, exists) in
        [("jwt-secret.part", true), ("jwt-secret.part", false), ("jwt-secret", true)]
    {
        if exists {
            std::fs::write(&victim, "valuable").unwrap();
        }
        symlink(&victim, data.join(name)).unwrap();
        let refused = start(folder.path(), &[]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for part in [name, "is a symbolic link", "hint: Find out who created it"] {
            assert!(refused.error.contains(part), "{refused:?}");
        }
        let content = std::fs::read_to_string(&victim).unwrap_or_default();
        assert_eq!(content, if exists { "valuable" } else { "" });
        std::fs::remove_file(data.join(name)).unwrap();
        let _ = std::fs::remove_file(&victim);
    }
    // A part that a crash has left is not an attack.
    std::fs::write(data.join("jwt-secret.part"), "half a sec").unwrap();
    Process::start(&[("DATA_DIR", data.to_str().unwrap())]);
    assert!(std::fs::metadata(data.join("jwt-secret")).unwrap().len() > 40);
}

#[test]
fn a_data_folder_that_others_may_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("user-data");
    std::fs::create_dir(&data).unwrap();
    for mode in [0o777, 0o770, 0o707, 0o1777] {
        set_mode(&data, mode);
        let refused = start(folder.path(), &[]);
        assert_eq!(refused.code, Some(1), "{mode:o}: {refused:?}");
        for part in ["other users can write to it", "chmod go-w"] {
            assert!(refused.error.contains(part), "{mode:o}: {refused:?}");
        }
        let check = run_in(folder.path(), &["check"], &[]);
        assert!(finding(&check, "data").contains("other users can write"), "{check:?}");
    }
    set_mode(&data, 0o755);
    if std::os::unix::fs::chown(&data, Some(12_345), None).is_ok() {
        let refused = start(folder.path(), &[]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.error.contains("belongs to another user (uid 12345)"), "{refused:?}");
        assert!(refused.error.contains("run the command as that user"), "{refused:?}");
        std::os::unix::fs::chown(&data, Some(0), None).unwrap();
    }
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0, "nothing was written");
    Process::start(&[("DATA_DIR", data.to_str().unwrap())]);
}

#[tokio::test]
async fn a_new_secret_that_is_easy_to_guess_is_refused_and_one_in_use_warns() {
    let folder = tempfile::tempdir().unwrap();
    let strong = [("JWTSECRETKEY", STRONG)];
    let weak = [("JWTSECRETKEY", WEAK), ("JWTSECRETKEY_ACCEPT", STRONG)];
    let accepted = [("JWTSECRETKEY", STRONG), ("JWTSECRETKEY_ACCEPT", WEAK)];
    for settings in [&weak[..], &accepted] {
        let refused = start(folder.path(), settings);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for part in ["is easy to guess: it repeats a short sequence", "user-server keys new"] {
            assert!(refused.error.contains(part), "{refused:?}");
        }
        assert!(!refused.error.contains("0123456789"), "{refused:?}");
        let check = run_in(folder.path(), &["check"], settings);
        assert!(finding(&check, "secrets").starts_with("WRONG"), "{check:?}");
    }
    // The database of an earlier version, which accepted the secret.
    let process = Process::start_in(folder, &strong);
    process.account(&process.client(), "ada").await;
    let database = process.data().join("users.db");
    let folder = process.kill().await;
    let kid = Key::new(WEAK.as_bytes()).unwrap().kid;
    let url = format!("sqlite://{}", database.display());
    let connection = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("UPDATE sessions SET kid = $1").bind(kid).execute(&connection).await.unwrap();
    connection.close().await;
    let check = run_in(folder.path(), &["check"], &weak);
    assert!(finding(&check, "secrets").starts_with("WARN"), "{check:?}");
    let process = Process::start_in(folder, &weak);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(process.log().contains("rotate it soon"), "{}", process.log());
}

/// An operator who runs a command as the wrong user is not told to remove or take over what belongs
/// to the service.
#[test]
fn a_command_of_another_user_names_the_user_of_the_service() {
    use std::os::unix::fs::chown;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("user-data");
    drop(Process::start(&[("DATA_DIR", data.to_str().unwrap())]));
    let secret = data.join("jwt-secret");
    if chown(&data, Some(12_345), None).is_err() {
        return;
    }
    chown(&secret, Some(12_345), None).unwrap();
    let check = run_in(folder.path(), &["check"], &[]);
    let keys = run_in(folder.path(), &["keys", "list"], &[]);
    assert_eq!((check.code, keys.code), (Some(1), Some(1)), "{check:?} {keys:?}");
    for text in [finding(&check, "data"), finding(&check, "keys"), &keys.error] {
        assert!(text.contains("sudo -u '#12345'"), "{text}");
        for harmful in ["chown", "remove", "Remove"] {
            assert!(!text.contains(harmful), "{harmful}: {text}");
        }
    }
    // Only the secret is foreign: somebody else has put it there.
    chown(&data, Some(0), None).unwrap();
    let check = run_in(folder.path(), &["check"], &[]);
    assert!(finding(&check, "keys").contains("Find out who created it"), "{check:?}");
}
