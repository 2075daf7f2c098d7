//! Settings from a file, as `NAME=VALUE` lines, for `--env-file`. The environment takes precedence.

use std::path::Path;

use super::sources;

/// A file of settings that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EnvFileError {
    message: String,
    /// One or more complete sentences that say what to do.
    pub hint: &'static str,
}

/// The settings of a file.
#[derive(Default)]
pub struct EnvFile {
    settings: Vec<(String, String)>,
    warning: Option<String>,
}

impl EnvFile {
    /// Reads a file. Empty lines and lines that begin with `#` are skipped, and so is the word
    /// `export` before a name; a value may be in single or double quotes, and is not expanded.
    ///
    /// # Errors
    /// If the file cannot be read, or a line has another form. No value is part of the error.
    pub fn read(path: &Path) -> Result<Self, EnvFileError> {
        let shown = path.display();
        let text = std::fs::read_to_string(path).map_err(|error| EnvFileError {
            message: format!("{shown}: {error}"),
            hint: "Pass a text file that the service can read with --env-file.",
        })?;
        let mut settings: Vec<(String, String)> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let at = |problem: &str, hint| EnvFileError {
                message: format!("{shown}, line {}: {problem}", index + 1),
                hint,
            };
            let form = "A line is NAME=VALUE, an empty line, or begins with #.";
            let (name, value) =
                line.split_once('=').ok_or_else(|| at("expected NAME=VALUE", form))?;
            let name = name.trim();
            let name = match name.split_once(char::is_whitespace) {
                Some(("export", name)) => name.trim_start(),
                _ => name,
            };
            let valid = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !valid {
                return Err(at("expected NAME=VALUE, with a name of letters, digits and _", form));
            }
            if settings.iter().any(|(other, _)| other == name) {
                return Err(at(&format!("{name} is set twice"), "Keep one of the lines."));
            }
            let value = unquoted(value.trim()).ok_or_else(|| {
                at(
                    "a quotation mark is missing",
                    "Put the same quotation mark before and behind the value, or none.",
                )
            })?;
            settings.push((name.to_owned(), value.to_owned()));
        }
        Ok(Self { settings, warning: sources::permission_warning(path) })
    }

    /// Returns the value of a setting.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<String> {
        self.settings.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    /// Returns the names in the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.settings.iter().map(|(name, _)| name.as_str())
    }

    /// Returns a warning if every user can read a file that contains a secret.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let has_secret = self.names().any(|name| {
            super::VARIABLES.iter().any(|variable| variable.secret && variable.name == name)
        });
        self.warning.clone().filter(|_| has_secret)
    }
}

fn unquoted(value: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(rest) = value.strip_prefix(quote) {
            // The quotation mark that begins the value does not end it too.
            return rest.strip_suffix(quote);
        }
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<EnvFile, EnvFileError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        EnvFile::read(file.path())
    }

    #[test]
    fn lines_are_names_with_values() {
        let file = read(
            "# settings\n\nTCP_PORT=0\nexport LOG = debug\nexport\tGRACE=7\nMAIL_FROM=\"Ada <a@b.example>\"\n\
             JWT_ISSUER='a b'\nJWT_AUDIENCE=a=b#c\r\n",
        )
        .unwrap();
        let value = |name| file.value(name).unwrap_or_default();
        assert_eq!((value("TCP_PORT"), value("LOG")), ("0".into(), "debug".into()));
        assert_eq!(value("GRACE"), "7");
        assert_eq!(value("MAIL_FROM"), "Ada <a@b.example>");
        assert_eq!((value("JWT_ISSUER"), value("JWT_AUDIENCE")), ("a b".into(), "a=b#c".into()));
        assert_eq!(file.value("REDIS_URL"), None);
    }

    #[test]
    fn an_error_names_the_line_and_no_value() {
        for (text, problem, hint) in [
            ("A=1\nJWTSECRETKEY geheim", "line 2: expected NAME=VALUE", "A line is"),
            ("A B=geheim", "with a name of letters", "A line is"),
            ("=geheim", "with a name of letters", "A line is"),
            ("A=\"geheim", "a quotation mark is missing", "quotation mark"),
            ("A=geheim\nA=geheim", "line 2: A is set twice", "Keep one"),
        ] {
            let error = read(text).err().unwrap();
            assert!(error.hint.contains(hint), "{text}: {}", error.hint);
            let error = error.to_string();
            assert!(error.contains(problem) && !error.contains("geheim"), "{error}");
        }
    }
}
