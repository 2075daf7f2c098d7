//! The binary from the operator's view: startup, errors at startup, and shutdown.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use user_proto::{Common, ErrorCode, Login, Ping, Reply};
use user_server::config::VARIABLES;

use crate::support::{
    PASSWORD, Process, TEST_TIMEOUT, Wire, request_frame, run_in, run_with_bytes,
};

/// One slow hash at a time, so that requests are in flight when a signal arrives.
const SLOW: [(&str, &str); 2] = [("HASH_THREADS", "1"), ("ARGON2_PASSES", "24")];

fn login(id: u32, name: &str) -> Vec<u8> {
    let common = Common { deadline_ms: Some(30_000), ..Common::default() };
    request_frame(id, Login::new(name.into(), PASSWORD.into()), &common)
}

#[tokio::test]
async fn without_settings_it_prints_its_address_and_its_defaults() {
    let process = Process::start(&[]);
    eprintln!("listening after {:?}", process.startup_time);
    let (data, printed) = (process.data(), &process.printed);
    assert!(process.address.ip().is_loopback());
    for text in [
        format!("listening on {}", process.address),
        format!("{} (SQLite)", data.display()),
        format!("{}", data.join("mails").display()),
        "stored in the data folder".to_owned(),
    ] {
        assert!(printed.contains(&text), "`{text}` is not in: {printed}");
    }
    for (path, mode) in [("", 0o700), ("jwt-secret", 0o600), ("users.db", 0o600), ("mails", 0o700)]
    {
        let found = std::fs::metadata(data.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{path}: {found:o}");
    }
}

#[tokio::test]
async fn either_signal_stops_it_when_the_requests_in_flight_are_answered() {
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
        // Later requests are rejected with their ids, and earlier ones are answered.
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

/// Time after which a second signal is not the same one.
const SAME_SIGNAL: Duration = Duration::from_millis(600);

#[tokio::test]
async fn it_accepts_for_the_drain_delay_or_until_a_second_signal() {
    let mut process = Process::start(&[("DRAIN_DELAY", "300")]);
    process.signal("TERM");
    let began = Instant::now();
    while !process.log().contains("still accepting") {
        assert!(began.elapsed() < TEST_TIMEOUT);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Wire::connect(process.address).await.ping(1).await;
    tokio::time::sleep(SAME_SIGNAL).await;
    process.signal("TERM");
    process.wait().await.expect("an exit code");
}

#[tokio::test]
async fn a_second_signal_does_not_wait_for_requests_in_flight() {
    let mut process = Process::start(&SLOW);
    let mut wire = Wire::connect(process.address).await;
    let logins: Vec<u8> = (1..=32).flat_map(|id| login(id, &format!("nobody{id}"))).collect();
    wire.send(&logins).await;
    wire.ping(100).await;
    process.signal("INT");
    // The second reply shows how long one login takes.
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
    tokio::time::sleep(SAME_SIGNAL).await;
    process.signal("INT");
    let signalled = Instant::now();
    process.wait().await.expect("an exit code");
    assert!(
        signalled.elapsed() < one * 15,
        "30 logins of {one:?} each took {:?}",
        signalled.elapsed()
    );
}

#[tokio::test]
async fn the_grace_period_ends() {
    let mut process = Process::start(&[SLOW.as_slice(), &[("GRACE", "1")]].concat());
    let mut wire = Wire::connect(process.address).await;
    let logins: Vec<u8> = (1..=32).flat_map(|id| login(id, &format!("nobody{id}"))).collect();
    wire.send(&logins).await;
    wire.ping(100).await;
    process.signal("TERM");
    assert_eq!(process.wait().await, Some(0));
    assert!(process.log().contains("the grace period is over"));
}

#[tokio::test]
async fn a_folder_and_a_port_belong_to_one_process() {
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
    let other_folder = tempfile::tempdir().unwrap();
    let third = run_in(other_folder.path(), &[], &[("TCP_PORT", &port)]);
    assert_eq!(third.code, Some(1), "{third:?}");
    assert_eq!(
        std::fs::read_dir(other_folder.path()).unwrap().count(),
        0,
        "it leaves no files behind"
    );
    Wire::connect(process.address).await.ping(1).await;
}

#[test]
fn every_configuration_error_is_reported_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let result = run_in(
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
    assert_eq!(result.code, Some(64), "{result:?}");
    assert_eq!(result.output, "");
    assert!(result.error.contains("12 errors"), "{}", result.error);
    let lines: Vec<&str> = result.error.lines().collect();
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
        // Each error is a line `error: ...` that names its variable. A line `hint: ...` follows.
        let names = |line: &str| line.split([' ', ':']).any(|word| word == name);
        let line = lines.iter().position(|line| line.starts_with("error: ") && names(line));
        let line = line.unwrap_or_else(|| panic!("{name} is not in: {}", result.error));
        assert!(lines[line + 1].starts_with("hint: "), "{name} has no hint: {}", result.error);
    }
    for secret in ["hunter2", "swordfish", "correct-horse", "battery-staple"] {
        assert!(!result.error.contains(secret), "{}", result.error);
    }
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0, "nothing was created");
}

#[test]
fn a_secret_that_is_not_utf_8_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let result = run_with_bytes(folder.path(), "JWTSECRETKEY", &[0xC3; 48]);
    assert_eq!(result.code, Some(64), "{result:?}");
    assert!(result.error.contains("invalid value for JWTSECRETKEY: expected UTF-8"), "{result:?}");
}

