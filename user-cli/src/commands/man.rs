use std::path::PathBuf;

use clap::Args;

use crate::context::{Context, Needs, Run};
use crate::failure::Failure;
use crate::{manual, output};

/// Write the man pages to a directory
#[derive(Args)]
#[command(after_long_help = "\
There is one page for user-cli and one for each of its commands.

Examples:
  user-cli man ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Directory to write to; created if it does not exist
    directory: PathBuf,
}

impl Run for Man {
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let directory = self.directory.display();
        let written = std::fs::create_dir_all(&self.directory)
            .and_then(|()| manual::write_pages((context.declaration)(), &self.directory));
        written.map_err(|error| {
            Failure::usage(
                format!("cannot write to {directory}: {error}"),
                "Choose a writable directory.",
            )
        })?;
        output::line(&format!("wrote the man pages to {directory}"))?;
        Ok(())
    }
}
