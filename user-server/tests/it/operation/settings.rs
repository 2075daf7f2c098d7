//! Settings: mistyped names, files, and messages about values.

use crate::support::{Process, run_in};

#[test]
fn a_mistyped_variable_causes_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("POSTGRESQL", "postgresql://u:geheim@db/users"),
        ("TCP_PROT", "4000"),
        ("DATABASE_URL", "postgresql://u:geheim@db/users"),
    ];
    let check = run_in(folder.path(), &["check"], &settings);
    assert_eq!(check.code, Some(0), "{check:?}");
    for warning in [
        "POSTGRESQL has no effect; did you mean PostgreSQL?",
        "TCP_PROT has no effect; did you mean TCP_PORT?",
        "DATABASE_URL has no effect; did you mean PostgreSQL?",
    ] {
        assert!(check.output.contains(warning), "{warning}: {check:?}");
    }
    assert!(!check.output.contains("geheim"), "{check:?}");
}

/// A mistyped name is often the cause of an error.
#[test]
fn the_warning_is_printed_if_the_configuration_is_invalid() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.env");
    std::fs::write(&file, "PostgreSQL=postgresql://u:p@db/users\nJWT_SECRET=geheim\nFOO=1\n")
        .unwrap();
    for command in [&["--env-file", "settings.env"][..], &["--env-file", "settings.env", "check"]] {
        let run = run_in(folder.path(), command, &[("tcp_port", "4000")]);
        assert_eq!(run.code, Some(64), "{run:?}");
        for part in [
            "warning: tcp_port has no effect; did you mean TCP_PORT?\n",
            "warning: JWT_SECRET has no effect; did you mean JWTSECRETKEY?\n",
            "warning: FOO in --env-file has no effect\n",
            "error: JWTSECRETKEY is not set",
            "To generate one, run: user-server keys new",
        ] {
            assert!(run.error.contains(part), "{part}: {run:?}");
        }
        assert!(!run.error.contains("geheim"), "{run:?}");
    }
}

#[tokio::test]
async fn a_start_logs_the_warning_too() {
    let process = Process::start(&[("tcp_port", "4000")]);
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(process.log().contains("did you mean TCP_PORT?"), "{}", process.log());
}

#[test]
fn a_log_level_that_does_not_exist_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_in(folder.path(), &["check"], &[("LOG", "loud")]);
    assert_eq!(run.code, Some(64), "{run:?}");
    assert!(run.error.contains("invalid value \"loud\" for LOG"), "{run:?}");
    assert!(run.error.contains("`loud` is not a level"), "{run:?}");
}

#[test]
fn the_environment_takes_precedence_over_a_file_of_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.env");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    let run = |settings: &[(&str, &str)]| {
        run_in(folder.path(), &["--env-file", "settings.env", "check"], settings)
    };
    write("# of the test\nTCP_PORT=eighty\nLOG_FORMAT='xml'\n");
    let both = run(&[]);
    assert_eq!(both.code, Some(64), "{both:?}");
    assert!(both.error.contains("\"eighty\" for TCP_PORT") && both.error.contains("2 errors"));
    let one = run(&[("TCP_PORT", "0")]);
    assert!(one.error.contains("1 error;") && one.error.contains("xml"), "{one:?}");
    let none = run(&[("TCP_PORT", "0"), ("LOG_FORMAT", "json")]);
    assert_eq!(none.code, Some(0), "{none:?}");

    write("JWTSECRETKEY=\"a secret of no fewer than 32 bytes, geheim\"\nMETRICSADDR=1\n");
    let warned = run(&[]);
    assert!(warned.output.contains("did you mean METRICS_ADDR?"), "{warned:?}");
    assert!(warned.output.contains("can be read by every user"), "{warned:?}");
    write("JWTSECRETKEY geheim\n");
    let broken = run(&[]);
    assert_eq!(broken.code, Some(64), "{broken:?}");
    assert!(broken.error.contains("settings.env, line 1: expected NAME=VALUE"), "{broken:?}");
    assert!(!broken.error.contains("geheim"), "{broken:?}");
    std::fs::remove_file(&file).unwrap();
    assert!(run(&[]).error.contains("No such file"));
}

#[test]
fn a_port_below_1024_without_the_privilege_is_explained() {
    let lowest = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let needs_privilege = lowest.is_ok_and(|port| port.trim() == "1024");
    let folder = tempfile::tempdir().unwrap();
    let binary = env!("CARGO_BIN_EXE_user-server");
    let mut command = std::process::Command::new("setpriv");
    command.args(["--bounding-set=-net_bind_service", "--inh-caps=-net_bind_service", binary]);
    command.env_clear().env("TCP_PORT", "443").current_dir(folder.path());
    let Some(output) = command.output().ok().filter(|_| needs_privilege) else {
        return crate::support::left_out("a privileged port (setpriv or the privilege is missing)");
    };
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    for part in ["127.0.0.1:443", "CAP_NET_BIND_SERVICE", "TCP_PORT"] {
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_name_in_a_file_of_settings_that_has_no_effect_causes_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.env");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let settings = [("TCP_PORT", "0")];
        run_in(folder.path(), &["--env-file", "settings.env", "check"], &settings)
    };
    let run = check("FOO=1\nSMTP_PASS=geheim\nexport  LOG=warn\n");
    assert_eq!(run.code, Some(0), "{run:?}");
    for part in ["FOO in --env-file has no effect", "did you mean SMTP_PASSWORD?"] {
        assert!(run.output.contains(part), "{part}: {run:?}");
    }
    assert!(!run.output.contains("geheim") && !run.output.contains("LOG"), "{run:?}");
    for (text, hint) in [
        ("TCP_PORT=1\nTCP_PORT=2", "hint: Keep one"),
        ("LOG='info", "hint: Put the same quotation mark"),
        ("LOG", "hint: A line is NAME=VALUE"),
    ] {
        let run = check(text);
        assert!(run.code == Some(64) && run.error.contains(hint), "{text}: {run:?}");
    }
    for missing in ["none.env", "."] {
        let run = run_in(folder.path(), &["--env-file", missing, "check"], &[]);
        assert!(run.error.contains("hint: Pass a text file"), "{run:?}");
    }
}

#[tokio::test]
async fn the_summary_names_the_source_of_the_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, crate::support::SECRET).unwrap();
    let process = Process::start(&[("JWTSECRETKEY_FILE", secret.to_str().unwrap())]);
    let expected = format!("secret    from JWTSECRETKEY_FILE ({})", secret.display());
    assert!(process.printed.contains(&expected), "{}", process.printed);
    let process = Process::start(&[("JWTSECRETKEY", crate::support::SECRET)]);
    assert!(process.printed.contains("from JWTSECRETKEY\n"), "{}", process.printed);
}

#[test]
fn a_stale_limit_of_zero_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = run_in(folder.path(), &["check"], &[("STALE_LIMIT", "0")]);
    assert!(run.code == Some(64) && run.error.contains("from 1 to 3600"), "{run:?}");
}
