//! The command line: arguments, help and man page.

use std::path::PathBuf;

use clap::Parser;

use crate::config::VARIABLES;

/// HTTP front end of the user service: checks the access token of each request for nginx, Caddy,
/// HAProxy and other gateways
///
/// Without a command, the program listens for checks. It is configured by environment variables
/// only. With none set, it listens on 127.0.0.1:3080 and asks a user-server on 127.0.0.1:3001.
#[derive(Debug, Parser)]
#[command(name = "user-http", version, after_long_help = variables(), max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Subcommands.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Test the configuration and the connection to every node of the service
    ///
    /// Prints one line per check. Changes nothing.
    Check,
    /// Write the man pages to a directory
    Man {
        /// Directory to write to; created if it does not exist
        directory: PathBuf,
    },
}

/// Returns the description of the environment variables for `--help`.
fn variables() -> String {
    let mut text = String::from("Environment variables:\n");
    for variable in VARIABLES {
        let default = if variable.default.is_empty() { "not set" } else { variable.default };
        text.push_str(&format!("  {} [default: {default}]\n", variable.name));
        text.push_str(&wrapped(variable.meaning));
    }
    text.push_str(
        "\nSIGTERM and SIGINT shut down gracefully; a second one stops at once. SIGHUP reloads the \
         certificates.\n",
    );
    text
}

/// Returns a text as indented lines of at most 78 columns.
fn wrapped(text: &str) -> String {
    const INDENT: &str = "      ";
    const WIDTH: usize = 78;
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
