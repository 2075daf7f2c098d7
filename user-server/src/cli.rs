//! The command line: global options, commands, and their help.

use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser};
use user_server::admin;

use crate::manual;

/// Server of the user service: registers users with a one-time code sent by email, logs them in,
/// and verifies their access tokens, over a framed binary TCP protocol
///
/// Without a command, the server is started. It is configured by environment variables, or by a
/// file (--env-file). With none set, it uses an embedded database in ./user-data and writes emails
/// to files.
#[derive(Parser)]
#[command(name = "user-server", version, max_term_width = 100)]
#[command(after_help = "Run `user-server --help` or `man user-server` for the settings, examples \
                        and exit codes.")]
#[command(after_long_help = manual::general_help())]
pub(crate) struct Cli {
    /// File with settings as NAME=VALUE lines; the environment takes precedence
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Update the schema of the database
    ///
    /// A server start with MIGRATE=start does the same.
    Migrate(admin::MigrateArgs),
    /// Test the configuration and every connection that it names
    ///
    /// Prints one line per check. Changes nothing. The exit code is 1 if a check fails.
    Check(CheckArgs),
    /// Show the state of a running server on one screen
    ///
    /// Reads /readyz and /metrics at METRICS_ADDR.
    Status(admin::StatusArgs),
    /// Measure password hashes on this machine, and recommend ARGON2_* and HASH_THREADS
    Calibrate(CalibrateArgs),
    /// Check every row of the database
    ///
    /// A server may run at the same time. Changes nothing. The exit code is 1 if a row violates an
    /// invariant.
    Fsck {
        /// Print one JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// List keys, generate one, or retire one
    Keys {
        #[command(subcommand)]
        command: admin::KeysCommand,
    },
    /// Import users of another service from a file or a table
    ///
    /// The exit code is 0 if all rows were imported, 1 if some were rejected, and 2 if the import
    /// could not continue.
    Import(admin::ImportArgs),
    /// Export all users with their password hashes, for another service
    Export(admin::ExportArgs),
    /// Show and change accounts
    ///
    /// A server may run at the same time.
    User(admin::UserArgs),
    /// List and verify the audit log
    Audit(admin::AuditArgs),
    /// Copy the embedded database and its secret to one file
    ///
    /// A server may run at the same time.
    Backup(admin::BackupArgs),
    /// Restore a backup, end every session and invalidate every code
    ///
    /// Pass the FILE of a backup of the embedded database, or --after-pg-restore once pg_restore
    /// has restored a dump of PostgreSQL.
    Restore(admin::RestoreArgs),
    /// Write the man pages to a directory
    Man {
        /// Directory to write to; created if it does not exist
        directory: PathBuf,
    },
    /// Generate shell completions
    Completions {
        /// Shell to generate completions for
        shell: clap_complete::Shell,
    },
}

#[derive(clap::Args)]
pub(crate) struct CheckArgs {
    /// Only send a Ping to the running server over loopback, and open no database, for a health
    /// check without a shell
    #[arg(long)]
    pub(crate) ready: bool,
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(clap::Args)]
pub(crate) struct CalibrateArgs {
    /// Maximum duration of a hash in milliseconds, while every core is hashing
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    pub(crate) target_ms: u32,
    /// Approximate duration of the measurement in seconds
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub(crate) seconds: u32,
    /// Print only the number of hashes of the lowest cost that all cores compute per second
    #[arg(long)]
    pub(crate) floor: bool,
}

/// Returns the declaration of the command line.
pub(crate) fn declaration() -> clap::Command {
    manual::with_examples(Cli::command())
}

/// Parses the arguments of the process.
///
/// # Errors
/// If they are not valid, or ask for the help or the version.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(&declaration().try_get_matches()?)
}

#[cfg(test)]
mod tests {
    #[test]
    fn clap_accepts_the_declaration() {
        super::declaration().debug_assert();
    }

    #[test]
    fn a_kid_may_begin_with_a_hyphen() {
        for kid in ["kid", "-I9_abcdefgh", "-h9_abcdefgh", "--9_abcdefg", "-V"] {
            let arguments = ["user-server", "keys", "retire", kid, "--force"];
            let parsed = super::declaration().try_get_matches_from(arguments).unwrap();
            let (_, keys) = parsed.subcommand().unwrap();
            let (_, retire) = keys.subcommand().unwrap();
            assert_eq!(retire.get_one::<String>("kid").unwrap(), kid);
            assert!(retire.get_flag("force"));
        }
        let help = super::declaration()
            .try_get_matches_from(["user-server", "keys", "retire", "--help"])
            .unwrap_err();
        assert_eq!(help.kind(), clap::error::ErrorKind::DisplayHelp);
    }
}
