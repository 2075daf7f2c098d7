//! Configuration as an operator meets it.

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let pairs: Vec<(String, String)> = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::read(&|name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()), true)
}

#[test]
fn nothing_set_is_the_embedded_default() {
    let config = read(&[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:3001");
    assert!(config.data_dir.is_absolute());
    assert!(config.data_dir.ends_with("user-data"));
    assert_eq!(config.mail_dir, config.data_dir.join("mails"));
    assert_eq!(config.code_life, Duration::from_secs(900));
    assert_eq!(config.drain_delay, Duration::ZERO, "on a terminal");
    assert!(config.secret.is_none());
}

#[test]
fn every_fault_is_told_at_once_with_its_mend() {
    let errors = read(&[
        ("TCP_PORT", "70000"),
        ("LISTEN_ADDR", "0.0.0.0"),
        ("JWTSECRETKEY", "short-and-secret"),
        ("OTP_EXPIRY", "soon"),
        ("LOG_FORMAT", "xml"),
        ("TRUSTED_PEERS", "10.0.0.0/99"),
        ("ARGON2_MEMORY_KIB", "1024"),
        ("MAIL_FROM", "nobody"),
        ("METRICS_ADDR", "9464"),
        ("LOG", "info,=,=info"),
    ])
    .unwrap_err();
    let mut names: Vec<&str> = errors.0.iter().map(|fault| fault.variable).collect();
    names.sort_unstable();
    let expected = [
        "ARGON2_MEMORY_KIB",
        "JWTSECRETKEY",
        "LISTEN_ADDR",
        "LOG",
        "LOG_FORMAT",
        "MAIL_FROM",
        "METRICS_ADDR",
        "OTP_EXPIRY",
        "TCP_PORT",
        "TRUSTED_PEERS",
    ];
    assert_eq!(names, expected);
    assert!(errors.0.iter().all(|fault| !fault.mend.is_empty()));
    let told = errors.to_string();
    assert!(told.contains("10 faults"), "{told}");
    assert!(!told.contains("short-and-secret"), "{told}");
}

#[test]
fn a_network_needs_a_word() {
    assert!(read(&[("LISTEN_ADDR", "0.0.0.0"), ("ALLOW_PLAINTEXT", "1")]).is_ok());
    assert!(read(&[("LISTEN_ADDR", "0.0.0.0"), ("ALLOW_PLAINTEXT", "0")]).is_err());
    assert!(read(&[("LISTEN_ADDR", "::1")]).is_ok());
}

#[test]
fn every_variable_that_is_read_is_listed() {
    let asked = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let _ = Config::read(
        &|name| {
            asked.borrow_mut().insert(name.to_owned());
            None
        },
        false,
    );
    // Read only to be refused, until they can be used.
    for later in ["PostgreSQL", "REDIS_URL", "SMTP_HOST", "SMTP_PORT"] {
        asked.borrow_mut().remove(later);
    }
    let listed: std::collections::BTreeSet<String> =
        VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert_eq!(*asked.borrow(), listed);
}

#[test]
fn the_kept_secret_is_made_once_and_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = secret::kept(folder.path()).unwrap();
    assert!(first.len() >= 32);
    assert_eq!(secret::kept(folder.path()).unwrap(), first);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join("jwt-secret");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(secret::kept(folder.path()), Err(SecretError::Readable(_))));
    }
}
