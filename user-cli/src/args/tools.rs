//! The commands about the connection, frames and the shell.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// Measure the round trip to the server, and show its limits
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli ping
  user-cli ping --addr users.example.com:3001 --json
  user-cli ping --addr users.example.com --ca authority.pem --cert me.pem --key me.key")]
pub(crate) struct Ping {}

/// Explain frames, without a server: every field, or what is wrong and what the server would answer
#[derive(Args)]
#[command(after_help = "\
Exit code 1 says that the server would refuse a frame.

Examples:
  user-cli decode 00 00 00 05 7f 00 00 00 01
  user-cli decode 0000000500 00000000 --json
  xxd -p frames.bin | user-cli decode -")]
pub(crate) struct Decode {
    /// The bytes in hex; spaces, colons, commas and 0x do not matter. `-` reads stdin
    #[arg(required = true)]
    pub(crate) hex: Vec<String>,
    /// Whether the frames go to the server or come from it; their types say so where this does not
    #[arg(long = "as", value_enum, value_name = "DIRECTION")]
    pub(crate) direction: Option<Direction>,
    /// Show passwords, codes and tokens
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

/// Which way a frame goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Direction {
    /// To the server
    Request,
    /// From the server
    Reply,
}

/// Send raw bytes to the server, whatever they are, and explain what it answers
#[derive(Args)]
#[command(after_help = "\
Exit code 1 says that the server answered with an error.

Examples:
  user-cli send 00000005 7f 00000001            # a ping
  user-cli send 00000004 7f 000000              # a frame too short")]
pub(crate) struct Send {
    /// The bytes in hex, as decode takes them. `-` reads stdin
    #[arg(required = true)]
    pub(crate) hex: Vec<String>,
    /// Show passwords, codes and tokens
    #[arg(long)]
    pub(crate) show_secrets: bool,
}

/// Print the completions for a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli completions bash > ~/.local/share/bash-completion/completions/user-cli
  user-cli completions zsh > ~/.zfunc/_user-cli")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

/// Write the man pages into a folder
#[derive(Args)]
#[command(after_help = "\
Examples:
  user-cli man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// The folder; it is made where it is missing
    pub(crate) folder: PathBuf,
}
