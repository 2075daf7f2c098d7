//! Help, completions and man pages: there for every command, with examples.

use crate::cli::Cli;

#[test]
fn every_command_has_help_with_examples_a_page_and_a_completion() {
    let cli = Cli::alone();
    let help = cli.run(&["--help"]).done().stdout;
    let section = help.split("Commands:").nth(1).unwrap().split("Options").next().unwrap();
    let names = section.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let commands: Vec<_> =
        names.filter_map(|line| line.split_whitespace().next()).filter(|c| *c != "help").collect();
    assert_eq!(commands.len(), 19, "{commands:?}");

    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    cli.run(&["man", pages.to_str().unwrap()]).done();
    let completions = cli.run(&["completions", "bash"]).done().stdout;
    for command in commands {
        let help = cli.run(&[command, "--help"]).done().stdout;
        assert!(help.contains("Examples:\n  "), "{command}: {help}");
        assert!(pages.join(format!("user-cli-{command}.1")).is_file(), "{command}");
        assert!(completions.contains(command), "{command}");
    }
    assert!(help.contains("Examples:"));
    assert!(pages.join("user-cli.1").is_file());
}

#[test]
fn the_help_warns_of_secrets_in_frames() {
    let help = Cli::alone().run(&["login", "--help"]).done().stdout;
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("Frames hold passwords, codes and tokens in clear"), "{help}");
}

#[test]
fn a_password_is_no_argument() {
    let cli = Cli::alone();
    for command in ["register", "login", "update", "delete"] {
        let help = cli.run(&[command, "--help"]).done().stdout;
        assert!(!help.contains("--password ") && !help.contains("<PASSWORD>"), "{help}");
    }
}
