//! The command line as a whole: global options and a subcommand.

use clap::Parser;

use crate::commands::Command;
use crate::manual;
use crate::options::Global;

/// Command-line client for the user service: manage accounts and sessions, decode the protocol, and
/// measure a server
#[derive(Parser)]
#[command(name = "user-cli", version, propagate_version = true)]
#[command(max_term_width = 100, subcommand_help_heading = "Commands")]
#[command(
    after_help = "Run `user-cli --help` or `man user-cli` for examples, exit codes, variables and files."
)]
#[command(after_long_help = manual::general_help())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_accepts_the_declaration() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
