//! The metrics of a real server, as text.

use crate::cli::Cli;
use crate::live_server::LiveServer;

#[test]
fn one_interval_shows_the_metrics_of_every_part() {
    let live = LiveServer::start();
    let cli = Cli::new(live.address.as_str());
    cli.run(&["ping"]).succeeded();
    let shown = cli
        .run(&["top", "--once", "--interval", "100ms", "--metrics", &live.metrics])
        .succeeded()
        .stdout;
    for text in [
        "requests",
        "Ping",
        "connections",
        "of 10000",
        "hash pool",
        "emails",
        "last attempt",
        "database",
        "up",
        "cache",
        "breaker       closed",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(!shown.contains('?'), "a metric is missing: {shown}");
    let object = cli
        .run(&["top", "--json", "--interval", "100ms", "--metrics", &live.metrics])
        .succeeded()
        .object();
    assert_eq!(object["database"]["up"], true);
    assert!(object["interval_ms"].as_u64().unwrap() >= 100, "{object}");
    assert_eq!(
        (&object["connections"]["max"], &object["hash_pool"]["queued"]),
        (&10_000.into(), &0.into())
    );
    let ping = &object["requests"][0];
    assert!(ping["type"] == "Ping" && ping["ok_per_second"].is_number(), "{object}");
    assert!(object["cache"]["circuit_breaker"] == "closed", "{object}");
}

#[test]
fn an_unreachable_server_is_named() {
    let output =
        Cli::offline().run(&["top", "--once", "--metrics", "http://127.0.0.1:1"]).failed(2);
    assert!(
        output.stderr.contains("http://127.0.0.1:1/metrics")
            && output.stderr.contains("METRICS_ADDR"),
        "{}",
        output.stderr
    );
}
