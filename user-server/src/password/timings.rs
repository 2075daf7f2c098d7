//! Measured durations of each class of password hashes (algorithm and cost) on this machine, so
//! that a refused login can be padded to the slowest class. No hash is stored here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Divisor of the slowest class's average duration. The quotient is added to the padding, for
/// variation between hashes.
const MARGIN_DIVISOR: u32 = 8;
/// Divisor of the difference between the average and a faster hash. The quotient is subtracted from
/// the average.
const DECAY_DIVISOR: u32 = 32;

/// Hash classes that occur in the database, and their measured durations.
pub(super) struct HashTimings {
    /// Class of newly computed hashes.
    own: String,
    classes: Mutex<Classes>,
}

#[derive(Default)]
struct Classes {
    /// Hash classes in the database other than that of newly computed hashes.
    foreign: Vec<String>,
    averages: HashMap<String, Duration>,
}

impl HashTimings {
    /// Creates timings for a database in which all hashes are of the class `own`.
    pub(super) fn new(own: &str) -> Self {
        Self { own: own.to_owned(), classes: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Classes> {
        self.classes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the hash classes that occur in the database. Returns those that have never been
    /// measured.
    pub(super) fn set_stored(&self, classes: Vec<String>) -> Vec<String> {
        let mut known = self.lock();
        known.foreign = classes;
        known.foreign.retain(|class| *class != self.own);
        // The class of new hashes is measured only if there is another class to compare it with.
        let own = if known.foreign.is_empty() { None } else { Some(&self.own) };
        known
            .foreign
            .iter()
            .chain(own)
            .filter(|class| !known.averages.contains_key(*class))
            .cloned()
            .collect()
    }

    /// Records that one hash of the class `class` took the duration `took`.
    pub(super) fn record(&self, class: &str, took: Duration) {
        let mut known = self.lock();
        match known.averages.get_mut(class) {
            // A slow hash raises the average at once, but at most to twice its value: a machine
            // that was suspended must not make every login wait for minutes.
            Some(average) if took > *average => *average = took.min(*average * 2),
            Some(average) => *average -= (*average - took) / DECAY_DIVISOR,
            None => {
                known.averages.insert(class.to_owned(), took);
            }
        }
        // A hash of a class that was stored after the classes were last set.
        if class != self.own && !known.foreign.iter().any(|foreign| foreign == class) {
            known.foreign.push(class.to_owned());
        }
    }

    /// Returns the duration to which a refused login is padded, counted from the start of its hash,
    /// or `None` if all hashes are of the same class or none was measured yet.
    pub(super) fn slowest(&self) -> Option<Duration> {
        let known = self.lock();
        if known.foreign.is_empty() {
            return None;
        }
        let slowest = known
            .foreign
            .iter()
            .chain([&self.own])
            .filter_map(|class| known.averages.get(class))
            .max()?;
        Some(*slowest + *slowest / MARGIN_DIVISOR)
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
    fn a_single_class_needs_no_padding() {
        let timings = HashTimings::new(OWN);
        assert!(timings.set_stored(vec![OWN.to_owned()]).is_empty());
        timings.record(OWN, ms(30));
        assert_eq!(timings.slowest(), None);
    }

    #[test]
    fn a_refused_login_is_padded_to_the_slowest_stored_class() {
        let timings = HashTimings::new(OWN);
        let unmeasured =
            timings.set_stored(vec!["$2b$10".to_owned(), "$2b$12".to_owned(), OWN.to_owned()]);
        assert_eq!(unmeasured, ["$2b$10", "$2b$12", OWN]);
        timings.record("$2b$10", ms(64));
        timings.record(OWN, ms(32));
        timings.record("$2b$12", ms(240));
        assert_eq!(timings.slowest(), Some(ms(270)));
        assert!(timings.set_stored(vec!["$2b$10".to_owned()]).is_empty(), "all are measured");
        assert_eq!(
            timings.slowest(),
            Some(ms(72)),
            "a class that is no longer stored does not count"
        );
        assert!(timings.set_stored(Vec::new()).is_empty());
        assert_eq!(timings.slowest(), None);
    }

    #[test]
    fn a_weaker_hash_is_padded_to_the_class_of_new_hashes() {
        let timings = HashTimings::new(OWN);
        timings.set_stored(vec!["$2b$04".to_owned()]);
        timings.record("$2b$04", ms(1));
        timings.record(OWN, ms(32));
        assert_eq!(timings.slowest(), Some(ms(36)));
    }

    #[test]
    fn the_average_follows_the_speed_of_the_machine() {
        let timings = HashTimings::new(OWN);
        timings.record("$2b$12", ms(240));
        timings.record("$2b$12", ms(10_000));
        assert_eq!(timings.slowest(), Some(ms(540)), "at most doubled at a time");
        for _ in 0..200 {
            timings.record("$2b$12", ms(240));
        }
        assert!(timings.slowest().unwrap() < ms(280));
    }
}
