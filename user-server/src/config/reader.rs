//! The reader of the environment variables, which collects the errors of all of them.

use std::net::SocketAddr;

use zeroize::Zeroizing;

use super::error::{ConfigError, ConfigErrors};
use super::sources::{self, SecretText};
use super::vars::VARIABLES;
use crate::keys::MIN_SECRET;

fn is_secret(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.secret && variable.name == name)
}

/// Reads variables, and collects errors and warnings.
pub(super) struct Reader<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<ConfigError>,
    warnings: Vec<String>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { variable, errors: Vec::new(), warnings: Vec::new() }
    }

    /// Adds a warning, unless it was added before.
    pub(super) fn warn(&mut self, warning: Option<String>) {
        self.warnings.extend(warning.filter(|warning| !self.warnings.contains(warning)));
    }

    /// Takes the warnings that were collected so far.
    pub(super) fn take_warnings(&mut self) -> Vec<String> {
        std::mem::take(&mut self.warnings)
    }

    /// Returns all errors that were collected, if there are any.
    pub(super) fn finish(self) -> Result<(), ConfigErrors> {
        if self.errors.is_empty() { Ok(()) } else { Err(ConfigErrors(self.errors)) }
    }

    /// Adds an error. The message contains the name of the variable.
    pub(super) fn error(
        &mut self,
        variable: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let error = ConfigError { variable, message: message.into(), hint: hint.into() };
        // A variable that is read twice is reported once.
        if !self.errors.contains(&error) {
            self.errors.push(error);
        }
    }

    /// Adds an error about the value of a variable. The value is not shown if it is a secret.
    pub(super) fn invalid(
        &mut self,
        name: &'static str,
        value: &str,
        reason: &str,
        hint: impl Into<String>,
    ) {
        let message = if is_secret(name) {
            format!("invalid value for {name}: {reason}")
        } else {
            format!("invalid value \"{value}\" for {name}: {reason}")
        };
        self.error(name, message, hint);
    }

    /// Adds an error if a variable is set that has no effect because `required` is not set.
    pub(super) fn reject_without(&mut self, name: &'static str, required: &str) {
        if self.is_given(name) {
            self.error(
                name,
                format!("{name} has no effect without {required}"),
                format!("Set {required}, or unset {name}."),
            );
        }
    }

    /// Returns the value of a variable, or `None` if it is empty or not set. Bytes that are not
    /// UTF-8 arrive as replacement characters, and are an error: a secret made of them would not be
    /// the one that was meant.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<String> {
        if is_secret(name) {
            return self.secret_text(name);
        }
        let value = sources::non_empty(self.variable, name)?;
        self.check_utf8(name, value)
    }

    /// Returns true if a variable has a value, even an invalid one.
    pub(super) fn is_given(&self, name: &'static str) -> bool {
        match is_secret(name) {
            true => !sources::find(self.variable, name).is_empty(),
            false => sources::non_empty(self.variable, name).is_some(),
        }
    }

    /// Returns the source of a secret for messages, or `None` if it is not set.
    pub(super) fn source(&self, name: &'static str) -> Option<String> {
        sources::find(self.variable, name).first().map(ToString::to_string)
    }

    /// Returns the text of a secret. Adds an error if it is set in several ways or cannot be read.
    /// Returns `None` in that case, and if it is not set.
    fn secret_text(&mut self, name: &'static str) -> Option<String> {
        let mut given = sources::find(self.variable, name);
        if given.len() > 1 {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            self.error(
                name,
                format!("{name} is set more than once: {}", given.join(" and ")),
                "Keep one of them.",
            );
            return None;
        }
        let source = given.pop()?;
        let description = source.to_string();
        match source.read() {
            Ok(SecretText { value, warning }) => {
                self.warn(warning);
                self.check_utf8(name, value)
            }
            Err(error) => {
                let message = format!("cannot read {name} from {description}: {error}");
                self.error(name, message, sources::HINT);
                None
            }
        }
    }

    fn check_utf8(&mut self, name: &'static str, value: String) -> Option<String> {
        if value.contains(char::REPLACEMENT_CHARACTER) {
            self.invalid(
                name,
                &value,
                "expected UTF-8",
                format!("Set {name} to text. A binary secret can be encoded as base64."),
            );
            return None;
        }
        Some(value)
    }

    pub(super) fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// Parses the value of a variable, or else its default. If that fails, adds an error that
    /// contains the `expected` form and the error of `parse`, and returns `None`.
    pub(super) fn parsed<T>(
        &mut self,
        name: &'static str,
        default: &str,
        expected: &str,
        hint: Option<&str>,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(name, default);
        match parse(&text) {
            Ok(value) => Some(value),
            Err(error) => {
                let reason = format!("expected {expected} ({error})");
                let hint = hint.map_or_else(|| default_hint(name, default), ToOwned::to_owned);
                self.invalid(name, &text, &reason, hint);
                None
            }
        }
    }

    /// Parses an address with a port. Returns `None` if the variable is not set or invalid.
    pub(super) fn address(&mut self, name: &'static str) -> Option<SocketAddr> {
        let text = self.optional(name)?;
        let parsed = text.parse();
        if parsed.is_err() {
            let hint = format!("Set {name} to an address such as 127.0.0.1:9464 or [::1]:9464.");
            self.invalid(name, &text, "expected an IP address and a port", hint);
        }
        parsed.ok()
    }

    /// Parses an integer from `min` to `max`. Returns `default` if the variable is not set or
    /// invalid.
    pub(super) fn number(&mut self, name: &'static str, default: u64, min: u64, max: u64) -> u64 {
        let Some(text) = self.optional(name) else { return default };
        match text.trim().parse() {
            Ok(number) if (min..=max).contains(&number) => number,
            _ => {
                let expected = format!("expected an integer from {min} to {max}");
                self.invalid(name, &text, &expected, default_hint(name, &default.to_string()));
                default
            }
        }
    }

    /// Parses a boolean. Returns false if the variable is not set.
    pub(super) fn switch(&mut self, name: &'static str) -> bool {
        matches!(self.choice(name, &["", "0", "false", "1", "true"]), 3 | 4)
    }

    /// Returns the index in `choices` of the variable's value, or 0 if it is not set or invalid.
    pub(super) fn choice(&mut self, name: &'static str, choices: &[&str]) -> usize {
        let Some(text) = self.optional(name) else { return 0 };
        choices.iter().position(|choice| *choice == text).unwrap_or_else(|| {
            let named: Vec<&str> =
                choices.iter().copied().filter(|choice| !choice.is_empty()).collect();
            let expected = format!("expected one of {}", named.join(", "));
            let default = choices.first().copied().unwrap_or_default();
            self.invalid(name, &text, &expected, default_hint(name, default));
            0
        })
    }

    pub(super) fn secret(&mut self, name: &'static str) -> Option<Zeroizing<Vec<u8>>> {
        let secret = Zeroizing::new(self.optional(name)?.into_bytes());
        self.check_secret(name, &secret);
        Some(secret)
    }

    /// Returns the secrets in the value of a variable, separated by commas or line breaks.
    pub(super) fn secrets(&mut self, name: &'static str) -> Vec<Zeroizing<Vec<u8>>> {
        let Some(list) = self.optional(name).map(Zeroizing::new) else { return Vec::new() };
        let secrets: Vec<_> = list
            .split([',', '\n'])
            .map(|item| Zeroizing::new(item.trim().as_bytes().to_vec()))
            .collect();
        for secret in &secrets {
            self.check_secret(name, secret);
        }
        secrets
    }

    fn check_secret(&mut self, name: &'static str, secret: &[u8]) {
        if secret.len() < MIN_SECRET {
            let reason = format!("expected at least {MIN_SECRET} bytes, got {}", secret.len());
            let hint = "To generate a secret, run: user-server keys new";
            self.invalid(name, "", &reason, hint);
        }
    }
}

fn default_hint(name: &str, default: &str) -> String {
    if default.is_empty() {
        format!("Correct the value, or unset {name}.")
    } else {
        format!("Correct the value, or unset {name} to use the default ({default}).")
    }
}
