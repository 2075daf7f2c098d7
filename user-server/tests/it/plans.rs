//! Query plans: no statement scans a whole table. The contract suite runs in another process, which
//! records its statements, and this test reads their plans. A new statement is included once the
//! suite runs it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{Connection, Executor, Row};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, SubscriberExt};
use user_server::store::SqliteStore;
use uuid::Uuid;

use crate::round_trips::Bench;
use crate::support::{POSTGRES_OPTIONS, postgres_is_installed, verify_email};

/// Environment variable with the file to which a process of the suite appends its statements.
const STATEMENTS_FILE: &str = "TEST_STATEMENTS";
/// Minimum number of statements; fewer mean that the recording is broken.
const MIN_STATEMENTS: usize = 50;

/// Runs the contract suite of one database in another process.
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
    let file = folder.path().join("statements");
    run_suite("sqlite", (STATEMENTS_FILE, file.to_str().unwrap()));
    let text = std::fs::read_to_string(&file).unwrap();
    let statements: BTreeSet<&str> =
        text.split('\0').map(str::trim).filter(|text| must_use_index(text)).collect();
    assert!(statements.len() >= MIN_STATEMENTS, "{statements:?}");

    let path = folder.path().join("users.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let database = sqlx::SqlitePool::connect(path.to_str().unwrap()).await.unwrap();
    let mut scans = Vec::new();
    for statement in statements {
        let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
        for step in sqlx::query(explain).fetch_all(&database).await.unwrap() {
            let step: String = step.get("detail");
            if is_scan_in_sqlite(&step) {
                scans.push(format!("{step}: {statement}"));
            }
        }
    }
    assert!(scans.is_empty(), "{}", scans.join("\n"));
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
        "-c session_preload_libraries=auto_explain -c auto_explain.log_min_duration=0 \
         -c auto_explain.log_format=json -c auto_explain.log_nested_statements=on \
         -c enable_seqscan=off -c logging_collector=on \
         -c log_file_mode=0644 -c log_directory={} -c log_filename=plans",
        folder.path().display()
    );
    run_suite("postgres", (POSTGRES_OPTIONS, &options));
    let plans = plans(&folder.path().join("plans"));
    let statements: BTreeSet<&str> =
        plans.iter().filter_map(|plan| plan["Query Text"].as_str()).collect();
    assert!(statements.len() >= MIN_STATEMENTS, "{statements:?}");
    let mut scans = BTreeSet::new();
    for plan in &plans {
        let statement = plan["Query Text"].as_str().unwrap_or_default();
        if must_use_index(statement) {
            each_node(&plan["Plan"], &mut |node| {
                if is_scan_in_postgres(node) {
                    scans.insert(format!(
                        "{} on {}: {statement}",
                        node["Node Type"], node["Relation Name"]
                    ));
                }
            });
        }
    }
    assert!(scans.is_empty(), "{}", scans.into_iter().collect::<Vec<_>>().join("\n"));
}

/// Number of rows in the tables that have grown.
const ROWS: i64 = 20_000;

/// Statements that fill the tables in which requests look for rows. None of the rows is due.
const GROW: [&str; 8] = [
    "INSERT INTO counters SELECT sha256(int8send(i)), 1, 1, 0, 9999999999999 FROM numbers",
    "INSERT INTO users (id, username, username_key, email, email_key, mailbox, password_hash,
         created_at)
     SELECT gen_random_uuid(), i, i, i, i, i, '', 9999999999999 FROM numbers",
    "INSERT INTO sessions (id, user_id, kid, created_at, rotated_at)
     SELECT gen_random_uuid(), id, '', 9999999999999, 9999999999999 FROM users",
    "INSERT INTO verifications (id, purpose, email, email_key, mailbox, budget_key, dead, kid,
         expires_at, created_at)
     SELECT gen_random_uuid(), 'registration', i, i, i, i, 0, '', 9999999999999, 9999999999999
     FROM numbers",
    "INSERT INTO verifications (id, purpose, user_id, email, email_key, mailbox, budget_key, dead,
         kid, created_at)
     SELECT gen_random_uuid(), 'password_reset', id, '', '', '', '', 0, '', 9999999999999
     FROM users",
    "INSERT INTO idempotency_keys (key, kid, request, holder, expires_at, done_at)
     SELECT gen_random_uuid(), '', '', gen_random_uuid(), 9999999999999, 9999999999999
     FROM numbers",
    "INSERT INTO known_networks SELECT id, '', 9999999999999 FROM users",
    "INSERT INTO audit (id, at, kind, user_id, detail, seq)
     SELECT gen_random_uuid(), 9999999999999, 'login', gen_random_uuid(), '', 1000000000 + i
     FROM numbers",
];

/// A plan suits the size that a table had when the plan was made, and stays until the table is
/// analyzed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plan_from_before_the_tables_grew_scans_one() {
    let Some(bench) = Bench::start().await else { return };
    expect_no_scan(bench, false).await;
}

