//! Configuration as an operator meets it.

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let pairs: Vec<(String, String)> =
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Config::read(
        &|name| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()),
        true,
    )
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
    let mut asked = asked.into_inner();
    // The other sources of a secret come with it.
    asked.retain(|name| name != "CREDENTIALS_DIRECTORY");
    let is_source = |name: &str| {
        VARIABLES.iter().any(|listed| listed.secret && name == format!("{}_FILE", listed.name))
    };
    asked.retain(|name| !is_source(name));
    let listed: std::collections::BTreeSet<String> =
        VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert_eq!(asked, listed);
}

fn faults(pairs: &[(&str, &str)]) -> Vec<&'static str> {
    let mut names: Vec<_> = read(pairs).unwrap_err().0.iter().map(|fault| fault.variable).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_mail_server_is_named_whole_or_not_at_all() {
    let server = |pairs: &[(&str, &str)]| {
        let named =
            [("SMTP_HOST", "mail.domain.example"), ("MAIL_FROM", "Ada <ada@domain.example>")];
        read(&[&named, pairs].concat()).map(|config| config.smtp.unwrap().to_string())
    };
    assert_eq!(server(&[]).unwrap(), "smtp://mail.domain.example:587 (STARTTLS)");
    assert_eq!(server(&[("SMTP_PORT", "465")]).unwrap(), "smtps://mail.domain.example:465 (TLS)");
    assert_eq!(
        server(&[("SMTP_TLS", "implicit")]).unwrap(),
        "smtps://mail.domain.example:465 (TLS)"
    );
    let login = [("SMTP_USER", "ada"), ("SMTP_PASSWORD", "engine")];
    assert_eq!(server(&login).unwrap(), "smtp://mail.domain.example:587 (STARTTLS, with a login)");
    let local = [("SMTP_HOST", "::1"), ("SMTP_TLS", "none"), ("MAIL_FROM", "ada@domain.example")];
    assert_eq!(read(&local).unwrap().smtp.unwrap().to_string(), "smtp://[::1]:25 (no TLS)");

    assert_eq!(faults(&[("SMTP_HOST", "mail.domain.example")]), ["MAIL_FROM"]);
    assert_eq!(
        faults(&[("SMTP_PORT", "25"), ("SMTP_PASSWORD", "engine")]),
        ["SMTP_PASSWORD", "SMTP_PORT"]
    );
    let all = faults(&[
        ("SMTP_HOST", "mail.domain.example:25"),
        ("SMTP_TLS", "none"),
        ("SMTP_USER", "ada"),
        ("SMTP_CA", "/nowhere.pem"),
        ("MAIL_DIR", "mails"),
        ("MAIL_FROM", "\u{e4}da@domain.example"),
    ]);
    assert_eq!(
        all,
        ["MAIL_DIR", "MAIL_FROM", "SMTP_CA", "SMTP_HOST", "SMTP_PASSWORD", "SMTP_USER"]
    );
    let network =
        [("SMTP_HOST", "192.0.2.1"), ("SMTP_TLS", "none"), ("MAIL_FROM", "ada@domain.example")];
    assert_eq!(faults(&network), ["SMTP_TLS"]);
}

#[test]
fn a_file_without_a_certificate_is_no_authority() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let named = [
        ("SMTP_HOST", "mail.domain.example"),
        ("MAIL_FROM", "ada@domain.example"),
        ("SMTP_CA", path.as_str()),
    ];
    for text in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(faults(&named), ["SMTP_CA"], "{text}");
    }
}

#[test]
fn a_config_shows_no_secret() {
    let secret = "a secret of no fewer than 32 bytes";
    let config = read(&[
        ("JWTSECRETKEY", secret),
        ("SMTP_HOST", "mail.domain.example"),
        ("MAIL_FROM", "ada@domain.example"),
        ("SMTP_USER", "ada"),
        ("SMTP_PASSWORD", "engine"),
    ])
    .unwrap();
    let shown = format!("{config:?}");
    assert!(shown.contains("mail.domain.example"), "{shown}");
    for hidden in [secret, "97, 32, 115", "engine"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
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

#[test]
fn every_secret_may_come_from_a_file_or_a_credential_and_from_one_place_only() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "a secret of no fewer than 32 bytes";
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let file = write("a-file", &format!("{secret}\n"));
    let config = read(&[("JWTSECRETKEY_FILE", &file)]).unwrap();
    assert_eq!(config.secret.as_deref().map(Vec::as_slice), Some(secret.as_bytes()));
    let both = write("both", &format!("{secret} 1\n{secret} 2,{secret} 3\n"));
    assert_eq!(read(&[("JWTSECRETKEY_ACCEPT_FILE", &both)]).unwrap().accepted_secrets.len(), 3);

    let place = folder.path().to_str().unwrap();
    write("JWTSECRETKEY", secret);
    let config = read(&[("CREDENTIALS_DIRECTORY", place)]).unwrap();
    assert_eq!(config.secret.as_deref().map(Vec::as_slice), Some(secret.as_bytes()));
    assert!(config.notes.is_empty(), "{:?}", config.notes);

    for variable in VARIABLES.iter().filter(|variable| variable.secret) {
        let by_file = format!("{}_FILE", variable.name);
        assert!(faults(&[(variable.name, secret), (&by_file, &file)]).contains(&variable.name));
        assert!(
            faults(&[(&by_file, "/nowhere/at/all")]).contains(&variable.name),
            "{}",
            variable.name
        );
    }
    let error = read(&[("JWTSECRETKEY_FILE", &file), ("CREDENTIALS_DIRECTORY", place)])
        .unwrap_err()
        .to_string();
    assert!(error.contains("JWTSECRETKEY_FILE") && error.contains("credential"), "{error}");
    assert!(error.contains("1 fault") && !error.contains("32 bytes"), "{error}");
    // A bad file is one fault, and not also a missing secret.
    let postgres = [("PostgreSQL", "postgresql://users@127.0.0.1/users"), ("MAIL_DIR", "mails")];
    assert_eq!(
        faults(&[&postgres[..], &[("JWTSECRETKEY_FILE", "/nowhere/at/all")]].concat()),
        ["JWTSECRETKEY"]
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_anybody_can_read_is_worth_a_word() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a secret of no fewer than 32 bytes").unwrap();
    let path = file.path().to_str().unwrap();
    for (mode, words) in [(0o600, 0), (0o640, 0), (0o644, 1)] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let notes = read(&[("JWTSECRETKEY_FILE", path)]).unwrap().notes;
        assert_eq!(notes.len(), words, "{mode:o}: {notes:?}");
        assert!(
            notes.iter().all(|note| note.contains(path) && !note.contains("32 bytes")),
            "{notes:?}"
        );
    }
}
