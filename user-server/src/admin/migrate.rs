//! The command `migrate`: updates the schema of the database, and reports what it did.

use std::io::Write;
use std::time::Instant;

use super::command::CommandResult;
use super::database;
use crate::config::Config;

#[derive(clap::Args)]
pub struct MigrateArgs {
    /// List the migrations that are missing, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs `user-server migrate`.
///
/// # Errors
/// If the database cannot be reached, or a migration fails. Each migration is one transaction.
pub async fn migrate(config: &Config, args: MigrateArgs) -> CommandResult {
    let began = Instant::now();
    let before = database::migrate(config, args.dry_run).await?;
    let location = database::location(config);
    let mut out = std::io::stdout().lock();
    let (version, needed) = (before.version, before.needed);
    if before.pending.is_empty() {
        writeln!(out, "{location} is up to date: schema {version}, this version needs {needed}")?;
        return Ok(0);
    }
    let verb = if args.dry_run { "would apply" } else { "applied" };
    for migration in &before.pending {
        writeln!(out, "{verb} {:04} {}", migration.version, migration.description)?;
    }
    match args.dry_run {
        true => writeln!(out, "{location}: schema {version}, would become {needed}")?,
        false => {
            let elapsed = began.elapsed().as_millis();
            writeln!(out, "{location}: schema {version} is now {needed}, after {elapsed} ms")?;
        }
    }
    Ok(0)
}
