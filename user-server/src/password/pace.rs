//! How long each class of hash takes here, so that a refused login can take as long as the slowest
//! of them. It knows classes and times, and no hash.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is waited beyond the usual time: a part of it, so that what varies from hash to hash is
/// covered.
const HEADROOM: u32 = 8;
/// How much of the way from a slow hash back to the usual one each further hash goes.
const FORGET: u32 = 32;

/// Classes and their times.
pub(super) struct Pace {
    own: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// What is stored, but for the service's own class.
    foreign: Vec<String>,
    usual: HashMap<String, Duration>,
}

impl Pace {
    /// Where all hashes are of the service's own class.
    pub(super) fn new(own: &str) -> Self {
        Self { own: own.to_owned(), state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns what is stored; which classes were never measured.
    pub(super) fn store(&self, classes: Vec<String>) -> Vec<String> {
        let mut state = self.lock();
        state.foreign = classes;
        state.foreign.retain(|class| *class != self.own);
        // An own hash is measured only where there is something to hold it to.
        let own = if state.foreign.is_empty() { None } else { Some(&self.own) };
        state
            .foreign
            .iter()
            .chain(own)
            .filter(|class| !state.usual.contains_key(*class))
            .cloned()
            .collect()
    }

    /// Learns what a hash took.
    pub(super) fn note(&self, class: &str, took: Duration) {
        let mut state = self.lock();
        match state.usual.get_mut(class) {
            // A slow one counts at once, but a machine that stood still does not make every login
            // wait for minutes.
            Some(usual) if took > *usual => *usual = took.min(*usual * 2),
            Some(usual) => *usual -= (*usual - took) / FORGET,
            None => {
                state.usual.insert(class.to_owned(), took);
            }
        }
        // Known at once, though it was stored since the last look.
        if class != self.own && !state.foreign.iter().any(|known| known == class) {
            state.foreign.push(class.to_owned());
        }
    }

    /// The time that a refused login takes from the beginning of its hash; none where all hashes
    /// are of one class.
    pub(super) fn slowest(&self) -> Option<Duration> {
        let state = self.lock();
        if state.foreign.is_empty() {
            return None;
        }
        let usual = state
            .foreign
            .iter()
            .chain([&self.own])
            .filter_map(|class| state.usual.get(class))
            .max()?;
        Some(*usual + *usual / HEADROOM)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "$argon2id$v=19$m=19456,t=2,p=1";

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn one_class_needs_no_wait() {
        let pace = Pace::new(OWN);
        assert!(pace.store(vec![OWN.to_owned()]).is_empty());
        pace.note(OWN, ms(30));
        assert_eq!(pace.slowest(), None);
    }

    #[test]
    fn the_slowest_class_that_is_stored_counts() {
        let pace = Pace::new(OWN);
        let unmeasured = pace.store(vec!["$2b$10".to_owned(), "$2b$12".to_owned(), OWN.to_owned()]);
        assert_eq!(unmeasured, ["$2b$10", "$2b$12", OWN]);
        pace.note("$2b$10", ms(64));
        pace.note(OWN, ms(32));
        pace.note("$2b$12", ms(240));
        assert_eq!(pace.slowest(), Some(ms(270)));
        assert!(pace.store(vec!["$2b$10".to_owned()]).is_empty(), "all are measured");
        assert_eq!(pace.slowest(), Some(ms(72)), "what is no longer stored holds nobody up");
        assert!(pace.store(Vec::new()).is_empty());
        assert_eq!(pace.slowest(), None);
    }

    #[test]
    fn a_weaker_hash_takes_as_long_as_an_own_one() {
        let pace = Pace::new(OWN);
        pace.store(vec!["$2b$04".to_owned()]);
        pace.note("$2b$04", ms(1));
        pace.note(OWN, ms(32));
        assert_eq!(pace.slowest(), Some(ms(36)));
    }

    #[test]
    fn it_follows_the_machine() {
        let pace = Pace::new(OWN);
        pace.note("$2b$12", ms(240));
        pace.note("$2b$12", ms(10_000));
        assert_eq!(pace.slowest(), Some(ms(540)), "twice as much at a time");
        for _ in 0..200 {
            pace.note("$2b$12", ms(240));
        }
        assert!(pace.slowest().unwrap() < ms(280));
    }
}
