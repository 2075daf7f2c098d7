//! The manual: what the help and the man pages have in common, and the rendering of the pages.

use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};
use user_server::config::VARIABLES;

/// Width of a line on a terminal of 80 columns.
const WIDTH: usize = 78;

const EXAMPLES: &str = "\
user-server                                   # starts with an embedded database
user-server --env-file /etc/user-server.env   # starts with the settings of a file
user-server check                             # tests every setting and connection
user-server check --ready                     # a health check without a shell
user-server status                            # shows the running server
user-server user find ada                     # accounts that begin with ada
user-server backup /backups/today             # the embedded database, while it runs
user-server keys new                          # the first step of a key rotation";

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success, or an orderly shutdown."),
    ("1", "The server did not start, the command failed, or a check found a problem."),
    ("2", "Invalid usage."),
    ("64", "The configuration is invalid. Every error is printed, and nothing was started."),
];

/// Exit status of a command that starts no server.
const COMMAND_EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success."),
    ("1", "The command failed."),
    ("2", "Invalid usage."),
    ("64", "The configuration is invalid. Every error is printed, and nothing was done."),
];

/// Exit status of commands that differs from [`COMMAND_EXIT_STATUS`], by the name of the page.
const EXIT_STATUS_OF: &[(&str, &[(&str, &str)])] = &[
    (
        "user-server-check",
        &[
            ("0", "Every check is good or only a warning; with --ready, the server is ready."),
            ("1", "A check failed; with --ready, the server is not ready."),
            ("2", "Invalid usage."),
            ("64", "The configuration is invalid."),
        ],
    ),
    (
        "user-server-status",
        &[
            ("0", "The server is ready."),
            ("1", "It is not, or does not answer."),
            ("2", "Invalid usage."),
            ("64", "The configuration is invalid."),
        ],
    ),
    (
        "user-server-fsck",
        &[
            ("0", "No row violates an invariant."),
            ("1", "Some do, or the database cannot be read."),
            ("2", "Invalid usage."),
            ("64", "The configuration is invalid."),
        ],
    ),
    (
        "user-server-import",
        &[
            ("0", "Every row was imported, or was already present."),
            ("1", "Some rows were rejected."),
            ("2", "The import could not continue, or invalid usage."),
            ("64", "The configuration is invalid."),
        ],
    ),
    (
        "user-server-user-find",
        &[
            ("0", "Accounts were found."),
            ("1", "None was found, or the command failed."),
            ("2", "Invalid usage."),
            ("64", "The configuration is invalid."),
        ],
    ),
    (
        "user-server-audit-verify",
        &[
            ("0", "Every row is as it was sealed."),
            ("1", "The chain is broken, or cannot be verified."),
            ("2", "Invalid usage."),
            ("64", "The configuration is invalid."),
        ],
    ),
];

