//! The load generator against a live server and a real Redis: it gets good answers, counts them
//! all, and says how long they took. Whether they were fast is no test's business.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::Cli;
use crate::live::Live;

fn report(cli: &Cli, arguments: &[&str]) -> Value {
    let mut all = vec!["bench", "--json", "--warm-up", "50ms"];
    all.extend(arguments);
    cli.run(&all).done().object()
}

#[test]
fn every_scenario_gets_good_answers() {
    let live = Live::start();
    let cli = Cli::of(live.address.as_str());
    let mails = live.folder.path().join("mails");
    let file = live.folder.path().join("accounts");
    let accounts = [
        "--mail-dir",
        mails.to_str().unwrap(),
        "--accounts",
        file.to_str().unwrap(),
        "--users",
        "2",
    ];
    let few = ["--connections", "3", "--duration", "400ms", "--tokens", "5"];
    for (scenario, depth) in [("verify", "4"), ("get", "2"), ("refresh", "2"), ("ping", "8")] {
        let report = report(&cli, &[&[scenario, "--depth", depth][..], &few, &accounts].concat());
        let kind = &report["server"]["median"][scenario];
        assert!(kind["replies"].as_u64().unwrap() > 0, "{report}");
        assert!(kind["p50_us"].as_f64().unwrap() > 0.0, "{report}");
        assert_eq!(
            (&kind["refused"], &kind["unanswered"]),
            (&serde_json::json!({}), &0.into()),
            "{report}"
        );
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 2, "the accounts are kept");
    let connects = report(&cli, &["connect", "--connections", "2", "--duration", "400ms"]);
    assert!(connects["server"]["median"]["connect"]["replies"].as_u64().unwrap() > 0, "{connects}");
    // A number of requests is kept to, over connections that it can not be parted among evenly.
    for scenario in ["login", "register"] {
        let counted = report(
            &cli,
            &[&[scenario, "--connections", "3", "--count", "7"][..], &accounts].concat(),
        );
        let kind = &counted["server"]["median"][scenario];
        assert_eq!(
            (&kind["refused"], &kind["unanswered"]),
            (&serde_json::json!({}), &0.into()),
            "{counted}"
        );
    }
}

#[test]
fn an_open_loop_asks_as_often_as_it_is_told() {
    let live = Live::start();
    let cli = Cli::of(live.address.as_str());
    let mails = live.folder.path().join("mails");
    let hgrm = live.folder.path().join("mixed");
    let arguments = [
        "bench",
        "mixed",
        "--mix",
        "verify=9,login=1",
        "--rate",
        "100",
        "--duration",
        "1s",
        "--warm-up",
    ];
    let more = [
        "100ms",
        "--users",
        "1",
        "--threads",
        "2",
        "--mail-dir",
        mails.to_str().unwrap(),
        "--rounds",
        "2",
        "--hgrm",
        hgrm.to_str().unwrap(),
    ];
    let ran = cli.run(&[&arguments[..], &more].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for said in [
        "mixed: 50 connections, depth 256, open loop at 100/s of verify=9,login=1",
        "sent late",
        "verify  ",
        "login  ",
        "p99.9",
    ] {
        assert!(ran.stdout.contains(said), "{said}: {}", ran.stdout);
    }
    for kind in ["verify", "login"] {
        let text =
            std::fs::read_to_string(live.folder.path().join(format!("mixed-{kind}.hgrm"))).unwrap();
        assert!(text.contains("#[Mean") && text.contains("1.000000000000"), "{text}");
    }
}

#[test]
fn what_a_scenario_lacks_is_said() {
    let live = Live::start();
    let cli = Cli::of(live.address.as_str());
    let ran = cli.run(&["bench", "login"]).failed(2);
    assert!(
        ran.stderr.contains("--accounts") && ran.stderr.contains("--mail-dir"),
        "{}",
        ran.stderr
    );
    let ran = cli.run(&["bench", "verify"]).failed(2);
    assert!(ran.stderr.contains("no token is stored"), "{}", ran.stderr);
    let ran = Cli::alone().run(&["bench", "ping"]).failed(2);
    assert!(ran.stderr.contains("can not connect to 127.0.0.1:1"), "{}", ran.stderr);
}

/// A private Redis; ended with the value.
struct Redis(Child, u16);

impl Redis {
    fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("redis-server");
        command.args([
            "--port",
            &port.to_string(),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]);
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            std::io::stderr()
                .write_all(b"left out: a comparison with Redis (redis-server is missing)\n")
                .unwrap();
            return None;
        };
        let (redis, began) = (Self(child, port), Instant::now());
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(30), "the Redis does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(redis)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_redis_is_asked_in_turn() {
    let Some(redis) = Redis::start() else { return };
    let live = Live::start();
    let cli = Cli::of(live.address.as_str());
    let url = format!("redis://127.0.0.1:{}", redis.1);
    let (own, pid) = (std::process::id().to_string(), redis.0.id().to_string());
    let report = report(
        &cli,
        &[
            "ping",
            "--against",
            &url,
            "--rounds",
            "3",
            "--duration",
            "200ms",
            "--tokens",
            "700",
            "--connections",
            "4",
            "--depth",
            "3",
            "--server-pid",
            &own,
            "--against-pid",
            &pid,
        ],
    );
    let kind = &report["redis"]["median"]["redis get"];
    assert!(
        kind["replies"].as_u64().unwrap() > 0 && kind["refused"] == serde_json::json!({}),
        "{report}"
    );
    assert!(report["ratio"]["median"].as_f64().unwrap() > 0.0, "{report}");
    assert_eq!(report["redis"]["rounds"].as_array().unwrap().len(), 3);
    if cfg!(target_os = "linux") {
        assert!(report["redis"]["median_cpu_us_a_reply"].as_f64().unwrap() > 0.0, "{report}");
    }
}
