//! The manual: what the help and the man pages have in common for all commands, and the rendering
//! of the pages.

use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// Heading of the examples in the help of a command.
const EXAMPLES: &str = "Examples:\n";

const GENERAL_EXAMPLES: &str =
    "  user-cli register kim kim@example.com     # prompts for a password; a code is sent by email
  user-cli verify-email --code 123456       # activates the account and logs in
  user-cli verify                           # checks the access token
  user-cli --profile prod ping              # another server, from the configuration file
  user-cli logout";

const EXIT_STATUS: &[(&str, &str)] = &[
    ("0", "Success."),
    ("1", "The server refused the request. The error code is printed."),
    ("2", "No reply from the server, invalid usage, or a file that cannot be read or written."),
    ("130", "Interrupted. A load test has printed its partial results."),
];

const SEE_ALSO: &str = "user-cli(1), user-server(1), user-http(1)";

const ENVIRONMENT: &[(&str, &str)] = &[
    ("USER_CLI_ADDR", "Address of the server, if neither --addr nor a profile sets one."),
    ("USER_CLI_PROFILE", "Profile, if --profile is not given."),
    ("USER_CLI_CONFIG", "Configuration file, instead of the one under FILES."),
    ("USER_CLI_TLS", "1 connects with TLS, as --tls does."),
    ("USER_CLI_CA", "Default of --ca."),
    ("USER_CLI_SERVER_NAME", "Default of --server-name."),
    ("USER_CLI_CERT, USER_CLI_KEY", "Defaults of --cert and --key."),
    ("USER_CLI_ALLOW_PLAINTEXT", "1 sends secrets without TLS, as --allow-plaintext does."),
    ("USER_CLI_TOKEN", "Access token to use instead of the stored one."),
    ("USER_CLI_METRICS", "URL of the metrics for `user-cli top`."),
    ("USER_CLI_STATE_DIR", "Directory of the stored tokens, instead of the one under FILES."),
];

const FILES: &[(&str, &str)] = &[
    (
        "~/.config/user-cli/config.toml",
        "Profiles of servers; $XDG_CONFIG_HOME/user-cli/config.toml if that variable is set. A \
         profile is a table with addr and, if needed, tls, ca, server_name, cert, key, \
         allow_plaintext and metrics. Relative paths start at the directory of the file. The file \
         is refused if other users can change it.",
    ),
    (
        "~/.local/state/user-cli/",
        "Tokens of the last login and pending codes, one file for each server, readable only by \
         their owner; $XDG_STATE_HOME/user-cli if that variable is set.",
    ),
];

const CONFIGURATION_EXAMPLE: &str = "  [profiles.prod]
  addr = \"users.example.com:3001\"
  ca = \"prod-ca.pem\"
  cert = \"me.pem\"
  key = \"me.key\"";

/// Returns the text below the options in `user-cli --help`.
pub(crate) fn general_help() -> String {
    let mut help = format!("{EXAMPLES}{GENERAL_EXAMPLES}");
    for (heading, entries) in
        [("Exit status", EXIT_STATUS), ("Environment", ENVIRONMENT), ("Files", FILES)]
    {
        help += &format!("\n\n{heading}:");
        for (name, text) in entries {
            help += &format!("\n  {name}\n{}", indented(text));
        }
    }
    help + "\n\nExample of a configuration file:\n" + CONFIGURATION_EXAMPLE
}

/// Breaks a text into lines of at most 92 columns, indented by eight spaces.
fn indented(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 92 => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(format!("        {word}")),
        }
    }
    lines.join("\n")
}

/// Writes the man pages of a command and of all its subcommands to a directory.
///
/// # Errors
/// If a file cannot be written.
pub(crate) fn write_pages(command: Command, directory: &Path) -> io::Result<()> {
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
    let mut out = Vec::new();
    title(&mut out, man.get_filename().trim_end_matches(".1"))?;
    man.render_name_section(&mut out)?;
    synopsis(&mut out, command)?;
    man.render_description_section(&mut out)?;
    let is_general = command.get_name() == env!("CARGO_PKG_NAME");
    let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
    let (notes, examples) = match help.split_once(EXAMPLES) {
        _ if is_general => ("", GENERAL_EXAMPLES),
        Some((notes, examples)) => (notes.trim(), examples),
        None => (help.trim(), ""),
    };
    for paragraph in notes.split("\n\n").filter(|paragraph| !paragraph.is_empty()) {
        note(&mut out, paragraph)?;
    }
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut out)?;
    }
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        let mut section = Vec::new();
        man.render_subcommands_section(&mut section)?;
        // The heading of the help is not in capitals.
        let section = String::from_utf8_lossy(&section).replace(".SH Commands", ".SH COMMANDS");
        out.extend_from_slice(section.as_bytes());
    }
    entries(&mut out, "EXIT STATUS", EXIT_STATUS)?;
    entries(&mut out, "ENVIRONMENT", ENVIRONMENT)?;
    entries(&mut out, "FILES", FILES)?;
    if !examples.is_empty() {
        preformatted(&mut out, "EXAMPLES", examples)?;
    }
    if is_general {
        preformatted(&mut out, "CONFIGURATION FILE EXAMPLE", CONFIGURATION_EXAMPLE)?;
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(SEE_ALSO)]);
    roff.to_writer(&mut out)?;
    Ok(out)
}

/// Appends the title. Names, URLs and values that are copied from a page must not be hyphenated.
fn title(out: &mut Vec<u8>, page: &str) -> io::Result<()> {
    const SOURCE: &str = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    writeln!(out, ".TH {page} 1 \"\" \"{SOURCE}\" \"User service\"\n.nh\n.ad l")
}

/// Appends the synopsis, without a list of all the options.
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

/// Appends a paragraph of the help, filled to the width of the page, or with its own line breaks if
/// it is a table. A first line that ends with a colon is its heading.
fn note(out: &mut Vec<u8>, paragraph: &str) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("PP", []);
    let body = match paragraph.split_once('\n') {
        Some((heading, body)) if heading.ends_with(':') => {
            roff.text([roman(heading)]);
            body
        }
        _ => paragraph,
    };
    let is_indented = body.len() < paragraph.len();
    let is_table = body.lines().any(|line| line.trim().contains("   "));
    if is_indented {
        roff.control("RS", ["4"]);
    }
    if is_table {
        roff.control("nf", []);
    }
    for line in body.lines() {
        roff.text([roman(line.trim())]);
    }
    if is_table {
        roff.control("fi", []);
    }
    if is_indented {
        roff.control("RE", []);
    }
    roff.to_writer(out)
}

/// Appends a section of text with its own line breaks, without the indentation of the help.
fn preformatted(out: &mut Vec<u8>, heading: &str, text: &str) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line.strip_prefix("  ").unwrap_or(line))]);
    }
    roff.control("fi", []);
    roff.to_writer(out)
}

/// Appends a section with pairs of a name and a description.
fn entries(out: &mut Vec<u8>, heading: &str, entries: &[(&str, &str)]) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (name, text) in entries {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*text)]);
    }
    roff.to_writer(out)
}
