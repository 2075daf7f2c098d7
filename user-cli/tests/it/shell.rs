//! Help, completions and man pages of every command.

use std::collections::BTreeSet;
use std::path::Path;

use crate::cli::Cli;

#[test]
fn every_command_has_help_with_examples_a_man_page_and_a_completion() {
    let cli = Cli::offline();
    let help = cli.run(&["--help"]).succeeded().stdout;
    let section = help.split("Commands:").nth(1).unwrap().split("Options").next().unwrap();
    let names = section.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands: Vec<_> =
        names.filter_map(|line| line.split_whitespace().next()).filter(|c| *c != "help").collect();
    assert_eq!(sorted(&commands), sorted(&command_files()), "one file per command");

    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("man1");
    cli.run(&["man", pages.to_str().unwrap()]).succeeded();
    let completions = cli.run(&["completions", "bash"]).succeeded().stdout;
    for command in commands {
        let help = cli.run(&[command, "--help"]).succeeded().stdout;
        assert!(help.contains("Examples:\n  "), "{command}: {help}");
        // A line that the terminal's width breaks is no example that can be copied.
        for line in help.split("Examples:\n").nth(1).unwrap().lines() {
            assert!(
                line.is_empty() || line.starts_with("  user-cli") || line.contains("user-"),
                "{command}: {line}"
            );
        }
        assert!(pages.join(format!("user-cli-{command}.1")).is_file(), "{command}");
        assert!(completions.contains(command), "{command}");
    }
    assert!(help.contains("Examples:"));
    let page = std::fs::read_to_string(pages.join("user-cli.1")).unwrap();
    assert!(page.contains("CONFIGURATION FILE") && page.contains(r"[profiles.prod]"), "{page}");
}

#[test]
fn every_man_page_has_the_sections_of_the_convention() {
    let directory = tempfile::tempdir().unwrap();
    Cli::offline().run(&["man", directory.path().to_str().unwrap()]).succeeded();
    let mut count = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        let headings: Vec<_> = page
            .lines()
            .filter_map(|line| line.strip_prefix(".SH "))
            .map(|heading| heading.trim_matches('"'))
            .collect();
        for heading in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "ENVIRONMENT",
            "FILES",
            "EXAMPLES",
            "SEE ALSO",
        ] {
            assert!(headings.contains(&heading), "{}: {headings:?}", path.display());
        }
        assert!(headings.iter().all(|heading| *heading == heading.to_uppercase()), "{headings:?}");
        let title = " 1 \"\" \"user-cli 0.1.0\" \"User service\"\n.nh\n";
        assert!(page.contains(title), "{}: names may be hyphenated", path.display());
        // Only examples and tables have their own line breaks; the rest suits every width.
        let notes = page.split(".SH EXAMPLES").next().unwrap();
        for preformatted in notes.split("\n.nf\n").skip(1) {
            let lines = preformatted.split("\n.fi\n").next().unwrap().lines();
            let widest = lines.map(str::len).max().unwrap();
            assert!(widest < 72, "{}: {preformatted}", path.display());
        }
        count += 1;
    }
    assert!(count > 20, "{count} pages");
}

/// Returns the environment variables that the sources read, apart from those of the convention for
/// directories.
fn variables_of_the_sources() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for file in ["endpoint.rs", "config.rs", "session.rs", "state.rs", "commands/top.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let literals = text.split('"').filter(|literal| {
            let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
            literal.starts_with("USER_CLI_") && literal.chars().all(is_name)
        });
        names.extend(literals.map(str::to_owned));
    }
    names
}

#[test]
fn every_environment_variable_is_in_the_help() {
    let help = Cli::offline().run(&["--help"]).succeeded().stdout;
    let environment = help.split("Environment:").nth(1).unwrap().split("Files:").next().unwrap();
    let documented: BTreeSet<String> = environment
        .split(|c: char| !(c.is_ascii_uppercase() || c == '_'))
        .filter(|word| word.starts_with("USER_CLI_"))
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, variables_of_the_sources());
}

#[test]
fn the_short_help_is_short_and_the_long_help_is_long() {
    let cli = Cli::offline();
    for arguments in [&[][..], &["login"], &["bench"], &["update"]] {
        let short = cli.run(&[arguments, &["-h"]].concat()).succeeded().stdout;
        let long = cli.run(&[arguments, &["--help"]].concat()).succeeded().stdout;
        assert!(short.lines().count() * 3 < long.lines().count() * 2, "{short}\n{long}");
        assert!(!short.contains("Examples:") && long.contains("Examples:"), "{short}");
        assert!(long.contains("--allow-plaintext"), "{long}");
    }
}

/// Returns the commands that have a file in `src/commands`.
fn command_files() -> Vec<String> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    files.map(|file| file.file_stem().unwrap().to_str().unwrap().replace('_', "-")).collect()
}

fn sorted<T: AsRef<str>>(names: &[T]) -> Vec<&str> {
    let mut names: Vec<_> = names.iter().map(AsRef::as_ref).collect();
    names.sort_unstable();
    names
}

#[test]
fn the_help_warns_of_secrets_in_frames() {
    let help = Cli::offline().run(&["login", "--help"]).succeeded().stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("Frames contain passwords, codes and tokens in plain text"), "{help}");
}

#[test]
fn a_password_is_never_an_argument() {
    let cli = Cli::offline();
    for command in ["register", "login", "update", "delete"] {
        let help = cli.run(&[command, "--help"]).succeeded().stdout;
        assert!(!help.contains("--password ") && !help.contains("<PASSWORD>"), "{help}");
    }
}