/// Examples of commands, by the name of the page.
const EXAMPLES_OF: &[(&str, &str)] = &[
    (
        "user-server-check",
        "user-server check\nuser-server --env-file /etc/user-server.env check --json",
    ),
    ("user-server-status", "user-server status --addr 127.0.0.1:9464"),
    ("user-server-migrate", "user-server migrate --dry-run\nuser-server migrate"),
    ("user-server-calibrate", "user-server calibrate --target-ms 250"),
    ("user-server-fsck", "user-server fsck --json"),
    ("user-server-keys", "user-server keys list\n(umask 077; user-server keys new > new-secret)"),
    ("user-server-keys-list", "user-server keys list --json"),
    ("user-server-keys-new", "(umask 077; user-server keys new > new-secret)"),
    ("user-server-keys-retire", "user-server keys retire 3NcQGfu0c1Y --operator ada"),
    (
        "user-server-import",
        "user-server import users.jsonl --dry-run\n\
         user-server import users.jsonl --rejects rejected\n\
         user-server import --from-postgres postgresql://reader@old/app --table auth.users",
    ),
    (
        "user-server-export",
        "user-server export users.jsonl\nuser-server export --format jsonl | gzip > users.gz",
    ),
    (
        "user-server-user",
        "user-server user find ada\nuser-server user show ada@example.org\n\
         user-server user disable ada --operator eve",
    ),
    ("user-server-user-show", "user-server user show ada@example.org --json"),
    ("user-server-user-list", "user-server user list --after ada --limit 1000"),
    ("user-server-user-find", "user-server user find ada"),
    ("user-server-user-emails", "user-server user emails ada@example.org"),
    ("user-server-user-sessions", "user-server user sessions ada"),
    (
        "user-server-user-create",
        "user-server user create ada ada@example.org   # then: user-server user send-reset ada\n\
         printf '%s\\n' \"$PASSWORD\" | user-server user create ada ada@example.org --password-stdin",
    ),
    ("user-server-user-set-email", "user-server user set-email ada ada@example.net"),
    ("user-server-user-send-reset", "user-server user send-reset ada"),
    ("user-server-user-end-sessions", "user-server user end-sessions ada"),
    ("user-server-user-disable", "user-server user disable ada --operator eve"),
    ("user-server-user-enable", "user-server user enable ada"),
    ("user-server-user-unlock", "user-server user unlock ada"),
    ("user-server-user-delete", "user-server user delete ada --yes"),
    ("user-server-man", "user-server man ~/.local/share/man/man1"),
    (
        "user-server-completions",
        "user-server completions bash > ~/.local/share/bash-completion/completions/user-server",
    ),
    (
        "user-server-audit",
        "user-server audit list --user ada --since 2026-11-24\nuser-server audit follow --kind login_failed",
    ),
    ("user-server-audit-list", "user-server audit list --kind login_failed --since 2026-11-24"),
    ("user-server-audit-follow", "user-server audit follow --json"),
    ("user-server-audit-verify", "user-server audit verify --expect 5d0c...e1@1042"),
    ("user-server-backup", "user-server backup /backups/users-2026-11-24"),
    (
        "user-server-restore",
        "user-server restore /backups/users-2026-11-24 --force\nuser-server restore --after-pg-restore",
    ),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Shuts down: connections are accepted for DRAIN_DELAY, and requests in flight are completed \
         within GRACE. A second signal, half a second later or more, stops the process at once.",
    ),
    ("SIGHUP", "Reloads the certificates."),
];

/// Variables that are not settings of the service.
const OTHER_VARIABLES: &[(&str, &str)] = &[
    ("NO_COLOR", "Turns off the colours of pretty logs."),
    ("CREDENTIALS_DIRECTORY", "Folder of the credentials of a systemd unit, which systemd sets."),
];

const SEE_ALSO: &str = "user-server(1), user-cli(1), user-http(1)";

const FILES: &[(&str, &str)] = &[
    ("./user-data/users.db", "The embedded database, in DATA_DIR, with its write-ahead log."),
    ("./user-data/jwt-secret", "The secret that is generated without JWTSECRETKEY."),
    ("./user-data/mails/", "Emails as .eml files, without SMTP_HOST; or MAIL_DIR."),
    ("./user-data/lock", "Locked while a server uses the folder."),
];

/// Returns the description of the settings.
fn settings() -> Vec<(String, String)> {
    VARIABLES
        .iter()
        .map(|variable| {
            let default = if variable.default.is_empty() { "not set" } else { variable.default };
            (format!("{} [default: {default}]", variable.name), variable.meaning.to_owned())
        })
        .collect()
}

/// Returns a sentence about the sources of secrets.
fn sources_of_secrets() -> String {
    let secrets: Vec<&str> =
        VARIABLES.iter().filter(|variable| variable.secret).map(|variable| variable.name).collect();
    format!(
        "The secrets among them ({}) can also be read from a file, named by the variable with the \
         suffix _FILE, or from a systemd credential with the name of the variable.",
        secrets.join(", "),
    )
}

