//! The program for operators: errors, `check`, help, health, metrics, shutdown and certificates.

use std::io::{Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::http::{Http, get};
use crate::program::{Program, run, until};
use crate::scripted::TOKEN;
use crate::service::LiveService;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn an_invalid_configuration_starts_nothing_and_lists_every_error() {
    let output = run(&[], &[("HTTP_PORT", "x"), ("LOG", "loud,,=")]);
    assert_eq!(output.status.code(), Some(64));
    let printed = text(&output.stderr);
    assert_eq!(printed.matches("error: invalid value").count(), 2, "{printed}");
    assert_eq!(printed.matches("hint: ").count(), 2, "{printed}");
    assert!(output.stdout.is_empty());
}

#[test]
fn an_address_in_use_is_an_error_with_a_hint() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&[], &[("HTTP_PORT", &port), ("LOG", "error")]);
    let printed = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(printed.contains(&format!("cannot listen on 127.0.0.1:{port}")), "{printed}");
    assert!(printed.contains("hint: Another process listens there."), "{printed}");
}

#[test]
fn check_reports_each_node() {
    let service = LiveService::start();
    let addrs = format!("{},127.0.0.1:1", service.address);
    let settings = [("HTTP_PORT", "0"), ("SERVICE_ADDRS", addrs.as_str())];
    let output = run(&["check"], &settings);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    assert!(printed.contains(&format!("good   SERVICE_ADDRS  {} answers", service.address)));
    assert!(printed.contains("WRONG  SERVICE_ADDRS  127.0.0.1:1: "), "{printed}");
    assert!(printed.contains("check that user-server runs"), "{printed}");
    assert_eq!(text(&output.stderr), "error: 1 of 3 checks failed\n");
    let good = [("HTTP_PORT", "0"), ("SERVICE_ADDRS", service.address.as_str())];
    assert_eq!(run(&["check"], &good).status.code(), Some(0));
}

#[test]
fn check_recognises_another_program_at_the_address_of_a_node() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.write_all(b"220 mx.example.org ESMTP\r\n");
            let _ = stream.read(&mut [0; 64]);
        }
    });
    let output = run(&["check"], &[("HTTP_PORT", "0"), ("SERVICE_ADDRS", addr.as_str())]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    assert!(printed.contains("another program listens on this address"), "{printed}");
}

#[test]
fn help_and_man_page_describe_every_variable() {
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("man");
    assert!(run(&["man", man.to_str().unwrap()], &[]).status.success());
    let page = std::fs::read_to_string(man.join("user-http.1")).unwrap().replace("\\-", "-");
    let help = text(&run(&["--help"], &[]).stdout);
    for variable in user_http::config::VARIABLES {
        assert!(help.contains(variable.name), "{}", variable.name);
        assert!(page.contains(variable.name), "{}", variable.name);
    }
    assert!(man.join("user-http-check.1").exists());
}

#[test]
fn health_and_metrics_have_a_listener_of_their_own() {
    let service = LiveService::start();
    let program = Program::start(&service.address);
    assert!(program.printed.contains("reachable)"), "{}", program.printed);
    assert_eq!(get(program.monitor, "/livez", &[]).body, "ok\n");
    let ready = get(program.monitor, "/readyz", &[]);
    assert_eq!(ready.status, 200);
    assert!(ready.body.contains("\"status\":\"ready\""), "{}", ready.body);
    assert_eq!(get(program.monitor, "/auth/check", &[]).status, 404);
    assert_eq!(get(program.address, "/metrics", &[]).status, 404);
    assert_eq!(program.metric("user_http_service_connections{state=\"healthy\"}"), 1.0);
    assert_eq!(program.metric("user_http_log_lines_dropped"), 0.0);
    let openmetrics = [("Accept", "application/openmetrics-text")];
    let reply = get(program.monitor, "/metrics", &openmetrics);
    assert!(reply.header("content-type").starts_with("application/openmetrics-text"));
    assert!(reply.body.ends_with("# EOF\n"));
}