/// Of tables that had few rows when they were analyzed, any index looks as good as another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_plan_from_before_analyzed_tables_grew_scans_one() {
    let Some(bench) = Bench::start().await else { return };
    expect_no_scan(bench, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_does_one_behind_a_pooler_with_prepared_statements() {
    let Some((_pooler, bench)) = Bench::behind_pooler().await else { return };
    expect_no_scan(bench, true).await;
}

async fn expect_no_scan(mut bench: Bench, analyzed: bool) {
    let mut observer = PgConnection::connect(&bench.server.url(&bench.database)).await.unwrap();
    // The server makes a plan for all parameters once a statement was executed five times.
    for number in 0..6 {
        run(&mut bench, &format!("ada{number}")).await;
        if analyzed && number == 0 {
            observer.execute("ANALYZE").await.unwrap();
        }
    }
    for statement in GROW {
        let statement =
            format!("WITH numbers AS (SELECT generate_series(1, {ROWS}) AS i) {statement}");
        observer.execute(sqlx::AssertSqlSafe(statement)).await.unwrap();
    }
    let before = rows_read(&bench, &mut observer).await;
    run(&mut bench, "zoe").await;
    let after = rows_read(&bench, &mut observer).await;
    let read: BTreeMap<_, _> =
        after.iter().map(|(table, rows)| (table.as_str(), rows - before[table])).collect();
    assert!(read["counters"] > 0, "{read:?}");
    assert!(read.values().all(|rows| *rows < ROWS), "{read:?}");
    bench.node.stop().await;
}

/// Makes each request of a user once.
async fn run(bench: &mut Bench, name: &str) {
    bench.run(name, false).await;
    bench.run_changes(&format!("{name}.changes"), false).await;
    bench.run_refused(&format!("{name}.refused"), false).await;
}

/// Returns the number of rows that were read from each table.
async fn rows_read(bench: &Bench, observer: &mut PgConnection) -> BTreeMap<String, i64> {
    // A session reports what it has done after a statement, at most once a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let request = verify_email(Uuid::new_v4(), "000000");
    bench.node.client().call(request).await.unwrap_err();
    let query = "SELECT relname::text, (seq_tup_read + COALESCE(idx_tup_fetch, 0))::bigint
                 FROM pg_stat_user_tables";
    sqlx::query_as(query).fetch_all(observer).await.unwrap().into_iter().collect()
}

/// Statements that read whole tables on purpose: the list of retired keys, the counts and the list
/// of emails of an operator's commands, and what a node does once when it starts.
const FULL_READS: [&str; 5] = [
    "SELECT outbox.id, letter, verification_id, recipient, mailbox",
    "SELECT kid, retired_at FROM retired_keys ORDER",
    "SELECT kid, CAST(SUM(session) AS BIGINT)",
    "DELETE FROM nodes",
    "DELETE FROM idempotency_keys WHERE done_at IS NULL",
];

/// Returns `true` for a statement of the server that reads or changes rows; `false` for transaction
/// control and for queries of the catalog.
fn must_use_index(statement: &str) -> bool {
    // In a stored function also an expression, such as `result := (SELECT ...)`.
    let is_expression = statement.starts_with(|first: char| first.is_lowercase() || first == '(');
    let ours = is_expression && statement.contains("SELECT ")
        || ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"]
            .iter()
            .any(|verb| statement.starts_with(verb));
    let ours = ours && !FULL_READS.iter().any(|read| statement.starts_with(read));
    ours && !statement.contains("pg_")
        && !statement.contains("_sqlx_migrations")
        && !statement.contains("sqlite_")
}

/// Indexes that contain only the rows that some statement wants, so that it may read all of them.
const PARTIAL: [&str; 7] = [
    "outbox_due",
    "outbox_waiting",
    "outbox_failed",
    "outbox_delivered",
    "mail_turns_next",
    "mail_turns_ranked",
    "audit_unsealed",
];

/// Returns `true` for a step that scans a table: `SCAN name`, except by a partial index, which
/// contains only the wanted rows, or over an intermediate result.
fn is_scan_in_sqlite(step: &str) -> bool {
    const INTERMEDIATE: [&str; 5] =
        ["SCAN clients", "SCAN soon", "SCAN seals", "SCAN CONSTANT ROW", "SCAN (subquery"];
    step.starts_with("SCAN ")
        && !PARTIAL.iter().any(|index| step.contains(&format!("INDEX {index}")))
        && !step.contains("ROW VALUES CLAUSE")
        && !INTERMEDIATE.iter().any(|result| step.starts_with(result))
}

/// Returns `true` for a sequential scan, or a scan of an index without a condition. With sequential
/// scans disabled, the planner chooses these only if no index matches.
fn is_scan_in_postgres(node: &Value) -> bool {
    let index = node["Index Name"].as_str().unwrap_or_default();
    match node["Node Type"].as_str() {
        Some("Seq Scan") => true,
        Some("Index Scan" | "Index Only Scan" | "Bitmap Index Scan") => {
            // Every row of a partial index may satisfy a condition such as `user_id IS NOT NULL`.
            let condition = node["Index Cond"].as_str().unwrap_or_default();
            let is_null = condition.ends_with("IS NOT NULL)") && !condition.contains(" AND ");
            (condition.is_empty() || is_null) && !PARTIAL.contains(&index)
        }
        _ => false,
    }
}

fn each_node(node: &Value, visit: &mut impl FnMut(&Value)) {
    visit(node);
    for child in node["Plans"].as_array().into_iter().flatten() {
        each_node(child, visit);
    }
}

/// Reads the plans in a log of PostgreSQL: each is JSON on indented lines, below a line with its
/// duration.
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

/// Records the statements of this process, if its parent requests it.
pub fn record_statements() {
    let Some(path) = std::env::var_os(STATEMENTS_FILE) else { return };
    let file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    let recorder = tracing_subscriber::registry().with(Recorder(Mutex::new(file)));
    // Only the first test of the suite succeeds, which is enough.
    let _ = tracing::subscriber::set_global_default(recorder);
}

struct Recorder(Mutex<std::fs::File>);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Recorder {
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

/// Text of a statement. The driver puts a short one into `summary` only.
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
