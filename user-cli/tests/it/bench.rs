//! The load generator against a real server, Redis and memcached: every request succeeds, is
//! counted and is timed. The tests do not check how fast the replies are.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use user_proto::{ErrorCode, Request};

use crate::cli::Cli;
use crate::fake_server::{FakeServer, error, logged_in};
use crate::live_server::LiveServer;

fn report(cli: &Cli, arguments: &[&str]) -> Value {
    let mut all = vec!["bench", "--json", "--warm-up", "50ms"];
    all.extend(arguments);
    cli.run(&all).succeeded().object()
}

#[test]
fn every_scenario_succeeds() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let mail_dir = live.data_dir.path().join("mails");
    let file = live.data_dir.path().join("accounts");
    let accounts = [
        "--mail-dir",
        mail_dir.to_str().unwrap(),
        "--accounts",
        file.to_str().unwrap(),
        "--users",
        "2",
    ];
    let few = ["--connections", "3", "--duration", "400ms", "--tokens", "5"];
    for (scenario, depth) in [("verify", "4"), ("get", "2"), ("refresh", "2"), ("ping", "8")] {
        // A session can be refreshed 60 times an hour.
        let rate = if scenario == "refresh" { &["--rate", "100"][..] } else { &[] };
        let shape = [scenario, "--depth", depth];
        let report = report(&cli, &[&shape[..], rate, &few, &accounts].concat());
        let kind = &report["server"]["median"][scenario];
        assert!(kind["replies"].as_u64().unwrap() > 0, "{report}");
        assert!(kind["p50_ms"].as_f64().unwrap() > 0.0, "{report}");
        assert_eq!(
            (&kind["refused"], &kind["unanswered"]),
            (&serde_json::json!({}), &0.into()),
            "{report}"
        );
    }
    assert_eq!(
        std::fs::read_to_string(&file).unwrap().lines().count(),
        2,
        "the accounts are written"
    );
    let connects = report(&cli, &["connect", "--connections", "2", "--duration", "400ms"]);
    assert!(connects["server"]["median"]["connect"]["replies"].as_u64().unwrap() > 0, "{connects}");
    // Not divisible by the number of connections.
    for scenario in ["login", "register"] {
        let counted = report(
            &cli,
            &[&[scenario, "--connections", "3", "--count", "7"][..], &accounts].concat(),
        );
        let kind = &counted["server"]["median"][scenario];
        assert_eq!(
            (&kind["replies"], &kind["refused"], &kind["unanswered"]),
            (&7.into(), &serde_json::json!({}), &0.into()),
            "{counted}"
        );
    }
}

#[test]
fn a_number_of_requests_is_measured_completely() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    for scenario in ["ping", "connect"] {
        for warm_up in [&[][..], &["--warm-up", "200ms"], &["--warm-up", "0s"]] {
            let arguments = ["bench", scenario, "--count", "100", "--connections", "3", "--json"];
            let report = cli.run(&[&arguments[..], warm_up].concat()).succeeded().object();
            let kind = &report["server"]["median"][scenario];
            assert_eq!(kind["replies"], 100, "{report}");
            let (rate, p50) =
                (kind["per_second"].as_f64().unwrap(), kind["p50_ms"].as_f64().unwrap());
            assert!(rate > 0.0 && p50 > 0.0, "{report}");
            // Three connections with one request each cannot be faster or much slower than that.
            let ms = report["server"]["runs"][0]["duration_ms"].as_f64().unwrap();
            assert!((rate * ms / 1000.0 - 100.0).abs() < 1.0, "{report}");
        }
    }
    let none = cli.run(&["bench", "ping", "--count", "0"]).failed(2);
    assert!(none.stderr.contains("--count"), "{none:?}");
}

#[test]
fn what_cannot_work_is_reported_before_anything_is_registered() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let mail_dir = live.data_dir.path().join("mails");
    let mail_dir = mail_dir.to_str().unwrap();
    for (arguments, part) in [
        (&["verify", "--mail-dir", mail_dir, "--hgrm", "/nonexist/x"][..], "/nonexist/x-KIND.hgrm"),
        (&["verify", "--mail-dir", "/nonexist"], "cannot read /nonexist"),
        (&["verify", "--mail-dir", mail_dir, "--users", "1", "--tokens", "10000"], "at least 4"),
        (&["ping", "--server-pid", "4194305"], "no process has the id 4194305"),
    ] {
        let output = cli.run(&[&["bench"], arguments].concat()).failed(2);
        assert!(output.stderr.contains(part), "{output:?}");
        assert!(!output.stderr.contains("registering"), "{output:?}");
    }
    assert_eq!(std::fs::read_dir(mail_dir).unwrap().count(), 0, "nothing was registered");
}

#[test]
fn an_open_loop_sends_requests_at_its_rate() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let mail_dir = live.data_dir.path().join("mails");
    let hgrm = live.data_dir.path().join("mixed");
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
        mail_dir.to_str().unwrap(),
        "--runs",
        "2",
        "--hgrm",
        hgrm.to_str().unwrap(),
    ];
    let output = cli.run(&[&arguments[..], &more].concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    for text in [
        "mixed: 50 connections, depth 256, open loop at 100/s of verify=9,login=1",
        "send delay",
        "verify  ",
        "login  ",
        "p99.9",
    ] {
        assert!(output.stdout.contains(text), "{text}: {}", output.stdout);
    }
    for kind in ["verify", "login"] {
        let text = std::fs::read_to_string(live.data_dir.path().join(format!("mixed-{kind}.hgrm")))
            .unwrap();
        assert!(text.contains("#[Mean") && text.contains("1.000000000000"), "{text}");
    }
}

