//! The live view, as text, of a live server.

use crate::cli::Cli;
use crate::live::Live;

#[test]
fn one_look_shows_what_an_operator_asks() {
    let live = Live::start();
    let cli = Cli::of(live.address.as_str());
    cli.run(&["ping"]).done();
    let shown = cli
        .run(&["top", "--once", "--interval", "100ms", "--metrics", &live.metrics])
        .done()
        .stdout;
    for said in [
        "requests",
        "Ping",
        "connections",
        "of 10000",
        "hashing lane",
        "mails",
        "last attempt",
        "database",
        "up",
        "cache",
        "breaker       closed",
    ] {
        assert!(shown.contains(said), "{said}: {shown}");
    }
    assert!(!shown.contains('?'), "the server tells every figure that is asked for: {shown}");
    let object = cli
        .run(&["top", "--json", "--interval", "100ms", "--metrics", &live.metrics])
        .done()
        .object();
    assert_eq!(object["truth"][0], serde_json::json!(["database", "up"]));
}

#[test]
fn who_tells_nothing_is_named() {
    let ran = Cli::alone().run(&["top", "--once", "--metrics", "http://127.0.0.1:1"]).failed(2);
    assert!(
        ran.stderr.contains("http://127.0.0.1:1/metrics") && ran.stderr.contains("METRICS_ADDR"),
        "{}",
        ran.stderr
    );
}
