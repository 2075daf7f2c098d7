//! The dialogue with the server: one mail, step by step, each within its time.

use std::future::Future;
use std::time::Duration;

use lettre::Message;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use tokio::net::TcpStream;

use super::plain::PlainStream;
use super::trouble::{Cause, Step, Trouble};
use super::{Encryption, SmtpMailer};
use crate::domain::SendError;

/// How long the server may take.
#[derive(Debug, Clone, Copy)]
pub struct SmtpTimeouts {
    /// For one answer, or for a connection.
    pub step: Duration,
    /// To take the whole mail, which it may look at before it answers.
    pub message: Duration,
    /// For everything together.
    pub total: Duration,
}

impl Default for SmtpTimeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        // Less in all than the outbox waits, so that what took too long can be named.
        Self { step: seconds(10), message: seconds(20), total: seconds(28) }
    }
}

/// For the answer to a farewell, when the mail is decided on.
const FAREWELL: Duration = Duration::from_secs(1);

impl SmtpMailer {
    pub(super) async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let told = |trouble: Trouble| trouble.tell(&self.server);
        let mut connection = self.connect().await.map_err(told)?;
        let outcome = self.hand_over(&mut connection, message).await;
        let listening = outcome.as_ref().err().is_none_or(Trouble::is_reply);
        if listening {
            // The mail is taken or refused already, whatever comes of this.
            let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
        }
        outcome.map_err(told)
    }

    /// A connection that a mail may go over: encrypted, unless it never leaves this machine.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Trouble> {
        let server = (self.server.host.as_str(), self.server.port);
        let hello = &self.hello;
        // A host can have an address that does not answer before one that does.
        let each = self.patience.step * 2 / 5;
        match &self.server.encryption {
            Encryption::Implicit(tls) => {
                let connect = AsyncSmtpConnection::connect_tokio1(
                    server,
                    Some(each),
                    hello,
                    Some(tls.clone()),
                    None,
                );
                self.step(Step::Connect, connect).await
            }
            Encryption::StartTls(tls) => {
                let mut connection = self.step(Step::Connect, self.connect_plain(each)).await?;
                if !connection.can_starttls() {
                    return Err(Step::StartTls.failed(Cause::NotOffered));
                }
                self.step(Step::StartTls, connection.starttls(tls.clone(), hello)).await?;
                Ok(connection)
            }
            Encryption::None => self.step(Step::Connect, self.connect_plain(each)).await,
        }
    }

    async fn connect_plain(&self, each: Duration) -> Result<AsyncSmtpConnection, Cause> {
        let mut last = None;
        for address in
            tokio::net::lookup_host((self.server.host.as_str(), self.server.port)).await?
        {
            // A name can come to mean another machine.
            if matches!(self.server.encryption, Encryption::None)
                && !address.ip().to_canonical().is_loopback()
            {
                last = Some(Cause::NotLoopback);
                continue;
            }
            match tokio::time::timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tcp.set_nodelay(true)?;
                    let stream = Box::new(PlainStream::new(tcp));
                    return Ok(
                        AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?
                    );
                }
                Ok(Err(error)) => last = Some(error.into()),
                Err(_) => last = Some(Cause::Slow(each)),
            }
        }
        Err(last.unwrap_or(Cause::NoAddress))
    }

    /// Goes as far as a mail would without one: connects, encrypts and logs in.
    pub(super) async fn greet(&self) -> Result<(), SendError> {
        let told = |trouble: Trouble| trouble.tell(&self.server);
        let mut connection = self.connect().await.map_err(told)?;
        let outcome = self.log_in(&mut connection).await;
        if outcome.as_ref().err().is_none_or(Trouble::is_reply) {
            let _ = tokio::time::timeout(FAREWELL, connection.quit()).await;
        }
        outcome.map_err(told)
    }

    async fn log_in(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Trouble> {
        if let Some(credentials) = &self.server.credentials {
            // Configuration allows no login without TLS; this holds whatever it allows.
            if !connection.is_encrypted() {
                return Err(Step::Login.failed(Cause::NotEncrypted));
            }
            if !offers(connection, DEFAULT_MECHANISMS) {
                return Err(Step::Login.failed(Cause::NotOffered));
            }
            self.step(Step::Login, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(())
    }

    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &Message,
    ) -> Result<(), Trouble> {
        self.log_in(connection).await?;
        let envelope = message.envelope();
        self.step(
            Step::Sender,
            connection.command(Mail::new(envelope.from().cloned(), Vec::new())),
        )
        .await?;
        for recipient in envelope.to() {
            self.step(
                Step::Recipient,
                connection.command(Rcpt::new(recipient.clone(), Vec::new())),
            )
            .await?;
        }
        self.step(Step::Data, connection.command(Data)).await?;
        let bytes = message.formatted();
        self.within(self.patience.message, Step::Message, connection.message(&bytes)).await?;
        Ok(())
    }

    async fn step<T, E: Into<Cause>>(
        &self,
        step: Step,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Trouble> {
        self.within(self.patience.step, step, work).await
    }

    async fn within<T, E: Into<Cause>>(
        &self,
        limit: Duration,
        step: Step,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Trouble> {
        match tokio::time::timeout(limit, work).await {
            Ok(done) => done.map_err(|error| step.failed(error.into())),
            Err(_) => Err(step.failed(Cause::Slow(limit))),
        }
    }
}

fn offers(connection: &AsyncSmtpConnection, mechanisms: &[Mechanism]) -> bool {
    connection.server_info().get_auth_mechanism(mechanisms).is_some()
}

impl From<Error> for Cause {
    fn from(error: Error) -> Self {
        Self::Smtp(error)
    }
}