#[test]
fn help_lists_every_variable() {
    let folder = tempfile::tempdir().unwrap();
    let result = run_in(folder.path(), &["--help"], &[]);
    assert_eq!((result.code, result.error.as_str()), (Some(0), ""));
    for variable in VARIABLES {
        let line = result
            .output
            .lines()
            .find(|line| line.split_whitespace().next() == Some(variable.name));
        assert!(line.is_some(), "{} is not in: {}", variable.name, result.output);
    }
    assert_eq!(run_in(folder.path(), &["--version"], &[]).code, Some(0));
    assert_eq!(run_in(folder.path(), &["--no-such-option"], &[]).code, Some(2));
}

#[test]
fn an_unusable_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "").unwrap();
    for name in ["DATA_DIR", "MAIL_DIR"] {
        let result = run_in(folder.path(), &[], &[("TCP_PORT", "0"), (name, "file/below")]);
        assert_eq!(result.code, Some(1), "{result:?}");
        let path = folder.path().canonicalize().unwrap().join("file/below");
        for part in [path.to_str().unwrap(), name] {
            assert!(result.error.contains(part), "{result:?}");
        }
    }
    let data = folder.path().join("user-data");
    std::fs::write(data.join("users.db"), "this is some other file".repeat(99)).unwrap();
    let result = run_in(folder.path(), &[], &[("TCP_PORT", "0")]);
    assert_eq!(result.code, Some(1), "{result:?}");
    assert!(
        result.error.contains("users.db") && result.error.contains("not a database"),
        "{result:?}"
    );
    assert!(!data.join("jwt-secret").exists(), "no secret is generated for an unknown database");
    std::fs::write(data.join("jwt-secret"), "x".repeat(48)).unwrap();
    std::fs::set_permissions(data.join("jwt-secret"), std::fs::Permissions::from_mode(0o644))
        .unwrap();
    let result = run_in(folder.path(), &[], &[("TCP_PORT", "0")]);
    assert!(result.code == Some(1) && result.error.contains("chmod 600"), "{result:?}");
}

#[test]
fn calibrate_measures_and_never_recommends_less_than_the_floor() {
    let folder = tempfile::tempdir().unwrap();
    let result = run_in(folder.path(), &["calibrate", "--seconds", "1", "--target-ms", "1"], &[]);
    assert_eq!(result.code, Some(0), "{result:?}");
    for part in [
        " 19 MiB",
        "No setting takes at most 1.0 ms",
        "ARGON2_MEMORY_KIB=19456\nARGON2_PASSES=2\nHASH_THREADS=",
    ] {
        assert!(result.output.contains(part), "{part}: {}", result.output);
    }
    let result = run_in(
        folder.path(),
        &["calibrate", "--seconds", "1", "--floor"],
        &[("TCP_PORT", "not needed")],
    );
    assert!(result.output.contains("hashes per second: m=19456, t=2, p=1"), "{result:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves no files");
}