#[test]
fn sigterm_answers_requests_in_flight_and_closes_idle_connections() {
    let service = LiveService::start();
    let settings = [("DRAIN_DELAY", "1"), ("HEAD_TIMEOUT", "5")];
    let mut program = Program::start_with(&service.address, &settings);
    let mut idle = Http::connect(program.address);
    assert_eq!(idle.request("GET /auth/check", &[]).status, 401);
    program.signal("TERM");
    until(|| get(program.monitor, "/readyz", &[]).status == 503);
    // During the delay, everything still works.
    assert_eq!(program.check(&[]).status, 401);
    assert_eq!(idle.request("GET /auth/check", &[]).status, 401);
    let began = Instant::now();
    assert!(idle.is_closed());
    assert!(program.wait().success());
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(program.log().contains("stopped"), "{}", program.log());
}

#[test]
fn a_second_signal_stops_at_once() {
    let service = LiveService::start();
    let mut program = Program::start_with(&service.address, &[("DRAIN_DELAY", "60")]);
    program.signal("TERM");
    until(|| program.log().contains("still accepting"));
    // Signals within half a second count as one.
    std::thread::sleep(Duration::from_millis(600));
    program.signal("INT");
    assert!(program.wait().success());
}

/// A certificate authority that is generated for a test.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Writes the authority, and a certificate for localhost with its key.
    fn certify(&self, folder: &Path) -> [String; 3] {
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().pem();
        [("ca", &self.pem), ("cert", &certificate), ("key", &key.serialize_pem())].map(
            |(name, pem)| {
                let file = folder.join(name);
                std::fs::write(&file, pem).unwrap();
                file.to_str().unwrap().to_owned()
            },
        )
    }
}

/// Performs a TLS handshake that trusts only this authority. Returns true if it succeeds.
fn trusts(program: &Program, authority: &Authority) -> bool {
    use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = rustls::ClientConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    let client = rustls::ClientConnection::new(config.into(), name).unwrap();
    let stream = std::net::TcpStream::connect(program.address).unwrap();
    let mut tls = rustls::StreamOwned::new(client, stream);
    let request = "GET /auth/check HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    if std::io::Write::write_all(&mut tls, request.as_bytes()).is_err() {
        return false;
    }
    let mut reply = String::new();
    let _ = tls.read_to_string(&mut reply);
    reply.starts_with("HTTP/1.1 401 ")
}

#[test]
fn with_a_certificate_the_listener_speaks_tls_and_sighup_reloads_it() {
    let service = LiveService::start();
    let (folder, old, new) = (tempfile::tempdir().unwrap(), Authority::new(), Authority::new());
    let [_, cert, key] = old.certify(folder.path());
    let settings =
        [("TLS_CERT", cert.as_str()), ("TLS_KEY", key.as_str()), ("LISTEN_ADDR", "0.0.0.0")];
    let program = Program::start_with(&service.address, &settings);
    assert!(trusts(&program, &old) && !trusts(&program, &new));
    std::fs::write(&cert, "not a certificate").unwrap();
    program.signal("HUP");
    until(|| program.log().contains("cannot use the new certificate"));
    assert!(trusts(&program, &old), "the previous certificate stays in use");
    new.certify(folder.path());
    program.signal("HUP");
    until(|| trusts(&program, &new));
    assert!(!trusts(&program, &old));
}

#[test]
fn the_connection_to_the_service_can_use_tls_with_a_client_certificate() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let [ca, cert, key] = authority.certify(folder.path());
    let [ca, cert, key] = [ca.as_str(), cert.as_str(), key.as_str()];
    let service =
        LiveService::start_with(&[("TLS_CERT", cert), ("TLS_KEY", key), ("TLS_CLIENT_CA", ca)]);
    let settings = [("SERVICE_CA", ca), ("SERVICE_CERT", cert), ("SERVICE_KEY", key)];
    let program = Program::start_with(&service.address, &settings);
    let reply = program.check(&[TOKEN]);
    assert_eq!((reply.status, reply.header("x-auth-error")), (401, "INVALID_TOKEN"));
    // Without TLS, or without a certificate, there is no verdict, and `check` says why.
    for settings in [&[][..], &settings[..1]] {
        let program = Program::start_with(&service.address, settings);
        assert_eq!(program.check(&[TOKEN]).status, 503);
        let addr = [("SERVICE_ADDRS", service.address.as_str()), ("HTTP_PORT", "0")];
        let output = run(&["check"], &[&addr[..], settings].concat());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    }
    // Renewed certificates of an authority that the service does not know: after a reload, new
    // connections fail, which shows that the files were read again.
    Authority::new().certify(folder.path());
    program.signal("HUP");
    until(|| program.log().contains("reloaded the certificates for the service"));
}

