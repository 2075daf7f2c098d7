//! The folder that the server writes emails to, and the emails as a user reads them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A folder of .eml files.
pub struct EmailFolder(pub PathBuf);

/// An email with decoded transfer encoding.
#[derive(Debug, Clone)]
pub struct ReceivedEmail {
    pub name: String,
    pub to: String,
    pub subject: String,
    pub body: String,
}

impl ReceivedEmail {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        Self::parse(path.file_name().unwrap().to_string_lossy().into_owned(), &text)
    }

    /// Parses an email.
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

    /// Returns the code, which has a line to itself in the plain text.
    pub fn code(&self) -> Option<String> {
        self.body
            .lines()
            .find_map(|line| line.strip_prefix("    "))
            .map(|code| code.trim().to_owned())
    }
}

impl EmailFolder {
    /// Returns the complete emails, oldest first.
    pub fn all(&self) -> Vec<ReceivedEmail> {
        self.unseen(&mut HashSet::new())
    }

    /// Returns the emails that are not in `seen`, oldest first, and adds them to it.
    pub fn unseen(&self, seen: &mut HashSet<PathBuf>) -> Vec<ReceivedEmail> {
        let mut emails: Vec<ReceivedEmail> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| {
                path.extension().is_some_and(|extension| extension == "eml")
                    && seen.insert(path.clone())
            })
            .map(|path| ReceivedEmail::read(&path))
            .collect();
        emails.sort_by(|a, b| a.name.cmp(&b.name));
        emails
    }

    /// Returns the emails to this address.
    pub fn to(&self, address: &str) -> Vec<ReceivedEmail> {
        self.all().into_iter().filter(|email| email.to == address).collect()
    }

    /// Waits until there are `count` emails to this address.
    pub async fn wait_for(&self, address: &str, count: usize) -> Vec<ReceivedEmail> {
        let began = Instant::now();
        loop {
            let emails = self.to(address);
            if emails.len() >= count {
                return emails;
            }
            assert!(
                began.elapsed() < Duration::from_secs(20),
                "{} of {count} emails to {address}: {emails:?}",
                emails.len()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until there are `count` emails to this address, and returns the last code in them.
    pub async fn code(&self, address: &str, count: usize) -> String {
        let emails = self.wait_for(address, count).await;
        emails.iter().rev().find_map(ReceivedEmail::code).expect("an email with a code")
    }
}
