//! The program over TLS: a tour with a certificate of its own, and what is said when one side does
//! not trust the other.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::authority::Authority;
use crate::cli::{Cli, Ran};
use crate::fake::{Fake, pong};
use crate::live::Live;

const PING: &str = "000000057f00000001";

/// A server that speaks TLS, and the files of those who know it.
struct Guarded {
    files: TempDir,
    live: Live,
    cli: Cli,
    ca: String,
}

impl Guarded {
    /// A server of an authority; with `clients` only theirs get in.
    fn start(clients: Option<&Authority>) -> Self {
        let (files, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        let ca = authority.write(&files.path().join("ca.pem"));
        let [certificate, key] = authority.certify(&files.path().join("server"));
        let mut settings = vec![("TLS_CERT", certificate), ("TLS_KEY", key)];
        if let Some(clients) = clients {
            settings.push(("TLS_CLIENT_CA", clients.write(&files.path().join("clients.pem"))));
        }
        let live = Live::start_with(&settings);
        let cli = Cli::of(live.address.as_str());
        Self { files, live, cli, ca }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }
}

/// It could not ask, and this is what it said of it.
fn says(ran: Ran, what: &str, mend: &str) {
    let ran = ran.failed(2);
    let (said, how) = ran.stderr.split_once("mend: ").unwrap();
    assert!(
        said.contains(what) && how.contains(mend),
        "is to say {what:?}, {mend:?}: {}",
        ran.stderr
    );
}

#[test]
fn a_tour_with_a_certificate_of_its_own() {
    let clients = Authority::new();
    let guarded = Guarded::start(Some(&clients));
    let [cert, key] = clients.certify(&guarded.file("me"));
    let tls = ["--ca", &guarded.ca, "--cert", &cert, "--key", &key];
    let run = |arguments: &[&str], stdin: &str| {
        guarded.cli.run_with(&[arguments, &tls].concat(), stdin).done()
    };
    run(&["register", "kim", "kim@example.com", "--password-stdin"], "tides rise at nine\n");
    let code = guarded.live.code("kim@example.com", "");
    run(&["verify-email", "--code", &code], "");
    // Where the way there is said does not matter, and the state is that of the address.
    let mut command = guarded.cli.command(&["verify", "--json"]);
    command
        .env("USER_SERVER_CA", &guarded.ca)
        .env("USER_CLI_CERT", &cert)
        .env("USER_CLI_KEY", &key);
    assert_eq!(Ran::of(command, "").done().object()["reply"], "TokenVerified");
    let file = guarded.cli.state_file();
    assert_eq!(
        file.file_name().unwrap().to_str().unwrap(),
        format!("{}.json", guarded.live.address.replace(':', "%3a"))
    );
    // A token that came over TLS does not leave without it, though somebody forgets to say so.
    says(guarded.cli.run(&["verify"]), "came over TLS", "--ca");
    // Whoever shows a certificate is believed.
    run(&["get", "--client-address", "192.0.2.7"], "");
    run(&["refresh"], "");
    run(&["send", PING], "");
    run(&["logout"], "");
    assert!(!guarded.cli.remembers());
}

#[test]
fn whom_it_does_not_trust_is_told() {
    let guarded = Guarded::start(None);
    let (cli, ca) = (&guarded.cli, guarded.ca.as_str());
    cli.run(&["ping", "--ca", ca]).done();
    cli.run(&["ping", "--ca", ca, "--server-name", "localhost"]).done();
    let other = Authority::new().write(&guarded.file("other.pem"));
    for command in [&["ping"][..], &["send", PING]] {
        let run = |options: &[&str]| cli.run(&[command, options].concat());
        says(run(&["--ca", &other]), "of no authority that is trusted here", "--ca");
        says(run(&["--tls"]), "of no authority that is trusted here", "--ca");
        says(
            run(&["--ca", ca, "--server-name", "example.org"]),
            "for another name",
            "--server-name",
        );
    }
    let error = cli.run(&["ping", "--ca", &other, "--json"]).failed(2).error();
    assert_eq!((&error["kind"], &error["outcome_unknown"]), (&"tls".into(), &false.into()));

    // Each side without TLS where the other has it.
    let plain = cli.run(&["ping"]).failed(1);
    assert!(
        plain.stderr.contains("this port speaks TLS 1.3")
            && plain.stderr.contains("mend: The server wants TLS")
    );
    let server = Live::start();
    says(
        Cli::of(&server.address).run(&["ping", "--ca", ca]),
        "does not speak TLS",
        "Leave out --tls and --ca",
    );
    let fake = Fake::saying(pong());
    says(
        Cli::of(&fake.addr).run(&["ping", "--tls"]),
        "does not speak TLS",
        "Leave out --tls and --ca",
    );
}

#[test]
fn who_is_not_let_in_is_told_so_at_once() {
    let clients = Authority::new();
    let guarded = Guarded::start(Some(&clients));
    let [cert, key] = clients.certify_until(&guarded.file("old"), 2002);
    let [strange, its_key] = Authority::new().certify(&guarded.file("strange"));
    let wanted = "lets in only clients with a certificate";
    for (options, what) in [
        (&[][..], wanted),
        (
            &["--cert", &cert, "--key", &key],
            "refused the certificate of this client (CertificateExpired)",
        ),
        (&["--cert", &strange, "--key", &its_key], "refused the certificate of this client"),
    ] {
        let all = [&["ping", "--ca", guarded.ca.as_str()], options].concat();
        says(guarded.cli.run(&all), what, "TLS_CLIENT_CA");
    }
    // A login may not be repeated, and was certainly not done.
    let login = ["login", "kim", "--password-stdin", "--ca", &guarded.ca];
    let ran = guarded.cli.run_with(&login, "p\n").failed(2);
    assert!(ran.stderr.contains(wanted) && !ran.stderr.contains("unknown"), "{}", ran.stderr);
    let sent = guarded.cli.run(&["send", PING, "--ca", &guarded.ca]).failed(2);
    assert!(sent.stderr.contains(wanted), "{}", sent.stderr);
}

#[test]
fn wrong_options_are_told_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let ca = authority.write(&folder.path().join("ca.pem"));
    let [cert, key] = authority.certify(&folder.path().join("me"));
    let [_, other_key] = authority.certify(&folder.path().join("other"));
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "nothing").unwrap();
    let (empty, gone) = (empty.to_str().unwrap(), "/nowhere/at/all");
    let cli = Cli::alone();
    for (options, what, mend) in [
        (&["--cert", &cert, "--key", &key][..], "--cert says nothing without TLS", "--ca FILE"),
        (&["--server-name", "localhost"], "--server-name says nothing without TLS", "--tls"),
        (&["--ca", &ca, "--cert", &cert], "--cert needs --key", "private key"),
        (&["--tls", "--key", &key], "--key needs --cert", "certificate"),
        (&["--ca", gone], "--ca: can not read /nowhere/at/all", "PEM"),
        (&["--ca", empty], "it holds no certificate", "authority"),
        (&["--ca", &ca, "--cert", empty, "--key", &key], "--cert: ", "your certificate"),
        (
            &["--ca", &ca, "--cert", &cert, "--key", empty],
            "it holds no private key",
            "not encrypted",
        ),
        (
            &["--ca", &ca, "--cert", &cert, "--key", &other_key],
            "the key of another certificate",
            "--cert",
        ),
        (&["--ca", &ca, "--server-name", "a b"], "can not be the name", "name"),
    ] {
        let ran = cli.run_with(&[&["login", "kim", "--password-stdin"], options].concat(), "p\n");
        assert!(!ran.stderr.contains(secret_of(Path::new(&other_key)).as_str()), "{ran:?}");
        says(ran, what, mend);
    }
    // What asks no server works beside them.
    let mut command = cli.command(&["decode", PING]);
    command.env("USER_SERVER_CA", gone).env("USER_CLI_CERT", gone);
    Ran::of(command, "").done();
}

