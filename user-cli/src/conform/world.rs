//! The record of one case: connections, requests, and the progress of the script and the calls.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::cases::{Accept, Closing};
use super::values::Fields;

/// Record of one case, which the connections, the script and the calls share.
pub(super) struct World {
    state: Mutex<State>,
    changed: Notify,
    start: Instant,
}

#[derive(Default)]
pub(super) struct State {
    /// Accepted sockets that are not served yet, with the index of their address.
    pub(super) waiting: VecDeque<(usize, TcpStream)>,
    /// Number of sockets that were accepted.
    pub(super) sockets: usize,
    /// Number of `accept` steps that the script has not done yet.
    pub(super) accepts_left: usize,
    /// Way in which connections are accepted after the last `accept` step.
    pub(super) later: Accept,
    pub(super) connections: Vec<Connection>,
    pub(super) requests: Vec<Received>,
    /// Marks of the script, and names of the calls that have ended.
    pub(super) reached: HashSet<String>,
    /// Rules of the protocol that the client has violated.
    pub(super) violations: Vec<String>,
    pub(super) max_in_flight: usize,
    pub(super) max_hashing: usize,
    trace: Vec<(Duration, String)>,
}

/// A connection of the client.
pub(super) struct Connection {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    /// `true` after the client has closed it.
    pub(super) closed: bool,
    /// Indices of the requests without a reply.
    pub(super) in_flight: Vec<usize>,
}

/// A request of the client.
#[derive(Clone)]
pub(super) struct Received {
    pub(super) connection: usize,
    pub(super) id: u32,
    pub(super) name: &'static str,
    pub(super) fields: Fields,
    pub(super) common: Fields,
    pub(super) hashes: bool,
    pub(super) at: Instant,
    /// `true` if a step has taken it.
    pub(super) taken: bool,
}

/// Order of the script to a connection.
pub(super) enum Command {
    /// Writes bytes in pieces of at most this size.
    Write(Vec<u8>, usize),
    Close(Closing),
    /// Stops reading.
    Stall,
}

impl World {
    pub(super) fn new(accepts: usize) -> Self {
        let state = State { accepts_left: accepts, ..State::default() };
        Self { state: Mutex::new(state), changed: Notify::new(), start: Instant::now() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave the state inconsistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and notifies everyone who waits for a change.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_waiters();
        result
    }

    /// Waits until `find` returns a value, which it looks for after every change.
    pub(super) async fn wait_for<T>(&self, mut find: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if let Some(found) = find(&mut self.lock()) {
                return found;
            }
            changed.await;
        }
    }

    /// Records an event for the report of a case that fails.
    pub(super) fn trace(&self, event: String) {
        let at = self.start.elapsed();
        self.lock().trace.push((at, event));
    }

    /// Returns the events in their order, with the time in milliseconds.
    pub(super) fn events(&self) -> Vec<String> {
        let line = |(at, event): &(Duration, String)| format!("{:>5} ms  {event}", at.as_millis());
        self.lock().trace.iter().map(line).collect()
    }

    /// Records that the script has reached a mark, or that a call has ended.
    pub(super) fn reach(&self, name: &str) {
        self.change(|state| state.reached.insert(name.to_owned()));
    }

    pub(super) async fn reached(&self, name: &str) {
        self.wait_for(|state| state.reached.contains(name).then_some(())).await;
    }
}

impl State {
    /// Records a request, and checks its id.
    pub(super) fn receive(&mut self, request: Received) {
        let index = self.requests.len();
        let Some(connection) = self.connections.get_mut(request.connection) else { return };
        if request.id == 0 {
            self.violations.push(format!("section 4: {} has the request id 0", request.name));
        }
        let same_id = |index: &usize| self.requests.get(*index).is_some_and(|r| r.id == request.id);
        if connection.in_flight.iter().any(same_id) {
            let (name, id) = (request.name, request.id);
            self.violations.push(format!("section 4: {name} has the id {id}, which is in flight"));
        }
        if request.name != "Ping" {
            connection.in_flight.push(index);
            self.max_in_flight = self.max_in_flight.max(connection.in_flight.len());
        }
        self.requests.push(request);
        if let Some(connection) = self.requests.last().map(|request| request.connection) {
            let hashing = |index: &&usize| self.requests.get(**index).is_some_and(|r| r.hashes);
            let in_flight = self.connections.get(connection).map(|c| &c.in_flight);
            let count = in_flight.map_or(0, |in_flight| in_flight.iter().filter(hashing).count());
            self.max_hashing = self.max_hashing.max(count);
        }
    }

    /// Records that a request was answered.
    pub(super) fn answered(&mut self, connection: usize, id: u32) {
        let requests = &self.requests;
        if let Some(connection) = self.connections.get_mut(connection) {
            let other = |index: &usize| requests.get(*index).is_some_and(|r| r.id != id);
            connection.in_flight.retain(other);
        }
    }

    /// Returns the number of requests to verify this token.
    pub(super) fn asked_about(&self, token: &str) -> usize {
        let suits = |request: &&Received| {
            request.name == "VerifyToken"
                && request.fields.get("access_token").and_then(Value::as_str) == Some(token)
        };
        self.requests.iter().filter(suits).count()
    }

    /// Sends an order to a connection. Does nothing if it is closed.
    pub(super) fn command(&self, connection: usize, command: Command) {
        if let Some(connection) = self.connections.get(connection) {
            let _ = connection.commands.send(command);
        }
    }
}
