//! The manual: what the help and the man pages have in common, and the rendering of the pages.

use std::io;
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
    ("2", "Invalid usage; for `import`, the import could not continue."),
    ("64", "The configuration is invalid. Every error is printed, and nothing was started."),
];

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
    let sections =
        [("Exit status", owned(EXIT_STATUS)), ("Files", owned(FILES)), ("Settings", settings())];
    for (heading, entries) in sections {
        help.push_str(&format!("\n{heading}:\n"));
        for (name, text) in entries {
            help.push_str(&format!("  {name}\n{}", wrapped("          ", &text)));
        }
    }
    help.push('\n');
    help + &wrapped("", &sources_of_secrets())
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
    let source = concat!("user-server ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).manual("User service").source(source);
    std::fs::write(directory.join(man.get_filename()), page(&man, command)?)
}

/// Renders a page, with the sections in the order of man-pages(7).
fn page(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut out)?;
    }
    entries(&mut out, "EXIT STATUS", owned(EXIT_STATUS))?;
    if command.get_name() == env!("CARGO_PKG_NAME") {
        entries(&mut out, "ENVIRONMENT", settings())?;
        let mut roff = Roff::new();
        roff.control("PP", []);
        roff.text([roman(sources_of_secrets())]);
        roff.to_writer(&mut out)?;
        entries(&mut out, "FILES", owned(FILES))?;
        examples(&mut out)?;
    } else {
        let text = "The settings are described in user-server(1).".to_owned();
        entries(&mut out, "ENVIRONMENT", vec![("See also".to_owned(), text)])?;
    }
    Ok(out)
}

fn examples(out: &mut Vec<u8>) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("nf", []);
    for line in EXAMPLES.lines() {
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
