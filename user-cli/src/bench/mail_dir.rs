//! Reads codes from the .eml files that a server without SMTP writes.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// Maximum time to wait for the email with a code.
const TIMEOUT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The server's mail directory (`MAIL_DIR`). Emails that it contained when it was opened are
/// ignored.
pub(crate) struct MailDir {
    directory: PathBuf,
    seen: HashSet<OsString>,
    /// Codes that have arrived and were not yet requested, by email address.
    codes: HashMap<String, String>,
}

impl MailDir {
    /// Opens the directory and marks the emails in it as seen.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub(crate) fn open(directory: PathBuf) -> Result<Self, Failure> {
        let mut mail_dir = Self { directory, seen: HashSet::new(), codes: HashMap::new() };
        mail_dir.scan(|_| None)?;
        Ok(mail_dir)
    }

    /// Waits for the code that is sent to `address`.
    ///
    /// # Errors
    /// If the code does not arrive in time.
    pub(crate) async fn code(&mut self, address: &str) -> Result<String, Failure> {
        let start = Instant::now();
        loop {
            if let Some(code) = self.codes.remove(address) {
                return Ok(code);
            }
            if start.elapsed() > TIMEOUT {
                return Err(Failure::usage(
                    format!("no code for {address} arrived in {}", self.directory.display()),
                    "Pass the server's MAIL_DIR with --mail-dir; a server that sends by SMTP \
                     writes no files.",
                ));
            }
            self.scan(|path| std::fs::read_to_string(path).ok())?;
            tokio::time::sleep(POLL_INTERVAL).await;
        }
    }

    /// Collects the codes of the emails that are not marked as seen, and marks them. `read` returns
    /// the text of an email.
    fn scan(&mut self, read: impl Fn(&PathBuf) -> Option<String>) -> Result<(), Failure> {
        let unreadable = |error| {
            Failure::usage(
                format!("cannot read {}: {error}", self.directory.display()),
                "Pass the directory that the server writes its emails to with --mail-dir.",
            )
        };
        for entry in std::fs::read_dir(&self.directory).map_err(unreadable)?.flatten() {
            let name = entry.file_name();
            if !name.to_string_lossy().ends_with(".eml") || !self.seen.insert(name) {
                continue;
            }
            if let Some((address, code)) = read(&entry.path()).as_deref().and_then(parse) {
                self.codes.insert(address, code);
            }
        }
        Ok(())
    }
}

/// Returns the recipient of an email and its code, which is on a line by itself.
fn parse(email: &str) -> Option<(String, String)> {
    let address = email.lines().find_map(|line| line.strip_prefix("To:"))?.trim().to_owned();
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = email.lines().map(str::trim).find(is_code)?.to_owned();
    Some((address, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_on_a_line_by_itself() {
        let email = "From: a@b.c\r\nTo: kim@example.com\r\n\r\nHello kim,\r\n\r\n    123456\r\n";
        assert_eq!(parse(email), Some(("kim@example.com".to_owned(), "123456".to_owned())));
        assert_eq!(parse("To: kim@example.com\r\n\r\nabc"), None);
    }
}
