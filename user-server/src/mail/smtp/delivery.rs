//! Delivery of one email to the server, step by step, each with its timeout.

use std::future::Future;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::{Address, Message};
use tokio::net::TcpStream;

use super::failure::{Cause, SmtpFailure, SmtpStep};
use super::plaintext::{Greeting, PlaintextStream};
use super::{Encryption, SmtpMailer};
use crate::domain::SendError;

/// Timeouts of the delivery of an email to a mail server.
#[derive(Debug, Clone, Copy)]
pub struct SmtpTimeouts {
    /// Timeout of one step: a connection, or the reply to a command.
    pub step: Duration,
    /// Timeout of the reply to the message, which the server may scan first.
    pub message: Duration,
    /// Timeout of the whole delivery.
    pub total: Duration,
}

impl Default for SmtpTimeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        // Together less than the lease of the outbox, so that the log names the step that was slow.
        Self { step: seconds(10), message: seconds(20), total: seconds(28) }
    }
}

/// Timeout of the reply to QUIT. The result of the delivery is already known then.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);

impl SmtpMailer {
    pub(super) async fn deliver(&self, message: &Message) -> Result<(), SendError> {
        let send_error = |failure: SmtpFailure| failure.send_error(&self.server);
        let mut connection = self.connect().await.map_err(send_error)?;
        let outcome = self.transfer(&mut connection, message).await;
        self.quit(&mut connection, &outcome).await;
        outcome.map_err(send_error)
    }

    /// Ends a connection with QUIT, unless the server no longer replies.
    async fn quit(&self, connection: &mut AsyncSmtpConnection, outcome: &Result<(), SmtpFailure>) {
        if outcome.as_ref().err().is_none_or(SmtpFailure::is_reply) {
            // The server has accepted or refused the email already, so a failure does not matter.
            let _ = tokio::time::timeout(QUIT_TIMEOUT, connection.quit()).await;
        }
    }

    /// Opens a connection to the mail server: encrypted, unless the server is on this machine.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpFailure> {
        let server = (self.server.host.as_str(), self.server.port);
        let hello = &self.hello;
        // A host can have several addresses, and the first may not respond.
        let each = self.timeouts.step * 2 / 5;
        match &self.server.encryption {
            Encryption::Implicit(tls) => {
                let connect = AsyncSmtpConnection::connect_tokio1(
                    server,
                    Some(each),
                    hello,
                    Some(tls.clone()),
                    None,
                );
                self.step(SmtpStep::Connect, connect).await
            }
            Encryption::StartTls(tls) => {
                let connect = self.connect_plain(each, Greeting::Ehlo);
                let mut connection = self.step(SmtpStep::Connect, connect).await?;
                if !connection.can_starttls() {
                    return Err(SmtpStep::StartTls.failed(Cause::NotOffered));
                }
                self.step(SmtpStep::StartTls, connection.starttls(tls.clone(), hello)).await?;
                Ok(connection)
            }
            Encryption::None => {
                let connect = self.connect_plain(each, Greeting::Ehlo);
                match self.step(SmtpStep::Connect, connect).await {
                    Err(failure) if failure.refuses_ehlo() => {
                        let connect = self.connect_plain(each, Greeting::Helo);
                        self.step(SmtpStep::Connect, connect).await
                    }
                    connected => connected,
                }
            }
        }
    }

    async fn connect_plain(
        &self,
        each: Duration,
        greeting: Greeting,
    ) -> Result<AsyncSmtpConnection, Cause> {
        let mut last = None;
        for address in
            tokio::net::lookup_host((self.server.host.as_str(), self.server.port)).await?
        {
            // The host name may resolve to another machine by now.
            if matches!(self.server.encryption, Encryption::None)
                && !address.ip().to_canonical().is_loopback()
            {
                last = Some(Cause::NotLoopback);
                continue;
            }
            match tokio::time::timeout(each, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tcp.set_nodelay(true)?;
                    let stream = Box::new(PlaintextStream::new(tcp, greeting));
                    return Ok(
                        AsyncSmtpConnection::connect_with_transport(stream, &self.hello).await?
                    );
                }
                Ok(Err(error)) => last = Some(error.into()),
                Err(_) => last = Some(Cause::Timeout(each)),
            }
        }
        Err(last.unwrap_or(Cause::NoAddress))
    }

    /// Performs all steps of delivering an email to the sender's own address, except sending the
    /// message: many servers judge the client and its sender only when they are given a recipient.
    pub(super) async fn rehearse(&self) -> Result<(), SendError> {
        let send_error = |failure: SmtpFailure| failure.send_error(&self.server);
        let mut connection = self.connect().await.map_err(send_error)?;
        let sender = self.sender.address();
        let outcome = match self.log_in(&mut connection).await {
            Ok(()) => {
                let envelope = self.envelope(&mut connection, Some(sender), &[sender]).await;
                let reset = self.step(SmtpStep::Data, connection.command(Rset)).await;
                envelope.and(reset.map(drop))
            }
            failed => failed,
        };
        self.quit(&mut connection, &outcome).await;
        match outcome.map_err(send_error) {
            // Emails to the sender's address need not be accepted, only emails from it.
            Err(SendError::Recipient(_) | SendError::Unexplained(_)) => Ok(()),
            other => other,
        }
    }

    async fn log_in(&self, connection: &mut AsyncSmtpConnection) -> Result<(), SmtpFailure> {
        if let Some(credentials) = &self.server.credentials {
            // The configuration refuses a login without TLS, but this must hold in any case.
            if !connection.is_encrypted() {
                return Err(SmtpStep::Login.failed(Cause::NotEncrypted));
            }
            if !offers(connection, DEFAULT_MECHANISMS) {
                return Err(SmtpStep::Login.failed(Cause::NotOffered));
            }
            self.step(SmtpStep::Login, connection.auth(DEFAULT_MECHANISMS, credentials)).await?;
        }
        Ok(())
    }

    async fn transfer(
        &self,
        connection: &mut AsyncSmtpConnection,
        message: &Message,
    ) -> Result<(), SmtpFailure> {
        self.log_in(connection).await?;
        let recipients: Vec<&Address> = message.envelope().to().iter().collect();
        self.envelope(connection, message.envelope().from(), &recipients).await?;
        self.step(SmtpStep::Data, connection.command(Data)).await?;
        let bytes = message.formatted();
        self.within(self.timeouts.message, SmtpStep::Message, connection.message(&bytes)).await?;
        Ok(())
    }

    /// Sends the envelope of an email: MAIL FROM and RCPT TO.
    async fn envelope(
        &self,
        connection: &mut AsyncSmtpConnection,
        sender: Option<&Address>,
        recipients: &[&Address],
    ) -> Result<(), SmtpFailure> {
        let sender = Mail::new(sender.cloned(), Vec::new());
        self.step(SmtpStep::Sender, connection.command(sender)).await?;
        for &recipient in recipients {
            let recipient = Rcpt::new(recipient.clone(), Vec::new());
            self.step(SmtpStep::Recipient, connection.command(recipient)).await?;
        }
        Ok(())
    }

    async fn step<T, E: Into<Cause>>(
        &self,
        step: SmtpStep,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, SmtpFailure> {
        self.within(self.timeouts.step, step, work).await
    }

    async fn within<T, E: Into<Cause>>(
        &self,
        limit: Duration,
        step: SmtpStep,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, SmtpFailure> {
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result.map_err(|error| step.failed(error.into())),
            Err(_) => Err(step.failed(Cause::Timeout(limit))),
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
