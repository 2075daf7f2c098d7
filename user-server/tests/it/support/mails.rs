//! The folder that mails are written to, read as a person reads it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A folder of .eml files.
pub struct Mails(pub PathBuf);

/// One mail, with its transfer encoding undone.
#[derive(Debug, Clone)]
pub struct Mail {
    pub name: String,
    pub to: String,
    pub subject: String,
    pub body: String,
}

impl Mail {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        Self::parse(path.file_name().unwrap().to_string_lossy().into_owned(), &text)
    }

    /// A mail from its text as it travels.
    pub fn parse(name: String, text: &str) -> Self {
        let header = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap_or_default()
                .trim()
                .to_owned()
        };
        let body = text.replace("=\r\n", "").replace("\r\n", "\n").replace("=3D", "=");
        Self { name, to: header("To:"), subject: header("Subject:"), body }
    }

    /// The line that stands alone with a code on it, in the plain text.
    pub fn code(&self) -> Option<String> {
        self.body
            .lines()
            .find_map(|line| line.strip_prefix("    "))
            .map(|code| code.trim().to_owned())
    }
}

impl Mails {
    /// Every whole mail, oldest first.
    pub fn all(&self) -> Vec<Mail> {
        self.unseen(&mut HashSet::new())
    }

    /// The mails that are not among those seen, oldest first; they are from now on.
    pub fn unseen(&self, seen: &mut HashSet<PathBuf>) -> Vec<Mail> {
        let mut mails: Vec<Mail> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension().is_some_and(|extension| extension == "eml")
                    && seen.insert(path.clone())
            })
            .map(|path| Mail::read(&path))
            .collect();
        mails.sort_by(|a, b| a.name.cmp(&b.name));
        mails
    }

    /// Every mail to this address.
    pub fn to(&self, address: &str) -> Vec<Mail> {
        self.all().into_iter().filter(|mail| mail.to == address).collect()
    }

    /// Waits until there are `count` mails to this address.
    pub async fn wait_for(&self, address: &str, count: usize) -> Vec<Mail> {
        let began = Instant::now();
        loop {
            let mails = self.to(address);
            if mails.len() >= count {
                return mails;
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{} of {count} mails to {address}: {mails:?}",
                mails.len()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The code in the last mail to this address, once there are `count`.
    pub async fn code(&self, address: &str, count: usize) -> String {
        let mails = self.wait_for(address, count).await;
        mails.iter().rev().find_map(Mail::code).expect("a mail with a code")
    }
}
