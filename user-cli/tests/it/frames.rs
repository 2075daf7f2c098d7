//! The tools about the connection and its frames.

use user_proto::ErrorCode;

use crate::cli::Cli;
use crate::fake::{Fake, error, pong};

#[test]
fn a_ping_shows_the_round_trip_and_the_limits() {
    let server = Fake::saying(pong());
    let cli = Cli::of(&server.addr);
    let ran = cli.run(&["ping"]).done();
    assert!(ran.stdout.contains("max in flight  256\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("idle timeout   5 min\n"), "{}", ran.stdout);
    let object = cli.run(&["ping", "--json"]).done().object();
    assert!(object["round_trip_ms"].as_f64().unwrap() > 0.0);
    assert_eq!((&object["reply"], &object["max_in_flight"]), (&"Pong".into(), &256.into()));
}

#[test]
fn verbose_shows_the_frames_with_their_direction() {
    let server = Fake::saying(pong());
    let ran = Cli::of(&server.addr).run(&["ping", "--verbose"]);
    assert_eq!(ran.code, Some(0));
    let lines: Vec<_> = ran.stderr.lines().collect();
    assert_eq!(lines[0], "--> 000000057f00000001");
    assert_eq!(lines[1], "<-- 00000013ff00000001010004000001000300040000012c");
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn secrets_are_shown_only_when_asked_for() {
    let cli = Cli::alone();
    let login = "00000016 02 00000001 0003 6b696d 000a 73776f7264666973680a".to_owned();
    let ran = cli.run(&["decode", &login]).done();
    assert!(ran.stdout.contains("  login     kim\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("  password  [redacted, 10 bytes]"), "{}", ran.stdout);
    assert!(!cli.run(&["decode", &login, "--json"]).done().stdout.contains("swordfish"));
    assert!(cli.run(&["decode", &login, "--show-secrets"]).done().stdout.contains("swordfish"));
}

#[test]
fn decode_says_what_is_wrong_and_what_the_server_would_answer() {
    let cli = Cli::alone();
    let explain = |hex: &str| {
        let ran = cli.run(&["decode", hex]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), ""), "{ran:?}");
        ran.stdout
    };
    assert!(
        explain("00000004 7f000000").contains("FRAME_TOO_SHORT (0105) with id 0, then it closes")
    );
    assert!(explain("16030100a5").contains("look like TLS"));
    assert!(
        explain("00000005 33 00000001")
            .contains("UNKNOWN_TYPE (0101) with this id; the connection lives")
    );
    assert!(explain("00000005 7f 00000000").contains("only the server uses the request id 0"));
    assert!(explain("0000000a 7f 00000001").contains("5 of its 14 bytes are missing"));
    assert!(explain("00").contains("the length field"));
    assert!(explain("00000008 7f 00000001 02 0000").contains("UNKNOWN_TAG (0103)"));
}

#[test]
fn decode_takes_many_frames_and_stdin() {
    let cli = Cli::alone();
    let frames = "00:00:00:05 7f 0x00000001\n00000005ff00000001";
    let objects = cli.run_with(&["decode", "-", "--json"], frames).done().objects();
    let told: Vec<_> =
        objects.iter().map(|object| (&object["message"], &object["direction"])).collect();
    assert_eq!(told, [(&"Ping".into(), &"request".into()), (&"Pong".into(), &"reply".into())]);
}

#[test]
fn send_explains_the_reply() {
    let server = Fake::saying(pong());
    let cli = Cli::of(&server.addr);
    let ran = cli.run(&["send", "00000005 7f 00000007", "00000005 7f 00000008"]).done();
    assert_eq!(ran.stdout.matches("0xff Pong").count(), 2, "{}", ran.stdout);
    assert!(ran.stdout.contains("request id       8"), "{}", ran.stdout);

    let ran = cli.run(&["send", "00000005 33 00000007"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout.contains("UNKNOWN_TYPE") && ran.stdout.contains("No request has this type"),
        "{}",
        ran.stdout
    );

    let ran = cli.run(&["send", "00000004 7f", "--json"]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.object()["fields"]["code"], "0105");
    assert!(ran.stderr.contains("closed the connection"), "{}", ran.stderr);
}

#[test]
fn send_says_when_nothing_comes() {
    let server = Fake::start(|_| None);
    let cli = Cli::of(&server.addr);
    assert!(cli.run(&["send", "00000005 7f 00000007"]).failed(2).stderr.contains("no reply"));
    assert!(
        cli.run(&["send", "0000", "--timeout", "100ms"])
            .failed(2)
            .stderr
            .contains("nothing more came in time")
    );
    assert!(Cli::alone().run(&["send", "00"]).failed(2).stderr.contains("can not connect"));
    let server = Fake::saying(error(ErrorCode::INTERNAL));
    assert_eq!(Cli::of(&server.addr).run(&["send", "000000057f00000001"]).code, Some(1));
}
