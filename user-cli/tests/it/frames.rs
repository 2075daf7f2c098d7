//! The commands ping, decode and send.

use user_proto::ErrorCode;

use crate::cli::Cli;
use crate::fake_server::{FakeServer, error, pong};

#[test]
fn a_ping_shows_the_round_trip_and_the_limits() {
    let server = FakeServer::replying(pong());
    let cli = Cli::new(&server.addr);
    let output = cli.run(&["ping"]).succeeded();
    assert!(output.stdout.contains("max in flight  256\n"), "{}", output.stdout);
    assert!(output.stdout.contains("idle timeout   5 min\n"), "{}", output.stdout);
    let object = cli.run(&["ping", "--json"]).succeeded().object();
    assert!(object["round_trip_ms"].as_f64().unwrap() > 0.0);
    assert_eq!((&object["reply"], &object["max_in_flight"]), (&"Pong".into(), &256.into()));
}

#[test]
fn verbose_shows_the_frames_with_their_direction() {
    let server = FakeServer::replying(pong());
    let output = Cli::new(&server.addr).run(&["ping", "--verbose"]);
    assert_eq!(output.code, Some(0));
    let lines: Vec<_> = output.stderr.lines().collect();
    assert_eq!(lines[0], "--> 000000057f00000001");
    assert_eq!(lines[1], "<-- 00000013ff00000001010004000001000300040000012c");
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn secrets_are_shown_only_on_request() {
    let cli = Cli::offline();
    let login = "00000016 02 00000001 0003 6b696d 000a 73776f7264666973680a".to_owned();
    let output = cli.run(&["decode", &login]).succeeded();
    assert!(output.stdout.contains("  login     kim\n"), "{}", output.stdout);
    assert!(output.stdout.contains("  password  [redacted, 10 bytes]"), "{}", output.stdout);
    assert!(!cli.run(&["decode", &login, "--json"]).succeeded().stdout.contains("swordfish"));
    assert!(
        cli.run(&["decode", &login, "--show-secrets"]).succeeded().stdout.contains("swordfish")
    );
}

#[test]
fn decode_shows_the_error_and_the_response_of_the_server() {
    let cli = Cli::offline();
    let explain = |hex: &str| {
        let output = cli.run(&["decode", hex]);
        assert_eq!((output.code, output.stderr.as_str()), (Some(1), ""), "{output:?}");
        output.stdout
    };
    assert!(
        explain("00000004 7f000000")
            .contains("FRAME_TOO_SHORT (0105) with id 0, then the server closes")
    );
    assert!(explain("16030100a5").contains("look like TLS"));
    assert!(
        explain("00000005 33 00000001")
            .contains("UNKNOWN_TYPE (0101) with this id; the connection stays open")
    );
    assert!(explain("00000005 7f 00000000").contains("request id 0 is reserved for the server"));
    assert!(explain("0000000a 7f 00000001").contains("5 of 14 bytes are missing"));
    assert!(explain("00").contains("the length field"));
    assert!(explain("00000008 7f 00000001 02 0000").contains("UNKNOWN_TAG (0103)"));
}

#[test]
fn decode_shows_every_field_of_the_rows_of_a_list() {
    let row = "0020 0193a5e20000000000000000000000f8 000000006b038200 000000006b038201";
    let cli = Cli::offline();
    let one = cli.run(&["decode", &format!("00000029 8e 00000001 0001 {row}")]).succeeded().stdout;
    assert!(one.contains("  sessions          1 row\n"), "{one}");
    let flagged = format!("0023 {} 05 0000", row.strip_prefix("0020 ").unwrap());
    let frame = format!("0000004e 8e 00000001 0002 {row} {flagged}");
    let two = cli.run(&["decode", &frame]).succeeded().stdout;
    for line in [
        "  sessions          2 rows\n",
        "    1 session_id    0193a5e2-0000-0000-0000-0000000000f8\n",
        "    2 last_used_at  2026-11-23T00:00:01Z",
        "    2 current       yes (tag 0x05)\n",
    ] {
        assert!(two.contains(line), "{line:?}: {two}");
    }
}

#[test]
fn decode_reads_many_frames_and_stdin() {
    let cli = Cli::offline();
    let frames = "00:00:00:05 7f 0x00000001\n00000005ff00000001";
    let objects = cli.run_with(&["decode", "-", "--json"], frames).succeeded().objects();
    let decoded: Vec<_> =
        objects.iter().map(|object| (&object["message"], &object["direction"])).collect();
    assert_eq!(decoded, [(&"Ping".into(), &"request".into()), (&"Pong".into(), &"reply".into())]);
}

#[test]
fn send_decodes_the_reply() {
    let server = FakeServer::replying(pong());
    let cli = Cli::new(&server.addr);
    let output = cli.run(&["send", "00000005 7f 00000007", "00000005 7f 00000008"]).succeeded();
    assert_eq!(output.stdout.matches("0xff Pong").count(), 2, "{}", output.stdout);
    assert!(output.stdout.contains("request id       8"), "{}", output.stdout);

    let output = cli.run(&["send", "00000005 33 00000007"]);
    assert_eq!(output.code, Some(1));
    assert!(
        output.stdout.contains("UNKNOWN_TYPE")
            && output.stdout.contains("No request has this type"),
        "{}",
        output.stdout
    );

    let output = cli.run(&["send", "00000004 7f", "--json"]);
    assert_eq!(output.code, Some(1));
    assert_eq!(output.object()["fields"]["code"], "0105");
    assert!(output.stderr.contains("closed the connection"), "{}", output.stderr);
}

#[test]
fn send_reports_a_missing_reply() {
    let server = FakeServer::start(|_| None);
    let cli = Cli::new(&server.addr);
    assert!(cli.run(&["send", "00000005 7f 00000007"]).failed(2).stderr.contains("no reply"));
    assert!(
        cli.run(&["send", "0000", "--timeout", "100ms"])
            .failed(2)
            .stderr
            .contains("timed out waiting for a reply")
    );
    assert!(Cli::offline().run(&["send", "00"]).failed(2).stderr.contains("cannot connect"));
    let server = FakeServer::replying(error(ErrorCode::INTERNAL));
    assert_eq!(Cli::new(&server.addr).run(&["send", "000000057f00000001"]).code, Some(1));
}