fn secret_of(key: &Path) -> String {
    std::fs::read_to_string(key).unwrap().lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_bench_over_tls_gets_good_answers() {
    let clients = Authority::new();
    let guarded = Guarded::start(Some(&clients));
    let [cert, key] = clients.certify(&guarded.file("me"));
    let mails = guarded.live.folder.path().join("mails");
    let tls = ["--ca", &guarded.ca, "--cert", &cert, "--key", &key];
    let load = ["--connections", "3", "--duration", "1s", "--warm-up", "50ms", "--json"];
    let mails = ["--mail-dir", mails.to_str().unwrap(), "--users", "1", "--tokens", "5"];
    for (scenario, depth) in [("verify", &["--depth", "64"][..]), ("connect", &[])] {
        let arguments = [&["bench", scenario][..], depth, &load, &mails, &tls].concat();
        let report = guarded.cli.run(&arguments).done().object();
        let kind = &report["server"]["median"][scenario];
        assert!(kind["replies"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(
            (&kind["refused"], &kind["unanswered"]),
            (&serde_json::json!({}), &0.into()),
            "{report}"
        );
    }
    let ran = guarded.cli.run(&["bench", "ping", "--tls"]).failed(2);
    assert!(ran.stderr.contains("of no authority that is trusted here"), "{}", ran.stderr);
}
