//! The command line as a whole: global options and a subcommand.

use clap::Parser;

use crate::commands::Command;
use crate::options::Global;

/// Command-line client for the user service: manage accounts and sessions, decode the protocol, and
/// measure a server
#[derive(Parser)]
#[command(name = "user-cli", version, propagate_version = true)]
#[command(max_term_width = 100, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  user-cli register kim kim@example.com     # prompts for a password; a code is sent by email
  user-cli verify-email --code 123456       # activates the account and logs in
  user-cli verify                           # checks the access token
  user-cli logout

Exit codes:
  0    success
  1    the server refused the request
  2    no reply from the server, or invalid usage
  130  interrupted

The tokens of the last login are stored per server, readable only by you: in $USER_CLI_STATE_DIR, or
else in $XDG_STATE_HOME/user-cli, or else in ~/.local/state/user-cli.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_accepts_the_declaration() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }
}
