//! The manual: what the help and the man pages have in common, and the rendering of the pages.

use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::config::VARIABLES;

/// Width of a line on a terminal of 80 columns.
const WIDTH: usize = 78;

const EXAMPLES: &str = "\
user-http                                          # asks a user-server on 127.0.0.1:3001
SERVICE_ADDRS=10.0.0.7:3001,10.0.0.8:3001 SERVICE_CA=ca.pem user-http
user-http check                                    # tests the settings and every node
curl -i -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:3080/auth/check";

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success, or an orderly shutdown."),
    ("1", "The program did not start, or a check failed."),
    ("2", "Invalid usage."),
    ("64", "The configuration is invalid. Every error is printed, and nothing was started."),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Shuts down: connections are accepted for DRAIN_DELAY, and requests in flight are completed \
         within GRACE. A second signal, half a second later or more, stops the program at once.",
    ),
    ("SIGHUP", "Reloads the certificates."),
];

const SEE_ALSO: &str = "user-http(1), user-http-check(1), user-server(1), user-cli(1)";

/// Returns the description of the settings.
fn settings() -> Vec<(String, String)> {
    let described = VARIABLES.iter().map(|variable| {
        let default = if variable.default.is_empty() { "not set" } else { variable.default };
        (format!("{} [default: {default}]", variable.name), variable.meaning.to_owned())
    });
    let colours = ("NO_COLOR".to_owned(), "Turns off the colours of pretty logs.".to_owned());
    described.chain([colours]).collect()
}

fn owned(entries: &[(&str, &str)]) -> Vec<(String, String)> {
    entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// Returns the text below the options in `user-http --help`.
pub(crate) fn general_help() -> String {
    let mut help = String::from("Examples:\n");
    for line in EXAMPLES.lines() {
        help.push_str(&format!("  {line}\n"));
    }
    let sections = [
        ("Exit status", owned(EXIT_STATUS)),
        ("Signals", owned(SIGNALS)),
        ("Environment variables", settings()),
    ];
    for (heading, entries) in sections {
        help.push_str(&format!("\n{heading}:\n"));
        for (name, text) in entries {
            help.push_str(&format!("  {name}\n{}", wrapped(&text)));
        }
    }
    help
}

/// Returns a text as indented lines.
fn wrapped(text: &str) -> String {
    const INDENT: &str = "      ";
    let (mut lines, mut line) = (String::new(), INDENT.to_owned());
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH && line.len() > INDENT.len() {
            lines.push_str(&line);
            lines.push('\n');
            line = INDENT.to_owned();
        }
        if line.len() > INDENT.len() {
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
pub fn write_pages(command: Command, directory: &Path) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    write_page(&command, directory)
}

fn write_page(command: &Command, directory: &Path) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|command| !command.is_hide_set()) {
        write_page(subcommand, directory)?;
    }
    let source = concat!("user-http ", env!("CARGO_PKG_VERSION"));
    let man = Man::new(command.clone()).manual("User service").source(source);
    std::fs::write(directory.join(man.get_filename()), page(&man, command)?)
}

/// Appends the title. Names, URLs and values that are copied from a page must not be hyphenated.
fn title(out: &mut Vec<u8>, page: &str) -> io::Result<()> {
    const SOURCE: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    writeln!(out, ".TH {page} 1 \"\" \"{SOURCE}\" \"User service\"\n.nh\n.ad l")
}

/// Renders a page, with the sections in the order of man-pages(7).
fn page(man: &Man, command: &Command) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let is_general = command.get_name() == env!("CARGO_PKG_NAME");
    title(&mut out, man.get_filename().trim_end_matches(".1"))?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if is_general {
        man.render_subcommands_section(&mut out)?;
    }
    entries(&mut out, "EXIT STATUS", owned(EXIT_STATUS))?;
    if is_general {
        entries(&mut out, "ENVIRONMENT", settings())?;
        entries(&mut out, "SIGNALS", owned(SIGNALS))?;
        let mut roff = Roff::new();
        roff.control("SH", ["EXAMPLES"]);
        roff.control("nf", []);
        for line in EXAMPLES.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
        roff.to_writer(&mut out)?;
    } else {
        paragraph(&mut out, "ENVIRONMENT", "The settings are described in user-http(1).")?;
    }
    paragraph(&mut out, "SEE ALSO", SEE_ALSO)?;
    Ok(out)
}

fn paragraph(out: &mut Vec<u8>, heading: &str, text: &str) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    roff.text([roman(text)]);
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
