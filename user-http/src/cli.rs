//! The command line: arguments and help.

use std::path::PathBuf;

use clap::Parser;

use crate::manual;

/// HTTP front end of the user service: checks the access token of each request for nginx, Caddy,
/// HAProxy and other gateways
///
/// Without a command, the program listens for checks. It is configured by environment variables
/// only. With none set, it listens on 127.0.0.1:3080 and asks a user-server on 127.0.0.1:3001.
#[derive(Debug, Parser)]
#[command(name = "user-http", version, after_long_help = manual::general_help(), max_term_width = 100)]
pub struct Cli {
    /// Serve a demo page at `/` that uses the JSON API
    ///
    /// Implies JSON_API=1. Unless SERVICE_ADDRS is set, a user-server with its embedded default is
    /// started as well if none listens on 127.0.0.1:3001, and its codes are shown on this terminal.
    #[arg(long)]
    pub demo: bool,
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
