//! Every password, code, token and key of a run is searched for in everything that the service
//! writes, stores and holds in memory. Each artifact also contains a canary, which is not secret,
//! and which the same search must find.

mod artifacts;
mod scenario;
mod search;
mod tls_and_smtp;

use artifacts::{
    Artifact, backup, common_artifacts, database_columns, database_files, folder_contents, memory,
    postgres_columns,
};
use scenario::{CANARY, NETWORK, Target};
use search::Secrets;

use crate::support::{Postgres, Process, Redis};

const ISSUER: &str = "canary-issuer";

/// Panics if an artifact contains a secret, or does not contain its canary.
fn assert_no_secrets(secrets: &Secrets, artifacts: &[Artifact]) {
    for Artifact { name, bytes, text, canary } in artifacts {
        assert!(
            search::finds(canary, bytes),
            "`{canary}` is not in {name}: the search would not find a secret either"
        );
        assert_eq!(secrets.found_in(bytes, *text), Vec::<String>::new(), "in {name}");
    }
}

/// Panics if an idle process holds a password, a token or a long code in memory.
fn assert_no_secrets_in_memory(secrets: &Secrets, process: &Process) {
    let content = memory(process.id());
    assert!(search::finds(ISSUER, &content), "the memory was not read");
    assert_eq!(
        secrets.of_users().found_in(&content, false),
        Vec::<String>::new(),
        "in the memory of the process"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_stored_or_held_in_memory() {
    let mut secrets = Secrets::default();
    let key = secrets.make("JWTSECRETKEY", 48);
    let settings = [
        ("LOG", "trace"),
        ("JWTSECRETKEY", key.as_str()),
        ("JWT_ISSUER", ISSUER),
        ("METRICS_ADDR", "127.0.0.1:0"),
    ];
    let process = Process::start(&settings);
    let emails = process.emails();
    let target = Target { process: &process, emails: &emails, tls: None, key: &key };
    let errors = scenario::run(&target, &mut secrets).await;
    assert_no_secrets_in_memory(&secrets, &process);
    let before = database_files(&process, "the files of the database before a command");
    let mut artifacts = common_artifacts(&process, &settings, errors).await;
    artifacts.extend([
        before,
        database_columns(&process.data().join("users.db")).await,
        backup(&process, &settings),
    ]);
    assert_no_secrets(&secrets, &artifacts);
    assert_no_secrets_in_memory(&secrets, &process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_stored_or_held_in_memory_with_postgresql_and_redis() {
    let mut secrets = Secrets::default();
    let (key, of_redis) =
        (secrets.make("JWTSECRETKEY", 48), secrets.make("the password of Redis", 16));
    let of_postgres = secrets.make("the password of PostgreSQL", 16);
    let hba = "host all tests 127.0.0.1/32 trust\nhost all service 127.0.0.1/32 scram-sha-256\n";
    let Some(postgres) = Postgres::with("-c hba_file=$folder/hba", &[("hba", hba)]) else { return };
    let more = ["--requirepass", &of_redis, "--appendonly", "yes", "--aof-use-rdb-preamble", "no"]
        .map(str::to_owned);
    let Some(mut redis) = Redis::start_with(|_| more.to_vec()) else { return };
    let by_tests = postgres.database();
    let database = by_tests.rsplit('/').next().unwrap();
    assert!(postgres.psql(
        database,
        &format!("SET password_encryption = 'scram-sha-256'; CREATE ROLE service LOGIN PASSWORD '{of_postgres}'")
    ));
    assert!(postgres.psql(database, &format!("ALTER DATABASE {database} OWNER TO service")));

    let url = by_tests.replace("tests@", &format!("service:{of_postgres}@"));
    let cache = redis.url().replace("redis://", &format!("redis://:{of_redis}@"));
    let folder = tempfile::tempdir().unwrap();
    let emails = crate::support::EmailFolder(folder.path().to_owned());
    let settings = [
        ("LOG", "trace"),
        ("JWTSECRETKEY", key.as_str()),
        ("JWT_ISSUER", ISSUER),
        ("METRICS_ADDR", "127.0.0.1:0"),
        ("MAIL_DIR", folder.path().to_str().unwrap()),
        ("PostgreSQL", url.as_str()),
        ("REDIS_URL", cache.as_str()),
    ];
    let process = Process::start(&settings);
    let target = Target { process: &process, emails: &emails, tls: None, key: &key };
    let mut errors = scenario::run(&target, &mut secrets).await;
    redis.command(&["-a", &of_redis, "--no-auth-warning", "SET", CANARY, NETWORK]);
    let mut artifacts = common_artifacts(&process, &settings, String::new()).await;
    artifacts.extend(postgres_columns(&by_tests));
    artifacts.push(Artifact::raw(
        "the files of Redis",
        folder_contents(redis.folder.path()),
        CANARY,
    ));
    // An error may contain the credentials that were used.
    redis.kill();
    errors += &scenario::run_during_outage(&process, &mut secrets).await;
    postgres.crash();
    errors += &scenario::run_during_outage(&process, &mut secrets).await;
    assert_no_secrets_in_memory(&secrets, &process);
    let wrong = secrets.make("a wrong password", 16);
    for (name, right) in [("PostgreSQL", &of_postgres), ("REDIS_URL", &of_redis)] {
        let mut settings = settings;
        let index = settings.iter().position(|(key, _)| *key == name).unwrap();
        let changed = settings[index].1.replace(right.as_str(), &wrong);
        settings[index].1 = &changed;
        errors += &format!("{:?}", crate::support::run_in(folder.path(), &["check"], &settings));
    }
    artifacts.push(Artifact::text("the log", process.log(), "VerifyEmail"));
    artifacts.push(Artifact::text(
        "the errors of clients and commands",
        errors,
        "INVALID_CREDENTIALS",
    ));
    artifacts.push(Artifact::raw(
        "the files of PostgreSQL",
        folder_contents(postgres.folder()),
        CANARY,
    ));
    assert_no_secrets(&secrets, &artifacts);
}
