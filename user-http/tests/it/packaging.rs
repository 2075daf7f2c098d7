//! The files of packaging/systemd and docs/CONFIGURATION.md: the settings are those of the tables
//! in code, and systemd accepts the units. To write the settings again after a change:
//! `cargo test -p user-http --test it -- --ignored write_settings_files`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A setting: its name, its default, its meaning, and whether it is a secret.
type Setting = (&'static str, &'static str, &'static str, bool);

/// Largest score of `systemd-analyze security`, in tenths: 1.4 of 10.
const MAX_EXPOSURE: u32 = 14;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd")
}

/// Returns the settings of each program.
fn programs() -> [(&'static str, Vec<Setting>); 2] {
    let server = user_server::config::VARIABLES.iter();
    let server = server.map(|one| (one.name, one.default, one.meaning, one.secret)).collect();
    let http = user_http::config::VARIABLES.iter();
    let http = http.map(|one| (one.name, one.default, one.meaning, false)).collect();
    [("user-server", server), ("user-http", http)]
}

/// Returns the file of settings of a program: a comment and the default of each.
fn settings_file(program: &str, settings: &[Setting]) -> String {
    let mut text = format!(
        "# Settings of {program}. To change one, remove the \"#\" before its name, and run:\n\
         # systemctl restart {program}\n"
    );
    for (name, default, meaning, secret) in settings {
        // The unit sets the folder.
        if *name == "DATA_DIR" {
            continue;
        }
        let is_value = !default.contains(' ') && default != &"PostgreSQL";
        let mut comment = (*meaning).to_owned();
        if !is_value {
            write!(comment, " Default: {default}.").unwrap();
        }
        if *secret {
            write!(comment, " A file with it can be named in {name}_FILE instead.").unwrap();
        }
        text.push('\n');
        for line in wrap(&comment, 98) {
            writeln!(text, "# {line}").unwrap();
        }
        writeln!(text, "#{name}={}", if is_value { default } else { "" }).unwrap();
    }
    text
}

/// Returns docs/CONFIGURATION.md with the tables of the code.
fn configuration() -> String {
    let mut text = std::fs::read_to_string(document()).unwrap();
    for (program, settings) in programs() {
        let mut table = "\n| variable | default | meaning |\n|---|---|---|\n".to_owned();
        for (name, default, meaning, _) in settings {
            let default = if default.is_empty() { "not set" } else { default };
            writeln!(table, "| `{name}` | {default} | {meaning} |").unwrap();
        }
        let begin = text.find(&format!("<!-- generated from {program}/")).unwrap();
        let begin = begin + text[begin..].find('\n').unwrap() + 1;
        let end = begin + text[begin..].find("<!-- end -->").unwrap();
        text.replace_range(begin..end, &format!("{table}\n"));
    }
    text
}

fn document() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CONFIGURATION.md")
}

#[test]
fn the_tables_of_settings_are_those_of_the_code() {
    assert!(
        std::fs::read_to_string(document()).unwrap() == configuration(),
        "docs/CONFIGURATION.md is out of date: run cargo test -p user-http --test it -- --ignored \
         write_settings_files"
    );
}

fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[test]
fn the_files_of_settings_are_those_of_the_code() {
    for (program, settings) in programs() {
        let file = folder().join(format!("{program}.env"));
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            text == settings_file(program, &settings),
            "{program}.env is out of date: run cargo test -p user-http --test it -- --ignored \
             write_settings_files"
        );
    }
}

#[test]
#[ignore = "writes the files of settings"]
fn write_settings_files() {
    for (program, settings) in programs() {
        let file = folder().join(format!("{program}.env"));
        std::fs::write(file, settings_file(program, &settings)).unwrap();
    }
    std::fs::write(document(), configuration()).unwrap();
}

/// systemd-analyze knows every line of the units, and rates what an attacker who has taken over the
/// process could do.
#[test]
fn systemd_accepts_the_units() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("left out: systemd-analyze is not installed");
        return;
    }
    let units = tempfile::tempdir().unwrap();
    for (program, _) in programs() {
        let name = format!("{program}.service");
        let unit = std::fs::read_to_string(folder().join(&name)).unwrap();
        // The program is not installed here.
        let unit = unit.replace(&format!("ExecStart=/usr/bin/{program}"), "ExecStart=/bin/true");
        let file = units.path().join(&name);
        std::fs::write(&file, unit).unwrap();
        let verify = Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .arg(&file)
            .output()
            .unwrap();
        let messages = String::from_utf8_lossy(&verify.stderr);
        assert!(verify.status.success() && !messages.contains(&name), "{messages}");
        let rated = Command::new("systemd-analyze")
            .args(["security", "--offline=yes", "--no-pager", "--threshold"])
            .arg(MAX_EXPOSURE.to_string())
            .arg(&file)
            .output()
            .unwrap();
        let table = String::from_utf8_lossy(&rated.stdout);
        println!("{}", table.lines().last().unwrap_or_default());
        assert!(rated.status.success(), "{table}");
    }
}

/// The recipe of docs/INSTALL.md signs a file and verifies it, and refuses a changed one.
#[test]
fn a_signed_archive_is_verified() {
    if Command::new("ssh-keygen").arg("-?").output().is_err() {
        eprintln!("left out: ssh-keygen is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let archive = folder.path().join("archive.tar.gz");
    let guide =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/INSTALL.md"))
            .unwrap();
    let commands: Vec<&str> = guide
        .lines()
        .skip_while(|line| !line.starts_with("    ssh-keygen"))
        .take_while(|line| line.starts_with("    "))
        .map(str::trim)
        .collect();
    assert_eq!(commands.len(), 4);
    let run = |command: &str| {
        let shell = Command::new("sh").args(["-c", command]).current_dir(&folder).output();
        shell.unwrap().status.success()
    };
    std::fs::write(&archive, "the programs").unwrap();
    for command in &commands {
        assert!(run(command), "{command}");
    }
    std::fs::write(&archive, "other programs").unwrap();
    assert!(!run(commands[3]), "a changed archive is accepted");
}
