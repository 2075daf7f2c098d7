//! The binary as an operator meets it: how it starts, what it says where it can't, and how it ends.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use user_proto::{Common, ErrorCode, Login, Ping, Reply};
use user_server::config::VARIABLES;

use crate::support::{
    PASSWORD, Process, TEST_TIMEOUT, Wire, request_frame, run_in, run_with_bytes,
};

/// One hash at a time, each slow enough to be in flight when a signal comes.
const SLOW: [(&str, &str); 2] = [("HASH_THREADS", "1"), ("ARGON2_PASSES", "24")];

fn login(id: u32, name: &str) -> Vec<u8> {
    let patient = Common { deadline_ms: Some(30_000), ..Common::default() };
    request_frame(id, Login::new(name.into(), PASSWORD.into()), &patient)
}

#[tokio::test]
async fn with_nothing_set_it_says_where_it_is_and_what_it_uses() {
    let process = Process::start(&[]);
    eprintln!("it listened after {:?}", process.startup_time);
    let (data, printed) = (process.data(), &process.printed);
    assert!(process.address.ip().is_loopback());
    for part in [
        format!("listening on {}", process.address),
        format!("{} (SQLite)", data.display()),
        format!("{}", data.join("mails").display()),
        "stored in the data folder".to_owned(),
    ] {
        assert!(printed.contains(&part), "`{part}` is not in: {printed}");
    }
    for (path, mode) in [("", 0o700), ("jwt-secret", 0o600), ("users.db", 0o600), ("mails", 0o700)]
    {
        let found = std::fs::metadata(data.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
}

#[tokio::test]
async fn either_signal_ends_it_when_what_is_in_flight_is_answered() {
    for signal in ["TERM", "INT"] {
        let mut process = Process::start(&SLOW);
        let client = process.client();
        process.account(&client, "ada").await;
        let mut idle = Wire::connect(process.address).await;
        idle.ping(1).await;
        let mut wire = Wire::connect(process.address).await;
        wire.send(&login(1, "ada")).await;
        wire.ping(2).await;
        process.signal(signal);
        assert_eq!(wire.refusal(0).await.code, ErrorCode::SHUTTING_DOWN);
        // What comes now is refused with its own id, and what came before is answered.
        for id in [3, 4] {
            wire.request(id, Ping {}).await;
            assert_eq!(wire.refusal(id).await.code, ErrorCode::SHUTTING_DOWN);
        }
        assert!(matches!(wire.reply().await, (1, Reply::LoggedIn(_))));
        wire.expect_close().await;
        idle.expect_close_with(ErrorCode::SHUTTING_DOWN).await;
        assert_eq!(process.wait().await, Some(0), "{}", process.log());
        assert!(tokio::net::TcpStream::connect(process.address).await.is_err());
        assert!(process.log().contains("stopped"));
    }
}

#[tokio::test]
async fn it_goes_on_accepting_for_a_while_and_a_second_signal_ends_that() {
    let mut process = Process::start(&[("DRAIN_DELAY", "300")]);
    process.signal("TERM");
    let began = Instant::now();
    while !process.log().contains("still accepting") {
        assert!(began.elapsed() < TEST_TIMEOUT);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Wire::connect(process.address).await.ping(1).await;
    process.signal("TERM");
    process.wait().await.expect("an exit of its own");
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_what_is_in_flight() {
    let mut process = Process::start(&SLOW);
    let mut wire = Wire::connect(process.address).await;
    let asked: Vec<u8> = (1..=32).flat_map(|id| login(id, &format!("nobody{id}"))).collect();
    wire.send(&asked).await;
    wire.ping(100).await;
    process.signal("INT");
    // By the second reply it is known what one takes.
    let mut began = Instant::now();
    let mut answered = 0;
    let one = loop {
        if wire.reply().await.0 != 0 {
            answered += 1;
            if answered == 2 {
                break began.elapsed();
            }
            began = Instant::now();
        }
    };
    process.signal("INT");
    let signalled = Instant::now();
    process.wait().await.expect("an exit of its own");
    assert!(
        signalled.elapsed() < one * 15,
        "30 logins of {one:?} each took {:?}",
        signalled.elapsed()
    );
}

#[tokio::test]
async fn the_grace_time_has_an_end() {
    let mut process = Process::start(&[SLOW.as_slice(), &[("GRACE", "1")]].concat());
    let mut wire = Wire::connect(process.address).await;
    let asked: Vec<u8> = (1..=32).flat_map(|id| login(id, &format!("nobody{id}"))).collect();
    wire.send(&asked).await;
    wire.ping(100).await;
    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0));
    assert!(process.log().contains("the grace period is over"));
}

#[tokio::test]
async fn a_folder_and_a_port_are_for_one() {
    let process = Process::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let data = process.data();
    let second =
        run_in(folder.path(), &[], &[("TCP_PORT", "0"), ("DATA_DIR", data.to_str().unwrap())]);
    assert_eq!(second.code, Some(1), "{second:?}");
    for part in [data.to_str().unwrap(), "in use by another user-server", "DATA_DIR"] {
        assert!(second.error.contains(part), "{second:?}");
    }
    let port = process.address.port().to_string();
    let second = run_in(folder.path(), &[], &[("TCP_PORT", &port)]);
    assert_eq!(second.code, Some(1), "{second:?}");
    for part in [process.address.to_string().as_str(), "TCP_PORT"] {
        assert!(second.error.contains(part), "{second:?}");
    }
    let elsewhere = tempfile::tempdir().unwrap();
    let third = run_in(elsewhere.path(), &[], &[("TCP_PORT", &port)]);
    assert_eq!(third.code, Some(1), "{third:?}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0, "it leaves nothing behind");
    Wire::connect(process.address).await.ping(1).await;
}

#[test]
fn every_fault_of_the_configuration_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let said = run_in(
        folder.path(),
        &[],
        &[
            ("TCP_PORT", "eighty"),
            ("LISTEN_ADDR", "0.0.0.0"),
            ("JWTSECRETKEY", "hunter2"),
            ("JWTSECRETKEY_ACCEPT", "swordfish"),
            ("OTP_EXPIRY", "0"),
            ("LOG", "info,=,=info"),
            ("LOG_FORMAT", "xml"),
            ("TRUSTED_PEERS", "everybody"),
            ("ARGON2_MEMORY_KIB", "1"),
            ("PostgreSQL", "mysql://user:correct-horse@db/users"),
            ("REDIS_URL", "redis://:battery-staple@cache/x"),
        ],
    );
    assert_eq!(said.code, Some(64), "{said:?}");
    assert_eq!(said.output, "");
    assert!(said.error.contains("12 errors"), "{}", said.error);
    let lines: Vec<&str> = said.error.lines().collect();
    for name in [
        "TCP_PORT",
        "LISTEN_ADDR",
        "JWTSECRETKEY",
        "JWTSECRETKEY_ACCEPT",
        "OTP_EXPIRY",
        "LOG",
        "LOG_FORMAT",
    ]
    .into_iter()
    .chain(["TRUSTED_PEERS", "ARGON2_MEMORY_KIB", "PostgreSQL", "REDIS_URL", "SMTP_HOST"])
    {
        // Each error is a line `error: ...` that names its variable, followed by a line `hint:
        // ...`.
        let names = |line: &str| line.split([' ', ':']).any(|word| word == name);
        let line = lines.iter().position(|line| line.starts_with("error: ") && names(line));
        let line = line.unwrap_or_else(|| panic!("{name} is not in: {}", said.error));
        assert!(lines[line + 1].starts_with("hint: "), "{name} has no hint: {}", said.error);
    }
    for secret in ["hunter2", "swordfish", "correct-horse", "battery-staple"] {
        assert!(!said.error.contains(secret), "{}", said.error);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing was begun");
}

#[test]
fn a_secret_that_is_no_text_is_not_taken_for_none() {
    let folder = tempfile::tempdir().unwrap();
    let said = run_with_bytes(folder.path(), "JWTSECRETKEY", &[0xC3; 48]);
    assert_eq!(said.code, Some(64), "{said:?}");
    assert!(said.error.contains("invalid value for JWTSECRETKEY: expected UTF-8"), "{said:?}");
}

#[test]
fn help_names_every_variable() {
    let folder = tempfile::tempdir().unwrap();
    let said = run_in(folder.path(), &["--help"], &[]);
    assert_eq!((said.code, said.error.as_str()), (Some(0), ""));
    for variable in VARIABLES {
        let line =
            said.output.lines().find(|line| line.split_whitespace().next() == Some(variable.name));
        assert!(line.is_some(), "{} is not in: {}", variable.name, said.output);
    }
    assert_eq!(run_in(folder.path(), &["--version"], &[]).code, Some(0));
    assert_eq!(run_in(folder.path(), &["--no-such-option"], &[]).code, Some(2));
}

#[test]
fn a_folder_that_can_not_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for name in ["DATA_DIR", "MAIL_DIR"] {
        let said = run_in(folder.path(), &[], &[("TCP_PORT", "0"), (name, "file/below")]);
        assert_eq!(said.code, Some(1), "{said:?}");
        let path = folder.path().canonicalize().unwrap().join("file/below");
        for part in [path.to_str().unwrap(), name] {
            assert!(said.error.contains(part), "{said:?}");
        }
    }
    let data = folder.path().join("user-data");
    std::fs::write(data.join("users.db"), "this is a file of something else".repeat(99)).unwrap();
    let said = run_in(folder.path(), &[], &[("TCP_PORT", "0")]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.error.contains("users.db") && said.error.contains("not a database"), "{said:?}");
    std::fs::set_permissions(data.join("jwt-secret"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    let said = run_in(folder.path(), &[], &[("TCP_PORT", "0")]);
    assert!(said.code == Some(1) && said.error.contains("chmod 600"), "{said:?}");
}

#[test]
fn calibrate_measures_and_never_recommends_less_than_the_floor() {
    let folder = tempfile::tempdir().unwrap();
    let said = run_in(folder.path(), &["calibrate", "--seconds", "1", "--target-ms", "1"], &[]);
    assert_eq!(said.code, Some(0), "{said:?}");
    for part in [
        " 19 MiB",
        "No setting takes at most 1.0 ms",
        "ARGON2_MEMORY_KIB=19456\nARGON2_PASSES=2\nHASH_THREADS=",
    ] {
        assert!(said.output.contains(part), "{part}: {}", said.output);
    }
    let said = run_in(
        folder.path(),
        &["calibrate", "--seconds", "1", "--floor"],
        &[("TCP_PORT", "not needed")],
    );
    assert!(said.output.contains("hashes per second: m=19456, t=2, p=1"), "{said:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing");
}
