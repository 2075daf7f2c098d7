//! Emails as .eml files in a directory, the default. Codes are also printed if standard output is a
//! terminal, and only then.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;

use super::Sender;
use crate::domain::{Mail, Mailer, SendError};

/// Mailer that writes emails to a directory.
pub struct FileMailer {
    folder: PathBuf,
    sender: Sender,
    show_codes: bool,
}

impl FileMailer {
    /// Returns a mailer that writes to `folder`, which must exist, and prints codes if standard
    /// output is a terminal.
    #[must_use]
    pub fn new(folder: PathBuf, sender: Sender) -> Self {
        Self { folder, sender, show_codes: std::io::stdout().is_terminal() }
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<PathBuf> {
        // Renamed when it is complete, so that a process that watches the directory never reads a
        // partial email.
        let part = self.folder.join(format!(".{name}.part"));
        let path = self.folder.join(name);
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&part).await?;
        file.write_all(bytes).await?;
        file.sync_all().await?;
        tokio::fs::rename(&part, &path).await?;
        Ok(path)
    }

    fn show(&self, mail: &Mail, path: &Path) {
        let Some(code) = mail.code.as_deref().filter(|_| self.show_codes) else { return };
        // If the terminal is gone, the email was written nevertheless.
        let _ = writeln!(
            std::io::stdout(),
            "email to {}: {} - {code}\n  {}",
            mail.to,
            mail.subject,
            path.display()
        );
    }
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = self.sender.message(mail)?.formatted();
        // Named by its id, which begins with its time: a repeated email replaces its file, and the
        // files sort by age.
        let path = self
            .write(&format!("{}.eml", mail.id), &message)
            .await
            .map_err(|error| SendError::Service(format!("{}: {error}", self.folder.display())))?;
        self.show(mail, &path);
        Ok(())
    }
}