#[test]
fn what_is_mistyped_is_reported() {
    let loud = run(&["check"], &[("LOG", "loud")]);
    assert_eq!(loud.status.code(), Some(64));
    assert!(text(&loud.stderr).contains("`loud` is not a level"), "{}", text(&loud.stderr));
    let both = run(&["check"], &[("LOG", "loud"), ("LOG_LEVEL", "debug"), ("HTTP_PROT", "4000")]);
    let warning = "warning: HTTP_PROT has no effect; did you mean HTTP_PORT?\n";
    assert!(text(&both.stderr).contains(warning), "{}", text(&both.stderr));
    let service = LiveService::start();
    let settings = [
        ("HTTP_PORT", "0"),
        ("HTTP_PROT", "4000"),
        ("SERVICE_ADDR", "127.0.0.1:1"),
        ("SERVICE_ADDRS", service.address.as_str()),
    ];
    let check = run(&["check"], &settings);
    let printed = text(&check.stdout);
    assert_eq!(check.status.code(), Some(0), "{printed}");
    for meant in ["HTTP_PORT?", "SERVICE_ADDRS?"] {
        assert!(printed.contains(&format!("did you mean {meant}")), "{meant}: {printed}");
    }
    assert_eq!(printed.matches("WARN   warning ").count(), 2, "{printed}");
    let elsewhere = run(&["check"], &[("HTTP_PORT", "0"), ("METRICS_ADDR", "192.0.2.1:9465")]);
    let printed = text(&elsewhere.stdout);
    assert!(printed.contains("WRONG  METRICS_ADDR   cannot listen on 192.0.2.1:9465"), "{printed}");
    assert!(printed.contains("an address of this machine"), "{printed}");
    let escape = run(&["\u{1b}[31m"], &[]);
    assert!(!text(&escape.stderr).contains('\u{1b}'), "{}", text(&escape.stderr));
}

#[test]
fn the_man_pages_have_their_sections_and_titles() {
    let folder = tempfile::tempdir().unwrap();
    let man = folder.path().join("man");
    assert!(run(&["man", man.to_str().unwrap()], &[]).status.success());
    let page = |name: &str| std::fs::read_to_string(man.join(name)).unwrap();
    let general = page("user-http.1");
    for section in [
        "SYNOPSIS",
        "OPTIONS",
        "\"EXIT STATUS\"",
        "ENVIRONMENT",
        "SIGNALS",
        "EXAMPLES",
        "\"SEE ALSO\"",
    ] {
        assert!(general.contains(&format!(".SH {section}")), "{section}: {general}");
    }
    assert!(general.contains("\"User service\"\n.nh\n"), "{general}");
    assert!(!general.contains("EXTRA") && !general.contains("VERSION\n"), "{general}");
    assert!(
        page("user-http-check.1").contains(".TH user-http-check 1"),
        "{}",
        page("user-http-check.1")
    );
    let help = text(&run(&["--help"], &[]).stdout);
    assert!(help.contains("  64\n"), "{help}");
}

#[test]
fn two_signals_at_once_are_one() {
    let service = LiveService::start();
    let mut program = Program::start(&service.address);
    program.signal("TERM");
    program.signal("TERM");
    assert!(program.wait().success());
    assert!(!program.log().contains("second signal"), "{}", program.log());
}

#[test]
fn the_service_manager_is_told_what_happens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let next = || {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let settings = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "600000")];
    // No service listens there.
    let program = Program::start_with("127.0.0.1:1", &settings);
    let mut found: Vec<String> = (0..5).map(|_| next()).collect();
    for message in ["READY=1", "STATUS=service unreachable"] {
        assert_eq!(found.iter().filter(|text| text.trim() == message).count(), 1, "{found:?}");
    }
    assert!(found.iter().filter(|text| text.trim() == "WATCHDOG=1").count() >= 2, "{found:?}");
    program.signal("TERM");
    while found.last().is_none_or(|text| text.trim() != "STOPPING=1") {
        found.push(next());
        assert!(found.len() < 50, "{found:?}");
    }
}
