//! Everything in which a secret could end up: what a service writes, returns, stores, and holds in
//! memory.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use sqlx::Row;

use super::scenario::{CANARY, NETWORK};
use crate::http;
use crate::support::{Process, postgres_program, run_in};

/// An artifact of a run, and a canary: a text that is not secret and must be found in it.
pub struct Artifact {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// Set if the content consists of fields, in which a short code is distinguishable from chance.
    pub text: bool,
    pub canary: &'static str,
}

impl Artifact {
    pub fn text(name: &'static str, text: String, canary: &'static str) -> Self {
        Self { name, bytes: text.into_bytes(), text: true, canary }
    }

    pub fn raw(name: &'static str, bytes: Vec<u8>, canary: &'static str) -> Self {
        Self { name, bytes, text: false, canary }
    }
}

/// Returns the artifacts of every configuration: output, log, HTTP responses, and the output of
/// commands.
pub async fn common_artifacts(
    process: &Process,
    settings: &[(&str, &str)],
    errors: String,
) -> Vec<Artifact> {
    let mut responses = String::new();
    for path in ["/metrics", "/readyz", "/livez"] {
        responses += &http::get(process.monitor(), path).await.body;
    }
    let home = process.data().parent().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        let result = tokio::task::block_in_place(|| run_in(&home, arguments, settings));
        assert_eq!(result.code, Some(0), "{arguments:?}: {result:?}");
        result.output + &result.error
    };
    let mut artifacts = vec![
        Artifact::text("standard output", process.output(), "user-server"),
        Artifact::text("the log", process.log(), "VerifyEmail"),
        Artifact::text("health and metrics", responses, "process_resident_memory_bytes"),
        Artifact::text("the audit log", run(&["audit", "list", "--json"]), NETWORK),
        Artifact::text("the export", run(&["export", "--format", "jsonl"]), CANARY),
        Artifact::text(
            "other commands",
            run(&["user", "list"]) + &run(&["keys", "list"]) + &run(&["fsck"]),
            CANARY,
        ),
    ];
    if !errors.is_empty() {
        artifacts.push(Artifact::text("the errors of clients", errors, "INVALID_CREDENTIALS"));
    }
    if process.data().join("users.db").exists() {
        artifacts.push(database_files(process, "the files of the database"));
    }
    artifacts
}

/// Returns the raw files of an embedded database.
pub fn database_files(process: &Process, name: &'static str) -> Artifact {
    let mut files = Vec::new();
    for name in ["users.db", "users.db-wal"] {
        files.extend(std::fs::read(process.data().join(name)).unwrap_or_default());
    }
    Artifact::raw(name, files, CANARY)
}

/// Returns a backup made by `user-server backup`.
pub fn backup(process: &Process, settings: &[(&str, &str)]) -> Artifact {
    let file = process.location().join("the-backup");
    let arguments = ["backup", file.to_str().unwrap()];
    let result = tokio::task::block_in_place(|| run_in(process.location(), &arguments, settings));
    assert_eq!(result.code, Some(0), "{result:?}");
    Artifact::raw("the backup", std::fs::read(file).unwrap(), CANARY)
}

/// Returns every column of every table of an embedded database.
pub async fn database_columns(path: &Path) -> Artifact {
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
    Artifact::text("the columns of the database", text, CANARY)
}

/// Returns every column of every table of a PostgreSQL database, or `None` if `pg_dump` is missing.
pub fn postgres_columns(url: &str) -> Option<Artifact> {
    let pg_dump = postgres_program("pg_dump", "a search for secrets in a PostgreSQL database")?;
    let result = Command::new(pg_dump).args(["--inserts", "-d", url]).output().unwrap();
    assert!(result.status.success(), "{result:?}");
    let columns = Artifact::raw("the columns of the database", result.stdout, CANARY);
    Some(Artifact { text: true, ..columns })
}

/// Returns the concatenated contents of all files below a folder.
pub fn folder_contents(folder: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            bytes.extend(folder_contents(&entry.path()));
        } else if kind.is_file() {
            bytes.extend(std::fs::read(entry.path()).unwrap_or_default());
        }
    }
    bytes
}

/// Returns the readable and writable memory of a process: heap, stacks and variables.
pub fn memory(id: u32) -> Vec<u8> {
    let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).unwrap();
    let memory = File::open(format!("/proc/{id}/mem")).unwrap();
    let mut all = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, rights) = (fields.next().unwrap(), fields.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // Some regions that the system reserves cannot be read.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            all.extend(bytes);
        }
    }
    all
}
