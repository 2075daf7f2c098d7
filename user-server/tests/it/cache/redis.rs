//! Redis as an operator names it: its place at the start, faults, `check`, TLS.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::{Process, Redis, run_in};

#[test]
fn what_is_wrong_is_told_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let said = |settings: &[(&str, &str)]| run_in(folder.path(), &["check"], settings);
    let mut wrong = vec![
        (vec![("REDIS_URL", "http://:geheim@cache")], "REDIS_URL"),
        (vec![("REDIS_URL", "rediss://:geheim@cache#insecure")], "REDIS_CA"),
        (vec![("REDIS_CA", "ca.pem")], "REDIS_CA"),
        (vec![("REDIS_URL", "rediss://:geheim@cache"), ("REDIS_CA", "no-such-file")], "REDIS_CA"),
        (vec![("REDIS_URL", "redis://:geheim@cache"), ("REDIS_CA", "/etc/hostname")], "REDIS_CA"),
    ];
    if !cfg!(feature = "redis-cluster") {
        wrong.push((vec![("REDIS_URL", "redis://:geheim@a,b")], "redis-cluster"));
    }
    for (settings, named) in wrong {
        let said = said(&settings);
        assert_eq!(said.code, Some(64), "{said:?}");
        assert!(said.error.contains(named) && !said.error.contains("geheim"), "{said:?}");
    }
}

#[test]
fn check_proves_it_and_a_start_shows_it() {
    let folder = tempfile::tempdir().unwrap();
    let closed = run_in(folder.path(), &["check"], &[("REDIS_URL", "redis://:geheim@127.0.0.1:1")]);
    assert_eq!(closed.code, Some(1), "{closed:?}");
    assert!(
        closed.output.contains("WRONG  Redis") && !format!("{closed:?}").contains("geheim"),
        "{closed:?}"
    );

    let Some(redis) = Redis::start_with(|_| vec!["--requirepass".to_owned(), "geheim".to_owned()])
    else {
        return;
    };
    let with = |password: &str| format!("redis://:{password}@127.0.0.1:{}", redis.port);
    let good = run_in(folder.path(), &["check"], &[("REDIS_URL", &with("geheim"))]);
    assert_eq!((good.code, good.error.as_str()), (Some(0), ""), "{good:?}");
    let place = format!("redis://127.0.0.1:{}", redis.port);
    assert!(
        good.output.contains(&format!("good   Redis          {place} answers, version ")),
        "{good:?}"
    );
    assert_eq!(redis.command(&["-a", "geheim", "DBSIZE"]), "0", "it changes nothing");
    let wrong = run_in(folder.path(), &["check"], &[("REDIS_URL", &with("gemein"))]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("gemein"), "{wrong:?}");

    let process = Process::start(&[("REDIS_URL", &with("geheim"))]);
    assert!(process.printed.contains(&format!("\n  cache     {place}\n")), "{}", process.printed);
    assert!(!process.log().contains("geheim") && !process.output().contains("geheim"));
    // It starts without Redis all the same.
    let process = Process::start(&[("REDIS_URL", "valkey://:geheim@127.0.0.1:1")]);
    assert!(process.printed.contains("cache     redis://127.0.0.1:1\n"), "{}", process.printed);
    assert!(!process.log().contains("geheim") && !process.output().contains("geheim"));
}

#[test]
fn a_server_behind_tls_has_to_prove_itself() {
    let certify = |folder: &TempDir| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        std::fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem())
            .unwrap();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        std::fs::write(folder.path().join("redis.pem"), certificate.pem()).unwrap();
        std::fs::write(folder.path().join("redis.key"), key.serialize_pem()).unwrap();
    };
    let tls = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arguments = |folder: &TempDir| {
        certify(folder);
        let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let files = [
            ("--tls-cert-file", "redis.pem"),
            ("--tls-key-file", "redis.key"),
            ("--tls-ca-cert-file", "ca.pem"),
        ];
        let mut arguments: Vec<String> =
            ["--tls-port", &tls.to_string(), "--tls-auth-clients", "no"].map(str::to_owned).into();
        arguments.extend(files.iter().flat_map(|(name, file)| [(*name).to_owned(), at(file)]));
        arguments
    };
    let Some(redis) = Redis::start_with(arguments) else { return };
    let (folder, ca) = (tempfile::tempdir().unwrap(), redis.folder.path().join("ca.pem"));
    let ca = ("REDIS_CA", ca.to_str().unwrap());
    let named = format!("rediss://localhost:{tls}");
    let good = run_in(folder.path(), &["check"], &[("REDIS_URL", &named), ca]);
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.output.contains(&format!("{named} answers")), "{good:?}");
    for (url, settings) in [(&named, &[][..]), (&format!("rediss://127.0.0.1:{tls}"), &[ca][..])] {
        let wrong =
            run_in(folder.path(), &["check"], &[&[("REDIS_URL", url.as_str())], settings].concat());
        assert_eq!(wrong.code, Some(1), "{wrong:?}");
    }
}

#[test]
fn a_socket_of_this_machine_will_do() {
    let socket = |folder: &TempDir| folder.path().join("socket").to_str().unwrap().to_owned();
    let Some(redis) = Redis::start_with(|folder| vec!["--unixsocket".to_owned(), socket(folder)])
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix:{}", socket(&redis.folder));
    let good = run_in(folder.path(), &["check"], &[("REDIS_URL", &url)]);
    assert!(good.code == Some(0) && good.output.contains(&format!("{url} answers")), "{good:?}");
}
