//! Codes from the .eml files that a server writes for whoever tries it.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::failure::Failure;

/// How long a mail may take.
const PATIENCE: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(20);

pub(super) struct Mails {
    folder: PathBuf,
    seen: HashSet<OsString>,
    codes: HashMap<String, String>,
}

impl Mails {
    /// What comes into `folder` from now on.
    pub(super) fn of(folder: PathBuf) -> Result<Self, Failure> {
        let mut mails = Self { folder, seen: HashSet::new(), codes: HashMap::new() };
        mails.look(|_| None)?;
        Ok(mails)
    }

    /// The code that was mailed to this address.
    pub(super) async fn code(&mut self, address: &str) -> Result<String, Failure> {
        let began = Instant::now();
        loop {
            if let Some(code) = self.codes.remove(address) {
                return Ok(code);
            }
            if began.elapsed() > PATIENCE {
                return Err(Failure::usage(
                    format!("no code for {address} came into {}", self.folder.display()),
                    "Name the server's MAIL_DIR with --mail-dir; a server that sends by SMTP writes no files.",
                ));
            }
            self.look(|path| std::fs::read_to_string(path).ok())?;
            tokio::time::sleep(GLANCE).await;
        }
    }

    fn look(&mut self, read: impl Fn(&PathBuf) -> Option<String>) -> Result<(), Failure> {
        let unreadable = |error| {
            let what = format!("can not read {}: {error}", self.folder.display());
            Failure::usage(
                what,
                "Name the folder that the server writes its mails to with --mail-dir.",
            )
        };
        for entry in std::fs::read_dir(&self.folder).map_err(unreadable)?.flatten() {
            let name = entry.file_name();
            if !name.to_string_lossy().ends_with(".eml") || !self.seen.insert(name) {
                continue;
            }
            if let Some((address, code)) = read(&entry.path()).as_deref().and_then(code_of) {
                self.codes.insert(address, code);
            }
        }
        Ok(())
    }
}

/// Whom a mail is for, and the code that stands alone on a line of it.
fn code_of(mail: &str) -> Option<(String, String)> {
    let address = mail.lines().find_map(|line| line.strip_prefix("To:"))?.trim().to_owned();
    let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|byte| byte.is_ascii_digit());
    let code = mail.lines().map(str::trim).find(is_code)?.to_owned();
    Some((address, code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_stands_alone() {
        let mail = "From: a@b.c\r\nTo: kim@example.com\r\n\r\nHello kim,\r\n\r\n    123456\r\n";
        assert_eq!(code_of(mail), Some(("kim@example.com".to_owned(), "123456".to_owned())));
        assert_eq!(code_of("To: kim@example.com\r\n\r\nabc"), None);
    }
}
