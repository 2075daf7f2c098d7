//! Mail by SMTP (RFC 5321) to one server, which takes it from there. Passwords go over TLS only.
//!
//! A connection carries one mail: whatever ends a dialogue early, no other mail can meet what is
//! left of it.

mod dialogue;
mod plain;
mod trouble;

use std::net::IpAddr;

use async_trait::async_trait;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::Sender;
use crate::domain::{Mail, Mailer, SendError};

pub use dialogue::SmtpTimeouts;

/// The server that mails are handed to, and how.
#[derive(Clone)]
pub struct SmtpServer {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
}

#[derive(Clone)]
enum Encryption {
    Implicit(TlsParameters),
    StartTls(TlsParameters),
    None,
}

/// How the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS from the first byte.
    Implicit,
    /// TLS after the greeting, and nothing is sent without it.
    StartTls,
    /// Never.
    None,
}

/// The certificate authorities that a server's certificate may come from, instead of the public
/// ones.
#[derive(Clone)]
pub struct Authorities(Certificate);

impl Authorities {
    /// Reads certificates in PEM.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        // The parser skips what is none, to the point of giving no certificate at all.
        if !String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err("it holds no certificate in PEM".to_owned());
        }
        Certificate::from_pem(pem).map(Self).map_err(|error| error.to_string())
    }
}

impl SmtpServer {
    /// A server by its name or address, without a login.
    ///
    /// # Errors
    /// What is wrong with the authorities.
    pub fn new(
        host: &str,
        port: u16,
        mode: TlsMode,
        authorities: Option<&Authorities>,
    ) -> Result<Self, String> {
        let tls = || {
            let builder = TlsParameters::builder(host.to_owned());
            let builder = match authorities {
                Some(Authorities(own)) => builder
                    .certificate_store(CertificateStore::None)
                    .add_root_certificate(own.clone()),
                None => builder.certificate_store(CertificateStore::WebpkiRoots),
            };
            builder.build().map_err(|error| error.to_string())
        };
        let encryption = match mode {
            TlsMode::Implicit => Encryption::Implicit(tls()?),
            TlsMode::StartTls => Encryption::StartTls(tls()?),
            TlsMode::None => Encryption::None,
        };
        Ok(Self { host: host.to_owned(), port, encryption, credentials: None })
    }

    /// The same with a login.
    #[must_use]
    pub fn with_login(self, user: String, password: String) -> Self {
        Self { credentials: Some(Credentials::new(user, password)), ..self }
    }

    /// Whether this can be the name or the address of a server.
    #[must_use]
    pub fn is_host(text: &str) -> bool {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        text.parse::<IpAddr>().is_ok() || (text.len() <= 253 && text.split('.').all(is_label))
    }

    /// Whether this host is this machine, to which a connection crosses no network.
    #[must_use]
    pub fn is_loopback(host: &str) -> bool {
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

impl std::fmt::Display for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, how) = match self.encryption {
            Encryption::Implicit(_) => ("smtps", "TLS"),
            Encryption::StartTls(_) => ("smtp", "STARTTLS"),
            Encryption::None => ("smtp", "no TLS"),
        };
        let login = if self.credentials.is_some() { ", with a login" } else { "" };
        match self.host.parse() {
            Ok(IpAddr::V6(host)) => write!(f, "{scheme}://[{host}]:{} ({how}{login})", self.port),
            _ => write!(f, "{scheme}://{}:{} ({how}{login})", self.host, self.port),
        }
    }
}

impl std::fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpServer({self})")
    }
}

/// Sends mails to a server.
pub struct SmtpMailer {
    server: SmtpServer,
    sender: Sender,
    hello: ClientId,
    patience: SmtpTimeouts,
}

impl SmtpMailer {
    /// A mailer that connects when there is a mail, so that the server may be down now.
    #[must_use]
    pub fn new(server: SmtpServer, sender: Sender) -> Self {
        Self { server, sender, hello: ClientId::default(), patience: SmtpTimeouts::default() }
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(self, patience: SmtpTimeouts) -> Self {
        Self { patience, ..self }
    }

    /// Whether the server would take a mail now: connects, encrypts and logs in, and sends none.
    ///
    /// # Errors
    /// What stands in the way.
    pub async fn probe(&self) -> Result<(), SendError> {
        tokio::time::timeout(self.patience.total, self.greet())
            .await
            .unwrap_or_else(|_| Err(trouble::too_slow(&self.server, self.patience.total)))
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = self.sender.message(mail)?;
        tokio::time::timeout(self.patience.total, self.deliver(&message))
            .await
            .unwrap_or_else(|_| Err(trouble::too_slow(&self.server, self.patience.total)))
    }
}
