use clap::Args;
use clap_complete::Shell;

use crate::context::{Context, Needs, Run};
use crate::failure::Failure;
use crate::output;

/// Generate shell completions
#[derive(Args)]
#[command(after_long_help = "\
Examples:
  user-cli completions bash > ~/.local/share/bash-completion/completions/user-cli
  user-cli completions zsh > ~/.zfunc/_user-cli")]
pub(crate) struct Completions {
    /// Shell to generate completions for
    shell: Shell,
}

impl Run for Completions {
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut (context.declaration)(), "user-cli", &mut script);
        output::bytes(&script)?;
        Ok(())
    }
}
