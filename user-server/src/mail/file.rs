//! Mails as .eml files in a folder: the embedded default. On a terminal it shows the code too, and
//! only there.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use tokio::io::AsyncWriteExt;

use super::Sender;
use crate::domain::{Mail, Mailer, SendError};

/// Writes mails to a folder.
pub struct FileMailer {
    folder: PathBuf,
    sender: Sender,
    show_codes: bool,
}

impl FileMailer {
    /// A mailer into `folder`, which has to exist. Codes are shown where standard output is a
    /// terminal.
    #[must_use]
    pub fn new(folder: PathBuf, sender: Sender) -> Self {
        Self { folder, sender, show_codes: std::io::stdout().is_terminal() }
    }

    async fn write(&self, name: &str, bytes: &[u8]) -> std::io::Result<PathBuf> {
        // Under another name until it is whole, so that who watches the folder never reads half a
        // mail.
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
        // A terminal that has gone is no reason to fail the mail.
        let _ = writeln!(
            std::io::stdout(),
            "mail to {}: {} - {code}\n  {}",
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
        // Named by its id, whose first bits are its time: a repeated mail replaces itself, and the
        // folder sorts by age.
        let path = self
            .write(&format!("{}.eml", mail.id), &message)
            .await
            .map_err(|error| SendError::Temporary(format!("{}: {error}", self.folder.display())))?;
        self.show(mail, &path);
        Ok(())
    }
}
