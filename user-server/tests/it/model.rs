//! The service against a model of it: random scenarios of users, an attacker among them, and of
//! faults at every port, on two nodes over one database.
//!
//! `MODEL_CASES` sets the number of scenarios. A scenario that fails is shrunk, and repeated by
//! every later run.

mod budgets;
mod deliveries;
mod expectations;
mod faults;
mod ledger;
mod requests;
mod scenario;
mod values;
mod world;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use user_proto::Reply;
use user_server::domain::Store;
use user_server::store::{GuardedStore, PostgresOptions, PostgresStore, SqliteStore};

use deliveries::DeliveryResult;
use requests::AnyRequest;
use requests::register::Register;
use requests::verify_email::VerifyEmail;
use scenario::{Scenario, Step};
use values::CodeChoice;
use world::World;

use crate::support::{PgProxy, postgres};

/// Maximum number of steps in a scenario.
const MAX_STEPS: usize = 60;
/// On PostgreSQL, one of this many commits is refused, and must be repeated without any effect on
/// the scenario. A sweep of many transactions is repeated as a whole.
const REFUSED_COMMITS: u32 = 29;
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/model.txt");

trait Database: 'static {
    /// Returns an empty store; `None` if the database is not installed.
    fn open(runtime: &Runtime) -> Option<Opened>;
}

/// A store, and what keeps it usable.
struct Opened {
    store: Arc<dyn Store>,
    /// Proxy through which the store reaches its database, if that is on a network.
    proxy: Option<Arc<PgProxy>>,
    folder: Option<TempDir>,
}

struct Sqlite;

impl Database for Sqlite {
    fn open(runtime: &Runtime) -> Option<Opened> {
        let folder = folder();
        let store = runtime.block_on(SqliteStore::open(&folder.path().join("users.db"))).unwrap();
        Some(Opened { store: Arc::new(store), proxy: None, folder: Some(folder) })
    }
}

struct Postgres;

impl Database for Postgres {
    fn open(runtime: &Runtime) -> Option<Opened> {
        static URL: OnceLock<String> = OnceLock::new();
        let server = postgres()?;
        let url = URL.get_or_init(|| {
            let url = server.database();
            runtime
                .block_on(PostgresStore::migrate(&PostgresOptions::parse(&url, 1, false).unwrap()))
                .unwrap();
            url
        });
        assert!(
            server.psql(url.rsplit('/').next().unwrap(), TRUNCATE),
            "the tables cannot be truncated"
        );
        let (proxy, url) = runtime.block_on(PgProxy::before(url));
        proxy.conflict_every(REFUSED_COMMITS);
        let _guard = runtime.enter();
        let store = PostgresStore::open(&PostgresOptions::parse(&url, 3, false).unwrap());
        let store = Arc::new(GuardedStore::new(Arc::new(store)));
        Some(Opened { store, proxy: Some(Arc::new(proxy)), folder: None })
    }
}

/// Empties every table except the list of migrations.
const TRUNCATE: &str = "DO $$ BEGIN EXECUTE (
    SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'
); END $$";

/// Creates a folder, in memory if possible: a scenario does not test the disk.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

struct Model<D>(PhantomData<D>);

struct Running {
    world: World,
    runtime: Runtime,
    proxy: Option<Arc<PgProxy>>,
    _folders: (TempDir, Option<TempDir>),
}

static STEPS: AtomicU64 = AtomicU64::new(0);
/// Number of faults of connections: cut instead of a commit, cut before the reply, silenced.
static CONNECTION_FAULTS: [AtomicU32; 3] = [const { AtomicU32::new(0) }; 3];
/// Number of requests by message and outcome.
static OUTCOMES: Mutex<BTreeMap<(&str, &str), u64>> = Mutex::new(BTreeMap::new());

fn count_outcome(request: &'static str, reply: Option<&Reply<'_>>) {
    let outcome = match reply {
        None => "cancelled",
        Some(Reply::ErrorReply(error)) => error.code.name(),
        Some(_) => "OK",
    };
    *OUTCOMES.lock().unwrap().entry((request, outcome)).or_default() += 1;
}

impl<D: Database> StateMachineTest for Model<D> {
    type SystemUnderTest = Running;
    type Reference = Scenario;

    fn init_test(scenario: &Scenario) -> Running {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let Opened { store, proxy, folder: database } = D::open(&runtime).expect("a database");
        let folder = folder();
        let mut world = runtime.block_on(World::new(store, folder.path(), proxy.clone()));
        runtime.block_on(async {
            for (name, address) in [(0, 0), (2, 3)].into_iter().take(scenario.accounts) {
                let register = Register { name, address, password: 0 };
                let verify = VerifyEmail { verification: 0, code: CodeChoice::Right, name: None };
                let send =
                    |request| Step::Request { node: 0, network: Some(0), request, fault: None };
                let deliver =
                    Step::Deliver { node: 0, results: vec![DeliveryResult::Sent], fault: None };
                for step in [
                    send(AnyRequest::Register(register)),
                    deliver,
                    send(AnyRequest::VerifyEmail(verify)),
                ] {
                    world.step(&step).await;
                }
            }
        });
        assert_eq!(world.ledger.accounts.len(), scenario.accounts);
        Running { world, runtime, proxy, _folders: (folder, database) }
    }

    fn apply(mut running: Running, _: &Scenario, step: Step) -> Running {
        STEPS.fetch_add(1, Ordering::Relaxed);
        running.runtime.block_on(running.world.step(&step));
        running
    }

    fn teardown(mut running: Running, _: Scenario) {
        running.runtime.block_on(running.world.end());
        if let Some(proxy) = &running.proxy {
            let faults = proxy.faults();
            for (total, count) in
                CONNECTION_FAULTS.iter().zip([faults.cut, faults.lost, faults.silenced])
            {
                total.fetch_add(count, Ordering::Relaxed);
            }
        }
    }
}

/// Runs random scenarios on a database: `cases` of them, unless `MODEL_CASES` is set.
fn run_scenarios<D: Database>(cases: u32) {
    let cases = std::env::var("MODEL_CASES")
        .map_or(cases, |cases| cases.parse().expect("MODEL_CASES is a number"));
    let config = Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let began = std::time::Instant::now();
    let result = TestRunner::new(config.clone()).run(
        &Scenario::sequential_strategy(1..=MAX_STEPS),
        |(scenario, steps, seen)| {
            Model::<D>::test_sequential(config.clone(), scenario, steps, seen);
            Ok(())
        },
    );
    if std::env::var("MODEL_CASES").is_ok() {
        use std::io::Write;
        let mut text = format!(
            "{cases} scenarios, {} steps, connections cut, with lost replies and silent: {:?}, {:?}\n",
            STEPS.load(Ordering::Relaxed),
            CONNECTION_FAULTS.each_ref().map(|total| total.load(Ordering::Relaxed)),
            began.elapsed()
        );
        for ((request, outcome), count) in &*OUTCOMES.lock().unwrap() {
            text.push_str(&format!("  {request:<22} {outcome:<20} {count:>8}\n"));
        }
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn scenarios_on_sqlite_match_the_model() {
    run_scenarios::<Sqlite>(40);
}

#[test]
fn scenarios_on_postgres_match_the_model() {
    if postgres().is_some() {
        run_scenarios::<Postgres>(24);
    }
}
