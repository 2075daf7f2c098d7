//! Where a secret could end up: all that a service writes, tells, stores and holds.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use sqlx::Row;

use super::story::{CANARY, NETWORK};
use crate::http;
use crate::support::{Process, run_in};

/// One place, and what is no secret and has to be found there.
pub struct Place {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Whether it is made of fields, in which a short code can be told from chance.
    pub text: bool,
    pub canary: &'static str,
}

impl Place {
    pub fn text(name: &'static str, text: String, canary: &'static str) -> Self {
        Self { name, bytes: text.into_bytes(), text: true, canary }
    }

    pub fn raw(name: &'static str, bytes: Vec<u8>, canary: &'static str) -> Self {
        Self { name, bytes, text: false, canary }
    }
}

/// What every service has: what it prints and tells, and what its commands show.
pub async fn embedded(process: &Process, settings: &[(&str, &str)], said: String) -> Vec<Place> {
    let mut told = String::new();
    for path in ["/metrics", "/readyz", "/livez"] {
        told += &http::get(process.monitor(), path).await.body;
    }
    let home = process.data().parent().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let done = tokio::task::block_in_place(|| run_in(&home, arguments, settings));
        assert_eq!(done.code, Some(0), "{arguments:?}: {done:?}");
        done.output + &done.error
    };
    let mut places = vec![
        Place::text("standard output", process.output(), "user-server"),
        Place::text("the log", process.log(), "VerifyEmail"),
        Place::text("health and metrics", told, "process_resident_memory_bytes"),
        Place::text("the audit", run(&["audit", "list", "--json"]), NETWORK),
        Place::text("the export", run(&["export", "--format", "jsonl"]), CANARY),
        Place::text(
            "other commands",
            run(&["user", "list"]) + &run(&["keys", "list"]) + &run(&["fsck"]),
            CANARY,
        ),
    ];
    if !said.is_empty() {
        places.push(Place::text("what clients are told", said, "INVALID_CREDENTIALS"));
    }
    if process.data().join("users.db").exists() {
        places.push(database_files(process, "the files of the database"));
    }
    places
}

/// The files of an embedded database as they are.
pub fn database_files(process: &Process, name: &'static str) -> Place {
    let mut files = Vec::new();
    for name in ["users.db", "users.db-wal"] {
        files.extend(std::fs::read(process.data().join(name)).unwrap_or_default());
    }
    Place::raw(name, files, CANARY)
}

/// What `user-server backup` writes.
pub fn copy(process: &Process, settings: &[(&str, &str)]) -> Place {
    let file = process.location().join("the-copy");
    let arguments = ["backup", file.to_str().unwrap()];
    let done = tokio::task::block_in_place(|| run_in(process.location(), &arguments, settings));
    assert_eq!(done.code, Some(0), "{done:?}");
    Place::raw("the copy", std::fs::read(file).unwrap(), CANARY)
}

/// Every column of every table of an embedded database.
pub async fn database_file(path: &Path) -> Place {
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let mut text = String::new();
    let tables = sqlx::query("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .fetch_all(&database)
        .await
        .unwrap();
    for table in tables.iter().map(|row| row.get::<String, _>(0)) {
        let columns = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT name FROM pragma_table_info('{table}')"
        )));
        let columns = columns.fetch_all(&database).await.unwrap();
        let quoted: Vec<String> =
            columns.iter().map(|row| format!("quote(\"{}\")", row.get::<String, _>(0))).collect();
        let all = format!("SELECT {} FROM \"{table}\"", quoted.join(" || char(10) || "));
        for row in sqlx::query(sqlx::AssertSqlSafe(all)).fetch_all(&database).await.unwrap() {
            text += &row.get::<String, _>(0);
            text.push('\n');
        }
    }
    database.close().await;
    Place::text("the columns of the database", text, CANARY)
}

/// The same of PostgreSQL.
pub fn shared(url: &str) -> Place {
    let done = Command::new("pg_dump").args(["--inserts", "-d", url]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    Place::raw("the columns of the database", done.stdout, CANARY).of_fields()
}

impl Place {
    fn of_fields(self) -> Self {
        Self { text: true, ..self }
    }
}

/// Every file below a folder, one after the other.
pub fn of_folder(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            bytes.extend(of_folder(&entry.path()));
        } else if kind.is_file() {
            bytes.extend(std::fs::read(entry.path()).unwrap_or_default());
        }
    }
    bytes
}

/// All that a process can read and write: its heap, its stacks, its variables.
pub fn memory(id: u32) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let memory = File::open(format!("/proc/{id}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // Some that the system keeps for itself cannot be read.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            all.extend(bytes);
        }
    }
    all
}
