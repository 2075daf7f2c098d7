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
    /// If the code is missing and stdin is not a terminal, or if no email contains such a code for
    /// this purpose: the server would count it as a wrong one.
    pub(crate) fn code(
        &self,
        options: &CodeOptions,
        purpose: Purpose,
    ) -> Result<SecretText, Failure> {
        let code = match &options.code {
            Some(code) => code.clone().into(),
            None => secrets::code(&self.runtime)?,
        };
        let code = code.as_str().trim();
        match purpose {
            Purpose::Registration | Purpose::Email if !can_be_digits(code) => Err(Failure::usage(
                "this cannot be a code to verify an email address: expected six digits",
                NO_CODE,
            )),
            Purpose::Reset if !can_be_characters(code) => Err(Failure::usage(
                "this cannot be a code to reset a password: expected ten letters and digits such \
                 as 7KQ4M-2XW9D, without the letter U",
                NO_CODE,
            )),
            _ => Ok(code.to_owned().into()),
        }
    }
}

/// Hint for a text that cannot be a code.
const NO_CODE: &str = "Copy the code from the newest email. No attempt was used up.";

/// Returns the characters of a code in the way in which the server compares codes: without spaces
/// and dashes, in upper case, with O as 0, and I and L as 1.
fn compared(text: &str) -> impl Iterator<Item = char> {
    text.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| match c.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    })
}

/// Returns true for a text that the server reads as six digits.
fn can_be_digits(text: &str) -> bool {
    compared(text).count() == 6 && compared(text).all(|c| c.is_ascii_digit())
}

/// Returns true for a text that the server reads as ten characters of Crockford's Base32.
fn can_be_characters(text: &str) -> bool {
    compared(text).count() == 10 && compared(text).all(|c| c.is_ascii_alphanumeric() && c != 'U')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_that_can_be_a_code_of_the_purpose_is_sent() {
        for code in ["123456", "000000", "123 456", "123-456", "l2345O"] {
            assert!(can_be_digits(code) && !can_be_characters(code), "{code}");
        }
        for code in ["ABCDE12345", "abcde-12345", "abcde 12345", "ZZZZZ-oil00", "0123456789"] {
            assert!(can_be_characters(code) && !can_be_digits(code), "{code}");
        }
        for other in [
            "",
            "abc",
            "12",
            "12345",
            "1234567",
            "12345a",
            "12345\u{661}",
            "ABCDE1234\u{e9}",
            "ABCDE1234U",
            "abcde1234u",
            "ABCDE_1234",
            "1234567890123456789",
        ] {
            assert!(!can_be_digits(other) && !can_be_characters(other), "{other}");
        }
    }
}
