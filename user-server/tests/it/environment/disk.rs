//! A disk that is full, under the embedded database and under PostgreSQL.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use user_proto::{ErrorCode, Register, VerifyToken};

use super::{finding, settings, wait_for_store};
use crate::postgres::node;
use crate::support::{PASSWORD, Postgres, Process, code_of, left_out, run_in};

/// A small file system in memory. It is unmounted when it is dropped.
struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts a file system of this size. Returns `None` if the tests may not mount one.
    fn mount(options: &str) -> Option<Self> {
        let folder = TempDir::with_prefix("user-disk-").unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "none"]).arg(folder.path());
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self { folder });
        }
        left_out("a full disk (mounting a file system is not allowed)");
        None
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file that leaves no space. Returns its path.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [64 * 1024, 4096, 1] {
            while file.write_all(&vec![0; size]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).output();
    }
}

fn register(number: usize) -> Register<'static> {
    Register {
        username: format!("user{number}").into(),
        email: format!("user{number}@example.org").into(),
        password: PASSWORD.into(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_the_embedded_database_is_degraded() {
    let Some(disk) = SmallDisk::mount("size=8m") else { return };
    let data = disk.path().join("data");
    let settings = [("DATA_DIR", data.to_str().unwrap()), ("METRICS_ADDR", "127.0.0.1:0")];
    let mail_dir = tempfile::tempdir().unwrap();
    let settings = [&settings[..], &[("MAIL_DIR", mail_dir.path().to_str().unwrap())]].concat();
    let process = Process::start(&settings);
    let client = process.client();
    wait_for_store(process.monitor(), false).await;
    let filler = disk.fill();
    wait_for_store(process.monitor(), true).await;
    for number in 0..64 {
        if client.call(register(number)).await.is_err() {
            break;
        }
    }
    assert_eq!(code_of(&client, register(99)).await, ErrorCode::UNAVAILABLE);
    let check = run_in(process.location(), &["check"], &settings);
    assert_eq!(check.code, Some(1), "{check:?}");
    assert!(finding(&check, "data").starts_with("WRONG"), "{check:?}");
    let create = ["user", "create", "zoe", "zoe@example.org"];
    let created = run_in(process.location(), &create, &settings);
    assert_eq!(created.code, Some(1), "{created:?}");
    let database = format!("cannot use the database {}/users.db", data.display());
    for part in [database.as_str(), "disk is full", "hint: Free space on the disk"] {
        assert!(created.error.contains(part), "{part}: {created:?}");
    }
    std::fs::remove_file(filler).unwrap();
    wait_for_store(process.monitor(), false).await;
    client.call(register(100)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_under_postgres_is_degraded() {
    // Its own server: without space, no checkpoint succeeds, which other tests need.
    let Some(server) = Postgres::dedicated() else { return };
    let Some(disk) = SmallDisk::mount("size=24m,mode=0777") else { return };
    let tablespace = disk.path().join("space");
    std::fs::create_dir(&tablespace).unwrap();
    if let Ok(owner) = std::fs::metadata(server.folder()) {
        use std::os::unix::fs::MetadataExt;
        std::os::unix::fs::chown(&tablespace, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let create = format!("CREATE TABLESPACE env_small LOCATION '{}'", tablespace.display());
    assert!(server.psql("postgres", &create), "{}", server.log());
    assert!(server.psql("postgres", "CREATE DATABASE env_full TABLESPACE env_small"));
    let url = server.url("env_full");
    let node = node(&url, &[("METRICS_ADDR", "127.0.0.1:0")]).await;
    let monitor = node.service.monitor_address().unwrap();
    let client = node.client();
    let ada = node.account(&client, "ada").await;
    let filler = disk.fill();
    // Existing pages have room for some rows.
    let mut refused = None;
    for number in 0..2000 {
        if let Err(error) = client.call(register(number)).await {
            refused = error.code();
            break;
        }
    }
    assert_eq!(refused, Some(ErrorCode::UNAVAILABLE));
    let body = wait_for_store(monitor, true).await;
    assert_eq!(body["store"]["writable"], false, "{body}");
    client.call(VerifyToken { access_token: ada.session.access_token.clone() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let check = run_in(folder.path(), &["check"], &settings(&url));
    assert_eq!(check.code, Some(1), "{check:?}");
    // PostgreSQL may not even be able to open a connection.
    let causes = ["No space left", "could not write init file"];
    assert!(causes.iter().any(|cause| check.output.contains(cause)), "{check:?}");
    std::fs::remove_file(filler).unwrap();
    wait_for_store(monitor, false).await;
    node.stop().await;
    assert!(server.psql("postgres", "DROP DATABASE env_full WITH (FORCE)"));
    assert!(server.psql("postgres", "DROP TABLESPACE env_small"));
}

#[test]
fn a_copy_that_does_not_fit_names_its_file_and_leaves_nothing() {
    let Some(disk) = SmallDisk::mount("size=64k") else { return };
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), &["migrate"], &[]).code, Some(0));
    let filler = disk.fill();
    for command in ["backup", "export"] {
        let file = disk.path().join("copy.csv");
        let run = run_in(folder.path(), &[command, file.to_str().unwrap()], &[]);
        assert_eq!(run.code, Some(1), "{command}: {run:?}");
        assert!(run.error.contains(file.to_str().unwrap()), "{command}: {run:?}");
        let left: Vec<_> = std::fs::read_dir(disk.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| *path != filler)
            .collect();
        assert!(left.is_empty(), "{command}: {left:?}");
    }
}
