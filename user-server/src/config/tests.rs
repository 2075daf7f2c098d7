//! Tests of the configuration: defaults, errors and warnings.

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
fn all_errors_are_reported_at_once_with_their_hints() {
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
    let mut names: Vec<&str> = errors.0.iter().map(|error| error.variable).collect();
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
    assert!(
        errors
            .0
            .iter()
            .all(|error| error.message.contains(error.variable) && !error.hint.is_empty())
    );
    let text = errors.to_string();
    assert!(text.contains("10 errors"), "{text}");
    assert!(
        text.contains(
            "error: invalid value \"70000\" for TCP_PORT: expected an integer from 0 to 65535\n\
             hint: Correct the value, or unset TCP_PORT to use the default (3001).\n"
        ),
        "{text}"
    );
    assert!(!text.contains("short-and-secret"), "{text}");
}

#[test]
fn plaintext_on_a_network_must_be_allowed() {
    assert!(read(&[("LISTEN_ADDR", "0.0.0.0"), ("ALLOW_PLAINTEXT", "1")]).is_ok());
    assert!(read(&[("LISTEN_ADDR", "0.0.0.0"), ("ALLOW_PLAINTEXT", "0")]).is_err());
    assert!(read(&[("LISTEN_ADDR", "::1")]).is_ok());
}

#[test]
fn every_variable_that_is_read_is_listed() {
    let read = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let _ = Config::read(
        &|name| {
            read.borrow_mut().insert(name.to_owned());
            None
        },
        false,
    );
    let mut read = read.into_inner();
    // The other sources of a secret are not listed.
    read.retain(|name| name != "CREDENTIALS_DIRECTORY");
    let is_source = |name: &str| {
        VARIABLES.iter().any(|listed| listed.secret && name == format!("{}_FILE", listed.name))
    };
    read.retain(|name| !is_source(name));
    let listed: std::collections::BTreeSet<String> =
        VARIABLES.iter().map(|variable| variable.name.to_owned()).collect();
    assert_eq!(read, listed);
}

/// Returns the variables that have errors.
fn invalid(pairs: &[(&str, &str)]) -> Vec<&'static str> {
    let mut names: Vec<_> = read(pairs).unwrap_err().0.iter().map(|error| error.variable).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_mail_server_is_configured_completely_or_not_at_all() {
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

    assert_eq!(invalid(&[("SMTP_HOST", "mail.domain.example")]), ["MAIL_FROM"]);
    assert_eq!(
        invalid(&[("SMTP_PORT", "25"), ("SMTP_PASSWORD", "engine")]),
        ["SMTP_PASSWORD", "SMTP_PORT"]
    );
    let all = invalid(&[
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
    assert_eq!(invalid(&network), ["SMTP_TLS"]);
    assert_eq!(
        invalid(&[("SMTP_HELO", "users.domain.example")]),
        ["SMTP_HELO"],
        "without a server"
    );
    for (name, is_valid) in [
        ("users.domain.example", true),
        ("192.0.2.1", true),
        ("localhost", false),
        ("users.domain.example\r\nQUIT", false),
    ] {
        assert_eq!(server(&[("SMTP_HELO", name)]).is_ok(), is_valid, "{name}");
    }
}

#[test]
fn a_file_without_a_certificate_is_not_an_authority() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let named = [
        ("SMTP_HOST", "mail.domain.example"),
        ("MAIL_FROM", "ada@domain.example"),
        ("SMTP_CA", path.as_str()),
    ];
    for text in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, text).unwrap();
        assert_eq!(invalid(&named), ["SMTP_CA"], "{text}");
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
fn the_secret_in_the_data_folder_is_generated_once_and_for_one_user() {
    let folder = tempfile::tempdir().unwrap();
    let first = secret::load_or_create(folder.path()).unwrap();
    assert!(first.len() >= 32);
    assert_eq!(secret::load_or_create(folder.path()).unwrap(), first);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let path = folder.path().join("jwt-secret");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(secret::load_or_create(folder.path()), Err(SecretError::Readable(_))));
    }
}

