//! The one connection of a client: made when it is wanted, made again when it is gone. Knows
//! addresses and back-off; no frame.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::config::Config;
use super::connection::Connection;
use super::drive;
use super::error::NoStream;
use super::stream::Stream;

/// Why there is no connection.
pub(super) enum NoConnection {
    Closed,
    Failed(NoStream),
}

pub(super) struct Link {
    addr: String,
    config: Config,
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    phase: Phase,
    /// Attempts in a row that led to no working connection.
    failures: u32,
    /// Before this nobody dials.
    not_before: Option<Instant>,
    error: Option<NoStream>,
}

enum Phase {
    Down,
    Dialing,
    Up(Arc<Connection>),
    Closed,
}

impl Link {
    pub(super) fn new(addr: String, config: Config) -> Self {
        let state = State { phase: Phase::Down, failures: 0, not_before: None, error: None };
        Self { addr, config, state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn addr(&self) -> &str {
        &self.addr
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// The connection that takes new requests. Dialing is a task of its own, so that it goes on for
    /// the others when the call that began it has no time left.
    pub(super) async fn connection(self: &Arc<Self>) -> Result<Arc<Connection>, NoConnection> {
        let mut waited = false;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = self.look(waited) {
                return found;
            }
            waited = true;
            changed.await;
        }
    }

    /// The connection, or why there is none, or `None` where one is on its way.
    fn look(self: &Arc<Self>, waited: bool) -> Option<Result<Arc<Connection>, NoConnection>> {
        let mut state = self.lock();
        if let Phase::Up(connection) = &state.phase {
            if connection.takes_requests() {
                return Some(Ok(Arc::clone(connection)));
            }
            // A server that accepts and then serves nothing is no better than one that does not
            // accept.
            if connection.has_served() {
                (state.failures, state.not_before) = (0, None);
            } else {
                self.count_failure(&mut state);
            }
            state.phase = Phase::Down;
        }
        match state.phase {
            Phase::Closed => return Some(Err(NoConnection::Closed)),
            Phase::Dialing | Phase::Up(_) => return None,
            Phase::Down => {}
        }
        let barred = !self.config.wait_for_server
            && state.not_before.is_some_and(|time| time > Instant::now());
        if (waited || barred)
            && let Some(error) = &state.error
        {
            return Some(Err(NoConnection::Failed(error.clone())));
        }
        state.phase = Phase::Dialing;
        tokio::spawn(Arc::clone(self).dial(state.not_before));
        None
    }

    async fn dial(self: Arc<Self>, not_before: Option<Instant>) {
        if let Some(time) = not_before {
            tokio::time::sleep_until(time).await;
        }
        let dialled = tokio::time::timeout(self.config.connect_within, self.connect()).await;
        let dialled = dialled.unwrap_or_else(|_| {
            Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into())
        });
        {
            let mut state = self.lock();
            if matches!(state.phase, Phase::Closed) {
                return;
            }
            match dialled {
                Ok(stream) => {
                    state.error = None;
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

    async fn connect(&self) -> Result<Stream, NoStream> {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.config.tls {
            return Stream::connect_secret(&self.addr, tls).await;
        }
        Stream::connect(&self.addr).await
    }

    fn count_failure(&self, state: &mut State) {
        state.not_before = Some(Instant::now() + self.backoff(state.failures, random_fraction()));
        state.failures = state.failures.saturating_add(1);
    }

    /// The wait after so many failures before this one: doubling up to the longest, less up to a
    /// half.
    fn backoff(&self, failures: u32, fraction: f64) -> Duration {
        let whole =
            self.config.backoff_first.saturating_mul(2_u32.saturating_pow(failures.min(16)));
        whole.min(self.config.backoff_longest).mul_f64(1.0 - fraction / 2.0)
    }

    /// Lets nobody in any more, and gives back the connection that is left to end.
    pub(super) fn close(&self) -> Option<Arc<Connection>> {
        let phase = std::mem::replace(&mut self.lock().phase, Phase::Closed);
        self.changed.notify_waiters();
        match phase {
            Phase::Up(connection) => Some(connection),
            Phase::Down | Phase::Dialing | Phase::Closed => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave the state half changed.
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

/// A number in [0, 1), good enough to spread clients out: the standard library seeds each hasher
/// anew.
fn random_fraction() -> f64 {
    let random = RandomState::new().hash_one(0_u8);
    f64::from(u32::try_from(random >> 32).unwrap_or_default()) * 2_f64.powi(-32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_bound_and_is_spread() {
        let link = Link::new(String::new(), Config::default());
        let millis = |failures, fraction| link.backoff(failures, fraction).as_millis();
        assert_eq!([millis(0, 0.0), millis(1, 0.0), millis(2, 0.0)], [100, 200, 400]);
        assert_eq!([millis(9, 0.0), millis(u32::MAX, 0.0)], [5000, 5000]);
        assert_eq!([millis(0, 1.0), millis(9, 1.0)], [50, 2500]);
    }

    #[test]
    fn the_spread_covers_all_of_it() {
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
