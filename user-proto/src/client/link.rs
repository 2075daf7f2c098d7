//! The one connection of a client, with reconnecting and backoff.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::Config;
use super::connection::Connection;
use super::drive;
use super::error::ConnectError;
use super::loopback::is_loopback;
use super::stream::Stream;
use crate::frame::FrameError;

/// Reason for which a call gets no connection.
pub(super) enum NoConnection {
    /// The client was closed.
    Closed,
    /// The last attempt to connect failed.
    Failed(ConnectError),
    /// The peer sent something that is not a frame before any request was queued.
    NotAService(FrameError),
}

/// A connection to one address that is established on demand and again after it was lost.
pub(super) struct Link {
    addr: String,
    config: Config,
    refuses_secrets: bool,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    phase: Phase,
    /// Number of consecutive attempts to connect that led to no working connection.
    failures: u32,
    /// Earliest time of the next attempt to connect; `None` if it may start at once.
    next_attempt: Option<Instant>,
    error: Option<ConnectError>,
    /// Number of connections that were established.
    established: u64,
}

enum Phase {
    Down,
    Connecting,
    Up(Arc<Connection>),
    Closed,
}

impl Link {
    pub(super) fn new(addr: String, config: Config) -> Self {
        let state = State {
            phase: Phase::Down,
            failures: 0,
            next_attempt: None,
            error: None,
            established: 0,
        };
        let refuses_secrets = !config.uses_tls() && !config.allow_plaintext && !is_loopback(&addr);
        Self { addr, config, refuses_secrets, state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn addr(&self) -> &str {
        &self.addr
    }

    /// Returns `true` if no request with a secret may be sent, because it would cross a network in
    /// plaintext.
    pub(super) fn refuses_secrets(&self) -> bool {
        self.refuses_secrets
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Returns the connection if it accepts requests, otherwise establishes a new one. A separate
    /// task connects, so that the attempt also serves other calls if this one reaches its deadline.
    pub(super) async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, NoConnection> {
        let mut waited = false;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(result) = self.try_connection(waited) {
                return result;
            }
            waited = true;
            changed.await;
        }
    }

    /// Returns the connection if it accepts requests. Does not connect.
    pub(super) fn current(&self) -> Option<Arc<Connection>> {
        match &self.lock().phase {
            Phase::Up(connection) if connection.accepts_requests() => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// Returns the number of the connection that the next request uses, unless it is lost before.
    /// Connections are numbered in the order in which they are established.
    pub(super) fn next_number(&self) -> u64 {
        let state = self.lock();
        match &state.phase {
            Phase::Up(connection) if connection.accepts_requests() => state.established,
            _ => state.established + 1,
        }
    }

    /// Returns the connection or an error, or `None` while an attempt to connect is in progress.
    /// Starts an attempt if none is in progress. With `waited`, the call has already waited for an
    /// attempt, and gets its error.
    fn try_connection(
        self: &Arc<Self>,
        waited: bool,
    ) -> Option<Result<Arc<Connection>, NoConnection>> {
        let mut state = self.lock();
        if let Phase::Up(connection) = &state.phase {
            let connection = Arc::clone(connection);
            if connection.accepts_requests() {
                return Some(Ok(connection));
            }
            // A server that accepts a connection and never answers counts as a failed attempt.
            if connection.has_served() {
                (state.failures, state.next_attempt) = (0, None);
            } else {
                self.count_failure(&mut state);
            }
            state.phase = Phase::Down;
            // Another program that greets first ends the connection before a request is queued.
            if !self.config.wait_for_server
                && let Some(error) = connection.take_not_a_service()
            {
                return Some(Err(NoConnection::NotAService(error)));
            }
        }
        match state.phase {
            Phase::Closed => return Some(Err(NoConnection::Closed)),
            Phase::Connecting | Phase::Up(_) => return None,
            Phase::Down => {}
        }
        let backing_off = !self.config.wait_for_server
            && state.next_attempt.is_some_and(|time| time > Instant::now());
        if (waited || backing_off)
            && let Some(error) = &state.error
        {
            return Some(Err(NoConnection::Failed(error.clone())));
        }
        state.phase = Phase::Connecting;
        tokio::spawn(Arc::clone(self).attempt(state.next_attempt));
        None
    }

    /// Makes one attempt to connect, at `not_before` at the earliest.
    async fn attempt(self: Arc<Self>, not_before: Option<Instant>) {
        if let Some(time) = not_before {
            tokio::time::sleep_until(time).await;
        }
        let result = tokio::time::timeout(self.config.connect_timeout, self.connect()).await;
        let result = result.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "connection timed out").into())
        });
        {
            let mut state = self.lock();
            if matches!(state.phase, Phase::Closed) {
                return;
            }
            match result {
                Ok(stream) => {
                    state.error = None;
                    state.established += 1;
                    state.phase = Phase::Up(drive::start(stream, &self.config));
                }
                Err(error) => {
                    self.count_failure(&mut state);
                    state.error = Some(error);
                    state.phase = Phase::Down;
                }
            }
        }
        self.changed.notify_waiters();
    }

    async fn connect(&self) -> Result<Stream, ConnectError> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.config.tls {
            return Stream::connect_tls(&self.addr, tls).await;
        }
        Stream::connect(&self.addr).await
    }

    fn count_failure(&self, state: &mut State) {
        state.next_attempt = Some(Instant::now() + self.backoff(state.failures, random_fraction()));
        state.failures = state.failures.saturating_add(1);
    }

    /// Returns the wait before the next attempt to connect, after `failures` consecutive failures
    /// besides the last one. The wait doubles with each failure up to the maximum, and is then
    /// reduced by `fraction`, from 0 to 1, of its half.
    fn backoff(&self, failures: u32, fraction: f64) -> Duration {
        let full =
            self.config.initial_backoff.saturating_mul(2_u32.saturating_pow(failures.min(16)));
        full.min(self.config.max_backoff).mul_f64(1.0 - fraction / 2.0)
    }

    /// Makes further calls fail, and returns the connection that remains to be closed, if there is
    /// one.
    pub(super) fn close(&self) -> Option<Arc<Connection>> {
        let phase = std::mem::replace(&mut self.lock().phase, Phase::Closed);
        self.changed.notify_waiters();
        match phase {
            Phase::Up(connection) => Some(connection),
            Phase::Down | Phase::Connecting | Phase::Closed => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(connection) = self.close() {
            connection.retire();
        }
    }
}

/// Returns a number in [0, 1) that is random enough to spread the attempts of many clients: the
/// standard library seeds each hasher differently.
pub(super) fn random_fraction() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) * 2_f64.powi(-32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_maximum_and_is_reduced_at_random() {
        let link = Link::new(String::new(), Config::default());
        let millis = |failures, fraction| link.backoff(failures, fraction).as_millis();
        assert_eq!([millis(0, 0.0), millis(1, 0.0), millis(2, 0.0)], [100, 200, 400]);
        assert_eq!([millis(9, 0.0), millis(u32::MAX, 0.0)], [5000, 5000]);
        assert_eq!([millis(0, 1.0), millis(9, 1.0)], [50, 2500]);
    }

    #[test]
    fn the_random_fraction_covers_its_range() {
        let drawn: Vec<_> = (0..200).map(|_| random_fraction()).collect();
        assert!(drawn.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        for fifth in [0.0, 0.2, 0.4, 0.6, 0.8] {
            assert!(
                drawn.iter().any(|fraction| (fifth..fifth + 0.2).contains(fraction)),
                "{fifth}: {drawn:?}"
            );
        }
    }
}
