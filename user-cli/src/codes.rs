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

    /// Returns the code from the options, or prompts for it, without white space around it.
    ///
    /// # Errors
    /// If the code is missing and stdin is not a terminal, or if no email contains such a code: the
    /// server would count it as a wrong one.
    pub(crate) fn code(&self, options: &CodeOptions) -> Result<SecretText, Failure> {
        let code = match &options.code {
            Some(code) => code.clone().into(),
            None => secrets::code(&self.runtime)?,
        };
        let code = code.as_str().trim();
        if !can_be_code(code) {
            return Err(Failure::usage(
                "this cannot be a code: expected six digits, or ten letters and digits to reset a \
                 password",
                "Copy the code from the newest email. No attempt was used up.",
            ));
        }
        Ok(code.to_owned().into())
    }
}

/// Returns true for six digits, and for ten letters and digits, which may be in groups.
fn can_be_code(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ' ');
    let digits = text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let letters = text.chars().filter(char::is_ascii_alphanumeric).count();
    digits || (letters == 10 && text.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_can_be_a_code_is_sent() {
        for code in ["123456", "000000", "ABCDE12345", "abcde-12345", "abcde 12345"] {
            assert!(can_be_code(code), "{code}");
        }
        for other in ["", "abc", "12", "12345", "1234567", "12345a", "123 456", "ABCDE1234\u{e9}"] {
            assert!(!can_be_code(other), "{other}");
        }
        assert!(!can_be_code("1234567890123456789"));
    }
}
