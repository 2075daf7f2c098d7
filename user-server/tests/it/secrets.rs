//! Every password, code, token and key that a run uses is looked for in all that the service
//! writes, stores and remembers. Each place holds something that is no secret too, which the same
//! look has to find there.

mod elsewhere;
mod places;
mod search;
mod story;

use places::{Place, copy, database_file, database_files, embedded, memory, of_folder, shared};
use search::Secrets;
use story::{CANARY, Door, NETWORK};

use crate::support::{Postgres, Process, Redis};

const ISSUER: &str = "canary-issuer";

/// Fails where a secret is in a place, or where what is no secret is not found in one.
fn judge(secrets: &Secrets, places: &[Place]) {
    for Place { name, bytes, text, canary } in places {
        assert!(
            search::finds(canary, bytes),
            "`{canary}` is not in {name}: the look would find no secret either"
        );
        assert_eq!(secrets.found_in(bytes, *text), Vec::<String>::new(), "in {name}");
    }
}

/// Passwords, tokens and long codes that a process still holds when nobody asks anything.
fn judge_memory(secrets: &Secrets, process: &Process) {
    let held = memory(process.id());
    assert!(search::finds(ISSUER, &held), "the memory was not read");
    assert_eq!(
        secrets.of_users().found_in(&held, false),
        Vec::<String>::new(),
        "in the memory of the process"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_stored_or_kept() {
    let mut secrets = Secrets::default();
    let key = secrets.make("JWTSECRETKEY", 48);
    let settings = [
        ("LOG", "trace"),
        ("JWTSECRETKEY", key.as_str()),
        ("JWT_ISSUER", ISSUER),
        ("METRICS_ADDR", "127.0.0.1:0"),
    ];
    let process = Process::start(&settings);
    let mails = process.emails();
    let door = Door { process: &process, mails: &mails, tls: None, key: &key };
    let said = story::live(&door, &mut secrets).await;
    judge_memory(&secrets, &process);
    let before = database_files(&process, "the files of the database before a command");
    let mut places = embedded(&process, &settings, said).await;
    places.extend([
        before,
        database_file(&process.data().join("users.db")).await,
        copy(&process, &settings),
    ]);
    judge(&secrets, &places);
    judge_memory(&secrets, &process);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_stored_or_kept_beside_postgresql_and_redis() {
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
    let mails = crate::support::EmailFolder(folder.path().to_owned());
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
    let door = Door { process: &process, mails: &mails, tls: None, key: &key };
    let mut said = story::live(&door, &mut secrets).await;
    redis.command(&["-a", &of_redis, "--no-auth-warning", "SET", CANARY, NETWORK]);
    let mut places = embedded(&process, &settings, String::new()).await;
    places.push(shared(&by_tests));
    places.push(Place::raw("the files of Redis", of_folder(redis.folder.path()), CANARY));
    // What fails may say with what it was tried.
    redis.kill();
    said += &story::in_trouble(&process, &mut secrets).await;
    postgres.crash();
    said += &story::in_trouble(&process, &mut secrets).await;
    judge_memory(&secrets, &process);
    let wrong = secrets.make("a wrong password", 16);
    for (name, right) in [("PostgreSQL", &of_postgres), ("REDIS_URL", &of_redis)] {
        let mut settings = settings;
        let place = settings.iter().position(|(key, _)| *key == name).unwrap();
        let changed = settings[place].1.replace(right.as_str(), &wrong);
        settings[place].1 = &changed;
        said += &format!("{:?}", crate::support::run_in(folder.path(), &["check"], &settings));
    }
    places.push(Place::text("the log", process.log(), "VerifyEmail"));
    places.push(Place::text("what clients and operators are told", said, "INVALID_CREDENTIALS"));
    places.push(Place::raw("the files of PostgreSQL", of_folder(postgres.folder()), CANARY));
    judge(&secrets, &places);
}
