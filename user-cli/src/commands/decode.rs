use clap::Args;

use crate::context::{Context, Needs, Run};
use crate::explain::{self, Direction};
use crate::failure::Failure;
use crate::options::HexBytes;

/// Decode frames offline: show every field, or what is wrong and how the server would respond
#[derive(Args)]
#[command(after_long_help = "\
Exits with code 1 if the server would reject a frame.

Examples:
  user-cli decode 00 00 00 05 7f 00 00 00 01
  user-cli decode 0000000500 00000000 --json
  xxd -p frames.bin | user-cli decode -")]
pub(crate) struct Decode {
    #[command(flatten)]
    bytes: HexBytes,
    /// Direction of the frames; inferred from their types by default
    #[arg(long = "as", value_enum, value_name = "DIRECTION")]
    direction: Option<Direction>,
    /// Show passwords, codes and tokens
    #[arg(long)]
    show_secrets: bool,
}

impl Run for Decode {
    fn needs(&self) -> Needs {
        Needs::Nothing
    }

    fn run(&self, context: &mut Context<'_>) -> Result<(), Failure> {
        let bytes = self.bytes.read()?;
        let mut rejected = false;
        for explained in explain::frames(&bytes, self.direction) {
            rejected |= explained.is_rejected();
            explained.print(context.global.json, self.show_secrets)?;
        }
        if rejected { Err(Failure::Reported) } else { Ok(()) }
    }
}
