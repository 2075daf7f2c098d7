//! Emailed codes: the options of the commands that take one, and the verification that a code
//! belongs to.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use uuid::Uuid;

use crate::context::Context;
use crate::failure::Failure;
use crate::options::parse_uuid;
use crate::secrets::{self, SecretText};
use crate::state::Purpose;

/// Options of the commands that take an emailed code.
#[derive(Args)]
pub(crate) struct CodeOptions {
    /// Code from the email; prompted for if missing
    #[arg(long, value_parser = NonEmptyStringValueParser::new())]
    code: Option<String>,
    /// Verification that the code belongs to, instead of the most recent one
    #[arg(long, value_name = "ID", value_parser = parse_uuid)]
    pub(crate) verification_id: Option<Uuid>,
}

impl Context<'_> {
    /// Returns `given`, or else the id of the most recent verification that is waiting for a code
    /// of this purpose (of any purpose if `None`).
    ///
    /// # Errors
    /// If none is waiting. The hint names `starting_command`, the command that sends such a code.
    pub(crate) fn verification_id(
        &self,
        given: Option<Uuid>,
        purpose: Option<Purpose>,
        starting_command: &str,
    ) -> Result<Uuid, Failure> {
        given.or_else(|| self.state.pending_code(purpose)).ok_or_else(|| {
            Failure::usage(
                format!("no code is pending for {}", self.endpoint),
                format!(
                    "Start with `user-cli {starting_command}`, or pass the verification with \
                     --verification-id."
                ),
            )
        })
    }

    /// Returns the code from the options, or prompts for it.
    ///
    /// # Errors
    /// If the code is missing and stdin is not a terminal.
    pub(crate) fn code(&self, options: &CodeOptions) -> Result<SecretText, Failure> {
        match &options.code {
            Some(code) => Ok(code.clone().into()),
            None => secrets::code(&self.runtime),
        }
    }
}
