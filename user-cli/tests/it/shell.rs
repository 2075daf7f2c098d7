//! Help, completions and man pages of every command.

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
        assert!(pages.join(format!("user-cli-{command}.1")).is_file(), "{command}");
        assert!(completions.contains(command), "{command}");
    }
    assert!(help.contains("Examples:"));
    assert!(pages.join("user-cli.1").is_file());
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
