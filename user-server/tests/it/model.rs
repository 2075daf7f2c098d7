//! The service against a model of it: random stories of people, an attacker among them, and of
//! faults at every port, on two nodes over one database. `MODEL_CASES` sets how many; a story that
//! fails is told again on every run, and is shortened.

mod asks;
mod budgets;
mod faults;
mod ledger;
mod story;
mod world;

use std::any::Any;
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use user_proto::Reply;
use user_server::domain::Store;
use user_server::store::{PostgresOptions, PostgresStore, SqliteStore};

use faults::Fate;
use story::{Ask, Code, Step, Story};
use world::World;

use crate::support::postgres;

/// The most steps of a story.
const LONGEST: usize = 60;
const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/model.txt");

/// A kind of database.
trait Database: 'static {
    /// An empty one, and what has to live as long; none where it is not installed.
    fn open(runtime: &Runtime) -> Option<(Arc<dyn Store>, Box<dyn Any>)>;
}

struct Sqlite;

impl Database for Sqlite {
    fn open(runtime: &Runtime) -> Option<(Arc<dyn Store>, Box<dyn Any>)> {
        let folder = folder();
        let store = runtime.block_on(SqliteStore::open(&folder.path().join("users.db"))).unwrap();
        Some((Arc::new(store), Box::new(folder)))
    }
}

struct Shared;

impl Database for Shared {
    fn open(runtime: &Runtime) -> Option<(Arc<dyn Store>, Box<dyn Any>)> {
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
            server.psql(url.rsplit('/').next().unwrap(), EMPTY),
            "the tables can not be emptied"
        );
        let _inside = runtime.enter();
        Some((
            Arc::new(PostgresStore::open(&PostgresOptions::parse(url, 3, false).unwrap())),
            Box::new(()),
        ))
    }
}

/// Empties every table but the list of migrations.
const EMPTY: &str = "DO $$ BEGIN EXECUTE (
    SELECT 'TRUNCATE ' || string_agg(quote_ident(tablename), ', ') FROM pg_tables
    WHERE schemaname = 'public' AND tablename <> '_sqlx_migrations'
); END $$";

/// In memory where the system has such a place: a story is not about the disk.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

struct Model<D>(PhantomData<D>);

struct Running {
    world: World,
    runtime: Runtime,
    _keep: (TempDir, Box<dyn Any>),
}

static STEPS: AtomicU64 = AtomicU64::new(0);
/// How often each request ended in each way.
static TALLY: Mutex<BTreeMap<(&str, String), u64>> = Mutex::new(BTreeMap::new());

fn tally(request: &'static str, reply: Option<&Reply<'_>>) {
    let name =
        request.rsplit("::").next().and_then(|name| name.split('<').next()).unwrap_or(request);
    let end = match reply {
        None => "cut off".to_owned(),
        Some(Reply::ErrorReply(error)) => error.code.name().to_owned(),
        Some(_) => "done".to_owned(),
    };
    *TALLY.lock().unwrap().entry((name, end)).or_default() += 1;
}

impl<D: Database> StateMachineTest for Model<D> {
    type SystemUnderTest = Running;
    type Reference = Story;

    fn init_test(story: &Story) -> Running {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (store, keep) = D::open(&runtime).expect("a database");
        let folder = folder();
        let mut world = runtime.block_on(World::new(store, folder.path()));
        runtime.block_on(async {
            for (name, address) in [(0, 0), (2, 3)].into_iter().take(story.people) {
                let join = Ask::Register { name, address, password: 0 };
                let verify = Ask::VerifyEmail { code_of: 0, code: Code::Right, name: None };
                let ask = |ask| Step::Ask { node: 0, network: Some(0), ask, wrong: None };
                let deliver = Step::Deliver { node: 0, fates: vec![Fate::Sent], wrong: None };
                for step in [ask(join), deliver, ask(verify)] {
                    world.step(&step).await;
                }
            }
        });
        assert_eq!(world.ledger.users.len(), story.people);
        Running { world, runtime, _keep: (folder, keep) }
    }

    fn apply(mut running: Running, _: &Story, step: Step) -> Running {
        STEPS.fetch_add(1, Ordering::Relaxed);
        running.runtime.block_on(running.world.step(&step));
        running
    }

    fn teardown(mut running: Running, _: Story) {
        running.runtime.block_on(running.world.end());
    }
}

/// Tells stories on a database: so many, unless `MODEL_CASES` says otherwise.
fn tell<D: Database>(cases: u32) {
    let cases = std::env::var("MODEL_CASES")
        .map_or(cases, |cases| cases.parse().expect("MODEL_CASES is a number"));
    let config = Config {
        cases,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(REGRESSIONS))),
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let began = std::time::Instant::now();
    let told = TestRunner::new(config.clone()).run(
        &Story::sequential_strategy(1..=LONGEST),
        |(story, steps, seen)| {
            Model::<D>::test_sequential(config.clone(), story, steps, seen);
            Ok(())
        },
    );
    if std::env::var("MODEL_CASES").is_ok() {
        use std::io::Write;
        let mut text = format!(
            "{cases} stories, {} steps, {:?}\n",
            STEPS.load(Ordering::Relaxed),
            began.elapsed()
        );
        for ((request, end), count) in &*TALLY.lock().unwrap() {
            text.push_str(&format!("  {request:<22} {end:<20} {count:>8}\n"));
        }
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    if let Err(failure) = told {
        panic!("{failure}");
    }
}

#[test]
fn stories_on_sqlite_go_as_the_model_says() {
    tell::<Sqlite>(40);
}

#[test]
fn stories_on_postgres_go_as_the_model_says() {
    if postgres().is_some() {
        tell::<Shared>(8);
    }
}