fn owned(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Returns the text below the options in `user-server --help`.
pub(crate) fn general_help() -> String {
    let mut help = String::from("Examples:\n");
    for line in EXAMPLES.lines() {
        help.push_str(&format!("  {line}\n"));
    }
    let sections = [
        ("Exit status", owned(EXIT_STATUS)),
        ("Files", owned(FILES)),
        ("Signals", owned(SIGNALS)),
        ("Settings", settings()),
    ];
    for (heading, entries) in sections {
        help.push_str(&format!("\n{heading}:\n"));
        for (name, text) in entries {
            help.push_str(&format!("  {name}\n{}", wrapped("          ", &text)));
        }
    }
    help.push('\n');
    help + &wrapped("", &sources_of_secrets())
}

/// Adds the examples of each command to its help.
pub(crate) fn with_examples(command: Command) -> Command {
    fn add(command: Command, page: &str) -> Command {
        let mut command = match EXAMPLES_OF.iter().find(|(name, _)| *name == page) {
            Some((_, text)) => {
                let lines = text.lines().map(|line| format!("\n  {line}"));
                command.after_help(format!("Examples:{}", lines.collect::<String>()))
            }
            None => command,
        };
        let names: Vec<String> =
            command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
        for name in names {
            let page = format!("{page}-{name}");
            command = command.mut_subcommand(name, |command| add(command, &page));
        }
        command
    }
    add(command, env!("CARGO_PKG_NAME"))
}

/// Wraps a text into indented lines.
fn wrapped(indent: &str, text: &str) -> String {
    let (mut lines, mut line) = (String::new(), indent.to_owned());
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH && line.len() > indent.len() {
            lines.push_str(&line);
            lines.push('\n');
            line = indent.to_owned();
        }
        if line.len() > indent.len() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines + &line + "\n"
}

/// Writes the man pages of a command and of all its subcommands to a directory.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write_pages(command: Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_page(&command, directory)
}

fn write_page(command: &Command, directory: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_page(subcommand, directory)?;
    }
    let man = Man::new(command.clone());
    std::fs::write(directory.join(man.get_filename()), page(&man, command)?)
}

/// Renders a page, with the sections in the order of man-pages(7).
fn page(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let page = man.get_filename();
    let page = page.trim_end_matches(".1");
    let mut out = Vec::new();
    title(&mut out, page)?;
    man.render_name_section(&mut out)?;
    synopsis(&mut out, command)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut out)?;
    }
    let of = |(name, status): &(&str, _)| (*name == page).then_some(*status);
    let is_general = command.get_name() == env!("CARGO_PKG_NAME");
    let general = if is_general { EXIT_STATUS } else { COMMAND_EXIT_STATUS };
    let exit_status = EXIT_STATUS_OF.iter().find_map(of).unwrap_or(general);
    entries(&mut out, "EXIT STATUS", owned(exit_status))?;
    if is_general {
        let variables = settings().into_iter().chain(owned(OTHER_VARIABLES)).collect();
        entries(&mut out, "ENVIRONMENT", variables)?;
        let mut roff = Roff::new();
        roff.control("PP", []);
        roff.text([roman(sources_of_secrets())]);
        roff.to_writer(&mut out)?;
        entries(&mut out, "FILES", owned(FILES))?;
        entries(&mut out, "SIGNALS", owned(SIGNALS))?;
        examples(&mut out, EXAMPLES)?;
    } else {
        paragraph(&mut out, "ENVIRONMENT", "The settings are described in user-server(1).")?;
        if let Some((_, text)) = EXAMPLES_OF.iter().find(|(name, _)| *name == page) {
            examples(&mut out, text)?;
        }
    }
    paragraph(&mut out, "SEE ALSO", SEE_ALSO)?;
    Ok(out)
}

/// Appends the title. Names, URLs and values that are copied from a page must not be hyphenated.
fn title(out: &mut Vec<u8>, page: &str) -> io::Result<()> {
    const SOURCE: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    writeln!(out, ".TH {page} 1 \"\" \"{SOURCE}\" \"User service\"\n.nh\n.ad l")
}

/// Appends the synopsis, with the names of the values of options.
fn synopsis(out: &mut Vec<u8>, command: &Command) -> io::Result<()> {
    let usage = command.clone().render_usage().to_string();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for (number, line) in usage.trim_start_matches("Usage:").lines().enumerate() {
        if number > 0 {
            roff.control("br", []);
        }
        roff.text([roman(line.trim())]);
    }
    roff.to_writer(out)
}

fn paragraph(out: &mut Vec<u8>, heading: &str, text: &str) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    roff.text([roman(text)]);
    roff.to_writer(out)
}

fn examples(out: &mut Vec<u8>, text: &str) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff.to_writer(out)
}

/// Appends a section with names and their descriptions.
fn entries(out: &mut Vec<u8>, heading: &str, entries: Vec<(String, String)>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (name, text) in entries {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(text)]);
    }
    roff.to_writer(out)
}