#[test]
fn every_secret_may_come_from_a_file_or_a_credential_but_from_one_source_only() {
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

    let credentials = folder.path().to_str().unwrap();
    write("JWTSECRETKEY", secret);
    let config = read(&[("CREDENTIALS_DIRECTORY", credentials)]).unwrap();
    assert_eq!(config.secret.as_deref().map(Vec::as_slice), Some(secret.as_bytes()));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);

    for variable in VARIABLES.iter().filter(|variable| variable.secret) {
        let by_file = format!("{}_FILE", variable.name);
        assert!(invalid(&[(variable.name, secret), (&by_file, &file)]).contains(&variable.name));
        assert!(
            invalid(&[(&by_file, "/nowhere/at/all")]).contains(&variable.name),
            "{}",
            variable.name
        );
    }
    let error = read(&[("JWTSECRETKEY_FILE", &file), ("CREDENTIALS_DIRECTORY", credentials)])
        .unwrap_err()
        .to_string();
    assert!(error.contains("JWTSECRETKEY_FILE") && error.contains("credential"), "{error}");
    assert!(error.contains("1 error;") && !error.contains("32 bytes"), "{error}");
    // An unreadable file is one error, and not a missing secret as well.
    let postgres = [("PostgreSQL", "postgresql://users@127.0.0.1/users"), ("MAIL_DIR", "mails")];
    assert_eq!(
        invalid(&[&postgres[..], &[("JWTSECRETKEY_FILE", "/nowhere/at/all")]].concat()),
        ["JWTSECRETKEY"]
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_everyone_can_read_causes_a_warning() {
    use std::os::unix::fs::PermissionsExt;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "a secret of no fewer than 32 bytes").unwrap();
    let path = file.path().to_str().unwrap();
    for (mode, count) in [(0o600, 0), (0o640, 0), (0o644, 1)] {
        std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        let warnings = read(&[("JWTSECRETKEY_FILE", path)]).unwrap().warnings;
        assert_eq!(warnings.len(), count, "{mode:o}: {warnings:?}");
        assert!(
            warnings.iter().all(|text| text.contains(path) && !text.contains("32 bytes")),
            "{warnings:?}"
        );
    }
}

#[test]
fn an_ipv6_address_may_be_in_brackets_and_a_name_may_have_a_comma() {
    let config = read(&[
        ("LISTEN_ADDR", "[::1]"),
        ("METRICS_ADDR", "[::1]:9464"),
        ("SMTP_HOST", "[::1]"),
        ("SMTP_TLS", "none"),
        ("MAIL_FROM", "Lovelace, Ada <ada@domain.example>"),
    ])
    .unwrap();
    assert_eq!(config.listen.to_string(), "[::1]:3001");
    assert_eq!(config.smtp.unwrap().to_string(), "smtp://[::1]:25 (no TLS)");
    for (sender, reason) in [
        ("Ada <ada@domain.example", "must end with `>`"),
        ("Ada, <not an address>", "`not an address` is not an email address"),
        ("\"Ada, <ada@domain.example>", "quotation marks"),
        ("nobody", "`nobody` is not an email address"),
    ] {
        let error = read(&[("MAIL_FROM", sender)]).unwrap_err().to_string();
        assert!(error.contains(reason), "{sender}: {error}");
    }
}

#[test]
fn a_parameter_of_a_database_url_without_effect_causes_a_warning_without_its_value() {
    let config = read(&[
        ("PostgreSQL", "postgresql://u@127.0.0.1/users?pasword=geheim"),
        ("JWTSECRETKEY", "a secret of no fewer than 32 bytes"),
        ("MAIL_DIR", "mails"),
    ])
    .unwrap();
    let warnings = config.warnings.join("\n");
    assert!(warnings.contains("pasword") && !warnings.contains("geheim"), "{warnings}");
}