#[test]
fn missing_requirements_of_a_scenario_are_reported() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    let output = cli.run(&["bench", "login"]).failed(2);
    assert!(
        output.stderr.contains("--accounts") && output.stderr.contains("--mail-dir"),
        "{}",
        output.stderr
    );
    let output = cli.run(&["bench", "verify"]).failed(2);
    assert!(output.stderr.contains("no token is stored"), "{}", output.stderr);
    let output = Cli::offline().run(&["bench", "ping"]).failed(2);
    assert!(output.stderr.contains("cannot connect to 127.0.0.1:1"), "{}", output.stderr);
}

#[test]
fn a_test_in_which_everything_is_refused_fails() {
    let server = FakeServer::refusing(ErrorCode::UNAVAILABLE);
    let few = ["--connections", "2", "--duration", "200ms", "--warm-up", "0s"];
    let output = Cli::new(&server.addr).run(&[&["bench", "ping"], &few[..]].concat()).failed(2);
    assert!(output.stderr.contains("every request was refused: ping: "), "{output:?}");
    assert!(output.stderr.contains(" times UNAVAILABLE"), "{output:?}");
    assert!(!output.stdout.contains("ping"), "no rate: {output:?}");

    // The first one is not a part of the test, and the only request.
    let server = FakeServer::start(|request| {
        Some(match request {
            Request::Login(_) => logged_in(1).into(),
            _ => error(ErrorCode::SESSION_REVOKED).into(),
        })
    });
    let cli = Cli::new(&server.addr);
    cli.run_with(&["login", "kim", "--password-stdin"], "tides rise at nine\n").succeeded();
    server.take_requests();
    let output = cli.run(&[&["bench", "verify"], &few[..]].concat()).failed(1);
    assert!(output.stderr.contains("SESSION_REVOKED"), "{output:?}");
    assert!(output.stderr.contains("user-cli login"), "{output:?}");
    assert_eq!(server.take_requests().len(), 1);
}

/// A server to compare with for one test, and its port; stopped on drop.
struct Peer(Child, u16);

impl Peer {
    /// Starts a program that is given the port as its last argument. Returns `None` if it is
    /// missing.
    fn start(program: &str, arguments: &[&str]) -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(program);
        command.args(arguments).arg(port.to_string());
        let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() else {
            let text = format!("left out: a comparison with {program} ({program} is missing)\n");
            std::io::stderr().write_all(text.as_bytes()).unwrap();
            return None;
        };
        let (peer, start) = (Self(child, port), Instant::now());
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(30), "{program} does not start");
            std::thread::sleep(Duration::from_millis(10));
        }
        Some(peer)
    }

    fn redis() -> Option<Self> {
        let arguments = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"];
        Self::start("redis-server", &arguments)
    }

    /// A memcached without UDP, which runs as an ordinary user even if the test does not.
    fn memcached() -> Option<Self> {
        Self::start("memcached", &["-l", "127.0.0.1", "-U", "0", "-u", "nobody", "-p"])
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn runs_against_redis_alternate_with_runs_against_the_server() {
    let Some(redis) = Peer::redis() else { return };
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
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
    assert_eq!(report["redis"]["runs"].as_array().unwrap().len(), 3);
    if cfg!(target_os = "linux") {
        assert!(report["redis"]["median_cpu_ms_per_reply"].as_f64().unwrap() > 0.0, "{report}");
    }
}

#[test]
fn runs_against_memcached_find_every_key() {
    let Some(memcached) = Peer::memcached() else { return };
    let live = LiveServer::start();
    let url = format!("memcached://127.0.0.1:{}", memcached.1);
    let mut arguments = vec!["ping", "--against", &url, "--duration", "200ms"];
    arguments.extend(["--tokens", "700", "--connections", "4", "--depth", "3"]);
    let cli = Cli::new(live.address.as_str());
    let text = cli.run(&[&["bench"], &arguments[..]].concat()).succeeded().stdout;
    assert!(text.contains("server / memcached"), "{text}");
    let report = report(&cli, &arguments);
    let kind = &report["memcached"]["median"]["memcached get"];
    assert!(
        kind["replies"].as_u64().unwrap() > 0 && kind["refused"] == serde_json::json!({}),
        "{report}"
    );
    // The keys are deleted at the end.
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", memcached.1)).unwrap();
    stream.write_all(b"stats\r\n").unwrap();
    let mut statistics = String::new();
    while !statistics.contains("END\r\n") {
        let mut buffer = [0; 4096];
        let read = std::io::Read::read(&mut stream, &mut buffer).unwrap();
        statistics += std::str::from_utf8(&buffer[..read]).unwrap();
    }
    assert!(statistics.contains("STAT curr_items 0\r\n"), "{statistics}");
}
