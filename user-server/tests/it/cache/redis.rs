//! Redis from the operator's view: settings, `check`, output at startup, TLS.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::support::{Process, Redis, run_in};

#[test]
fn invalid_redis_settings_are_reported_before_startup() {
    let folder = tempfile::tempdir().unwrap();
    let check = |settings: &[(&str, &str)]| run_in(folder.path(), &["check"], settings);
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
    for (settings, variable) in wrong {
        let result = check(&settings);
        assert_eq!(result.code, Some(64), "{result:?}");
        assert!(result.error.contains(variable) && !result.error.contains("geheim"), "{result:?}");
    }
}

#[test]
fn check_connects_to_redis_and_startup_prints_its_address() {
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
    let valid = run_in(folder.path(), &["check"], &[("REDIS_URL", &with("geheim"))]);
    assert_eq!((valid.code, valid.error.as_str()), (Some(0), ""), "{valid:?}");
    let address = format!("redis://127.0.0.1:{}", redis.port);
    assert!(
        valid.output.contains(&format!("good   Redis          {address} answers, version ")),
        "{valid:?}"
    );
    assert_eq!(redis.command(&["-a", "geheim", "DBSIZE"]), "0", "check changes nothing");
    let wrong = run_in(folder.path(), &["check"], &[("REDIS_URL", &with("gemein"))]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(!format!("{wrong:?}").contains("gemein"), "{wrong:?}");

    let process = Process::start(&[("REDIS_URL", &with("geheim"))]);
    assert!(process.printed.contains(&format!("\n  cache     {address}\n")), "{}", process.printed);
    assert!(!process.log().contains("geheim") && !process.output().contains("geheim"));
    // The service also starts without Redis.
    let process = Process::start(&[("REDIS_URL", "valkey://:geheim@127.0.0.1:1")]);
    assert!(process.printed.contains("cache     redis://127.0.0.1:1\n"), "{}", process.printed);
    assert!(!process.log().contains("geheim") && !process.output().contains("geheim"));
}

#[test]
fn a_redis_server_is_authenticated_by_its_certificate() {
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
        let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
        let files = [
            ("--tls-cert-file", "redis.pem"),
            ("--tls-key-file", "redis.key"),
            ("--tls-ca-cert-file", "ca.pem"),
        ];
        let mut arguments: Vec<String> =
            ["--tls-port", &tls.to_string(), "--tls-auth-clients", "no"].map(str::to_owned).into();
        arguments.extend(files.iter().flat_map(|(name, file)| [(*name).to_owned(), path(file)]));
        arguments
    };
    let Some(redis) = Redis::start_with(arguments) else { return };
    let (folder, ca) = (tempfile::tempdir().unwrap(), redis.folder.path().join("ca.pem"));
    let ca = ("REDIS_CA", ca.to_str().unwrap());
    let address = format!("rediss://localhost:{tls}");
    let valid = run_in(folder.path(), &["check"], &[("REDIS_URL", &address), ca]);
    assert_eq!(valid.code, Some(0), "{valid:?}");
    assert!(valid.output.contains(&format!("{address} answers")), "{valid:?}");
    for (url, settings) in [(&address, &[][..]), (&format!("rediss://127.0.0.1:{tls}"), &[ca][..])]
    {
        let wrong =
            run_in(folder.path(), &["check"], &[&[("REDIS_URL", url.as_str())], settings].concat());
        assert_eq!(wrong.code, Some(1), "{wrong:?}");
    }
}

#[test]
fn a_unix_socket_can_be_used() {
    let socket = |folder: &TempDir| folder.path().join("socket").to_str().unwrap().to_owned();
    let Some(redis) = Redis::start_with(|folder| vec!["--unixsocket".to_owned(), socket(folder)])
    else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix:{}", socket(&redis.folder));
    let valid = run_in(folder.path(), &["check"], &[("REDIS_URL", &url)]);
    assert!(valid.code == Some(0) && valid.output.contains(&format!("{url} answers")), "{valid:?}");
}
