//! Email by SMTP (RFC 5321) to one relay. Passwords are sent over TLS only.
//!
//! Each connection carries one email, so a delivery that ends early cannot affect another.

mod delivery;
mod failure;
mod plaintext;

use std::net::IpAddr;

use async_trait::async_trait;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;

use super::Sender;
use crate::domain::{Mail, Mailer, SendError};

pub use delivery::SmtpTimeouts;

/// The mail server that emails are delivered to, with its encryption and credentials.
#[derive(Clone)]
pub struct SmtpServer {
    host: String,
    port: u16,
    encryption: Encryption,
    credentials: Option<Credentials>,
    /// Name that the client sends in EHLO and HELO; `None` uses the name of this machine, or the
    /// domain of the sender.
    helo: Option<ClientId>,
}

#[derive(Clone)]
enum Encryption {
    Implicit(TlsParameters),
    StartTls(TlsParameters),
    None,
}

/// Encryption of the connection to a mail server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// TLS from the first byte (implicit TLS).
    Implicit,
    /// TLS by STARTTLS, required before anything is sent.
    StartTls,
    /// No TLS, for a server on this machine only.
    None,
}

/// Certificate authorities of an SMTP server, trusted instead of the public ones.
#[derive(Clone)]
pub struct SmtpAuthorities(Certificate);

impl SmtpAuthorities {
    /// Parses certificates in PEM.
    ///
    /// # Errors
    /// Returns the reason if they are not valid.
    pub fn parse(pem: &[u8]) -> Result<Self, String> {
        // The parser skips everything else, and would accept a text without any certificate.
        if !String::from_utf8_lossy(pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err("contains no certificate in PEM".to_owned());
        }
        Certificate::from_pem(pem).map(Self).map_err(|error| error.to_string())
    }
}

impl SmtpServer {
    /// Creates a server with this host name or address, without a login.
    ///
    /// # Errors
    /// Returns the reason if the authorities cannot be used.
    pub fn new(
        host: &str,
        port: u16,
        mode: TlsMode,
        authorities: Option<&SmtpAuthorities>,
    ) -> Result<Self, String> {
        let tls = || {
            let builder = TlsParameters::builder(host.to_owned());
            let builder = match authorities {
                Some(SmtpAuthorities(own)) => builder
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
        Ok(Self { host: host.to_owned(), port, encryption, credentials: None, helo: None })
    }

    /// Returns the server with a user name and a password to log in with.
    #[must_use]
    pub fn with_login(self, user: String, password: String) -> Self {
        Self { credentials: Some(Credentials::new(user, password)), ..self }
    }

    /// Returns the server with the name that the client sends in EHLO and HELO: a host name with a
    /// domain, or an IP address. Returns `None` if the name is neither.
    #[must_use]
    pub fn with_helo(self, name: &str) -> Option<Self> {
        let helo = match name.parse() {
            Ok(IpAddr::V4(address)) => ClientId::Ipv4(address),
            Ok(IpAddr::V6(address)) => ClientId::Ipv6(address),
            Err(_) if is_fully_qualified(name) => ClientId::Domain(name.to_owned()),
            Err(_) => return None,
        };
        Some(Self { helo: Some(helo), ..self })
    }

    /// Returns true if a text is a valid host name or IP address.
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

    /// Returns true if a host is this machine, so that a connection to it does not cross a network.
    #[must_use]
    pub fn is_loopback(host: &str) -> bool {
        host.eq_ignore_ascii_case("localhost")
            || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
    }
}

/// Returns true if a name is a host name with a domain, as EHLO requires.
fn is_fully_qualified(name: &str) -> bool {
    name.contains('.') && SmtpServer::is_host(name)
}

impl std::fmt::Display for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (scheme, encryption) = match self.encryption {
            Encryption::Implicit(_) => ("smtps", "TLS"),
            Encryption::StartTls(_) => ("smtp", "STARTTLS"),
            Encryption::None => ("smtp", "no TLS"),
        };
        let login = if self.credentials.is_some() { ", with a login" } else { "" };
        match self.host.parse() {
            Ok(IpAddr::V6(host)) => {
                write!(f, "{scheme}://[{host}]:{} ({encryption}{login})", self.port)
            }
            _ => write!(f, "{scheme}://{}:{} ({encryption}{login})", self.host, self.port),
        }
    }
}

impl std::fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SmtpServer({self})")
    }
}

/// Mailer that sends emails to a mail server.
pub struct SmtpMailer {
    server: SmtpServer,
    sender: Sender,
    hello: ClientId,
    timeouts: SmtpTimeouts,
}

impl SmtpMailer {
    /// Returns a mailer, which connects only when there is an email to send.
    #[must_use]
    pub fn new(server: SmtpServer, sender: Sender) -> Self {
        // The library reads the host name of this machine.
        let hello = server.helo.clone().unwrap_or_else(|| match ClientId::default() {
            ClientId::Domain(name) if is_fully_qualified(&name) => ClientId::Domain(name),
            _ => ClientId::Domain(sender.address().domain().to_owned()),
        });
        Self { server, sender, hello, timeouts: SmtpTimeouts::default() }
    }

    /// Returns the mailer with other timeouts.
    #[must_use]
    pub fn with_timeouts(self, timeouts: SmtpTimeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// Checks that emails can be sent: connects to the mail server, encrypts, logs in, and states
    /// the sender and a recipient, but sends no email.
    ///
    /// # Errors
    /// Returns the failure, as for an email.
    pub async fn probe(&self) -> Result<(), SendError> {
        tokio::time::timeout(self.timeouts.total, self.rehearse())
            .await
            .unwrap_or_else(|_| Err(failure::timed_out(&self.server, self.timeouts.total)))
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), SendError> {
        let message = self.sender.message(mail)?;
        tokio::time::timeout(self.timeouts.total, self.deliver(&message))
            .await
            .unwrap_or_else(|_| Err(failure::timed_out(&self.server, self.timeouts.total)))
    }
}
