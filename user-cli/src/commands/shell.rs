//! Completions and man pages, made of the same declarations as the help.

use clap::CommandFactory;

use super::Failure;
use crate::args::{self, Cli};
use crate::output;

pub(super) fn completions(args: &args::Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "user-cli", &mut script);
    output::raw(&script)?;
    Ok(())
}

pub(super) fn man(args: &args::Man) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(&args.folder)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.folder));
    written.map_err(|error| {
        Failure::usage(
            format!("can not write to {}: {error}", args.folder.display()),
            "Name a folder that you may write to.",
        )
    })?;
    output::line(&format!("The man pages are in {}.", args.folder.display()))?;
    Ok(())
}
