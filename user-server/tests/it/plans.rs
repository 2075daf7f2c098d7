//! Every statement finds its rows by an index: the contract suite runs once more in a process of
//! its own, which notes each statement, and no plan may walk a whole table. A new statement is
//! looked at as soon as the suite runs it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serde_json::Value;
use sqlx::Row;
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use user_server::store::SqliteStore;

use crate::support::{POSTGRES_OPTIONS, postgres_is_installed};

/// Names the file that a process of the suite notes its statements in.
const NOTES: &str = "TEST_STATEMENTS";
/// Fewer would mean that the notes are not what they should be.
const FEWEST: usize = 50;

/// Runs the contract suite of one database in a process of its own.
fn run_suite(database: &str, variable: (&str, &str)) {
    let mut suite = Command::new(std::env::current_exe().unwrap());
    let suite = suite
        .args([&format!("contract::{database}::"), "--test-threads=2"])
        .env(variable.0, variable.1);
    let done = suite.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
}

#[tokio::test]
async fn no_statement_scans_a_table_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let notes = folder.path().join("statements");
    run_suite("sqlite", (NOTES, notes.to_str().unwrap()));
    let text = std::fs::read_to_string(&notes).unwrap();
    let statements: BTreeSet<&str> =
        text.split('\0').map(str::trim).filter(|text| is_of_rows(text)).collect();
    assert!(statements.len() >= FEWEST, "{statements:?}");

    let path = folder.path().join("users.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let mut walks = Vec::new();
    for statement in statements {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        for step in sqlx::query(explain).fetch_all(&database).await.unwrap() {
            let step: String = step.get("detail");
            if walks_in_sqlite(&step) {
                walks.push(format!("{step}: {statement}"));
            }
        }
    }
    assert!(walks.is_empty(), "{}", walks.join("\n"));
    drop(store);
}

#[test]
fn no_statement_scans_a_table_in_postgres() {
    if !postgres_is_installed() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    let options = format!(
        "-c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 -c auto_explain.log_format=json \
         -c enable_seqscan=off -c logging_collector=on -c log_file_mode=0644 -c log_directory={} -c log_filename=plans",
        folder.path().display()
    );
    run_suite("postgres", (POSTGRES_OPTIONS, &options));
    let plans = plans(&folder.path().join("plans"));
    let statements: BTreeSet<&str> =
        plans.iter().filter_map(|plan| plan["Query Text"].as_str()).collect();
    assert!(statements.len() >= FEWEST, "{statements:?}");
    let mut walks = BTreeSet::new();
    for plan in &plans {
        let statement = plan["Query Text"].as_str().unwrap_or_default();
        if is_of_rows(statement) {
            each_node(&plan["Plan"], &mut |node| {
                if walks_in_postgres(node) {
                    walks.insert(format!(
                        "{} on {}: {statement}",
                        node["Node Type"], node["Relation Name"]
                    ));
                }
            });
        }
    }
    assert!(walks.is_empty(), "{}", walks.into_iter().collect::<Vec<_>>().join("\n"));
}

/// What is read as a whole on purpose: a table of a row for each key that was ever lost, and what
/// an operator's command counts.
const WHOLE: [&str; 2] =
    ["SELECT kid, retired_at FROM retired_keys ORDER", "SELECT kid, CAST(SUM(session) AS BIGINT)"];

/// Whether a statement is one of ours on tables, that is to find its rows: no control, and no look
/// into the catalogue.
fn is_of_rows(statement: &str) -> bool {
    let ours = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"]
        .iter()
        .any(|verb| statement.starts_with(verb))
        && !WHOLE.iter().any(|whole| statement.starts_with(whole));
    ours && !statement.contains("pg_")
        && !statement.contains("_sqlx_migrations")
        && !statement.contains("sqlite_")
}

/// `SCAN name` is a walk, unless by a partial index, which holds just the rows that are looked for,
/// or over a result that was made before.
fn walks_in_sqlite(step: &str) -> bool {
    const PARTIAL: [&str; 4] =
        ["outbox_due", "outbox_waiting", "mail_turns_next", "audit_unsealed"];
    const MADE: [&str; 5] =
        ["SCAN clients", "SCAN soon", "SCAN seals", "SCAN CONSTANT ROW", "SCAN (subquery"];
    step.starts_with("SCAN ")
        && !PARTIAL.iter().any(|index| step.contains(&format!("INDEX {index}")))
        && !step.contains("ROW VALUES CLAUSE")
        && !MADE.iter().any(|made| step.starts_with(made))
}

/// A scan of a table, or of an index without a condition on it. Nothing else is taken where
/// sequential scans are off.
fn walks_in_postgres(node: &Value) -> bool {
    const PARTIAL: [&str; 4] =
        ["outbox_due", "outbox_waiting", "mail_turns_next", "audit_unsealed"];
    let index = node["Index Name"].as_str().unwrap_or_default();
    match node["Node Type"].as_str() {
        Some("Seq Scan") => true,
        Some("Index Scan" | "Index Only Scan" | "Bitmap Index Scan") => {
            node["Index Cond"].is_null() && !PARTIAL.contains(&index)
        }
        _ => false,
    }
}

fn each_node(node: &Value, look: &mut impl FnMut(&Value)) {
    look(node);
    for child in node["Plans"].as_array().into_iter().flatten() {
        each_node(child, look);
    }
}

/// The plans of the log: each is JSON on lines that are set in under the line that says how long it
/// took.
fn plans(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    let mut plans = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.ends_with("plan:") {
            let mut json = String::new();
            while let Some(line) = lines.next_if(|line| line.starts_with('\t')) {
                json.push_str(line);
            }
            plans.push(serde_json::from_str(&json).unwrap());
        }
    }
    plans
}

/// Notes the statements of this process, where its parent wishes it.
pub fn record_statements() {
    let Some(path) = std::env::var_os(NOTES) else { return };
    let file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    let notes = tracing_subscriber::registry().with(Notes(Mutex::new(file)));
    // The first of the suite's tests has done it for all.
    let _ = tracing::subscriber::set_global_default(notes);
}

struct Notes(Mutex<std::fs::File>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Notes {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            let mut statement = Statement::default();
            event.record(&mut statement);
            let text = if statement.whole.is_empty() { statement.summary } else { statement.whole };
            std::io::Write::write_all(&mut *self.0.lock().unwrap(), format!("{text}\0").as_bytes())
                .unwrap();
        }
    }
}

/// The driver gives a short statement as its own summary.
#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.summary = value.to_owned(),
            "db.statement" => self.whole = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
