//! Checks a recorded history of revocations and verdicts against the bound of local verification:
//! no check of a revoked token that began later than the bound after the acknowledgement has the
//! verdict "valid".
//!
//! The file depends on the standard library only, so that the tests of other crates can include it.
#![allow(dead_code, reason = "each crate that includes this file uses a part of it")]

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// One check of a token.
#[derive(Debug, Clone)]
pub(crate) struct Verdict<S> {
    /// What a revocation names: such as the id of the session.
    pub(crate) subject: S,
    /// Time before the check began.
    pub(crate) began: Instant,
    /// Time after the check ended.
    pub(crate) ended: Instant,
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Valid,
    /// Refused: revoked, expired or invalid.
    Refused,
    /// Neither valid nor refused.
    Unavailable,
}

/// A verdict that the bound forbids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Violation<S> {
    /// Valid, although the check began this long after the acknowledgement of the revocation.
    ValidTooLate { subject: S, after: Duration },
    /// Valid after the same subject had been refused by a check that ended before this one began,
    /// by the same verifier.
    ValidAgain { subject: S },
    /// Refused, although nothing had been revoked before the check ended.
    RefusedWithoutCause { subject: S },
    /// Ended before it began, so the record itself is wrong.
    Unordered { subject: S },
}

/// The record of one verifier.
#[derive(Debug)]
pub(crate) struct History<S> {
    /// For each subject, the time before its revocation was requested, and the time after the
    /// service had acknowledged it.
    revoked: HashMap<S, (Instant, Instant)>,
    verdicts: Vec<Verdict<S>>,
}

impl<S> Default for History<S> {
    fn default() -> Self {
        Self { revoked: HashMap::new(), verdicts: Vec::new() }
    }
}

impl<S: Clone + Eq + Hash + Debug> History<S> {
    /// Records a revocation. If a subject is revoked several times, the earliest acknowledgement
    /// counts.
    pub(crate) fn revoked(&mut self, subject: S, requested: Instant, acknowledged: Instant) {
        let times = self.revoked.entry(subject).or_insert((requested, acknowledged));
        times.0 = times.0.min(requested);
        times.1 = times.1.min(acknowledged);
    }

    pub(crate) fn checked(&mut self, verdict: Verdict<S>) {
        self.verdicts.push(verdict);
    }

    /// Returns every verdict that `bound` forbids.
    pub(crate) fn violations(&self, bound: Duration) -> Vec<Violation<S>> {
        let mut found = Vec::new();
        let mut first_refusal: HashMap<&S, Instant> = HashMap::new();
        let mut verdicts: Vec<_> = self.verdicts.iter().collect();
        verdicts.sort_by_key(|verdict| verdict.ended);
        for verdict in &verdicts {
            if verdict.outcome == Outcome::Refused {
                first_refusal.entry(&verdict.subject).or_insert(verdict.ended);
            }
        }
        for verdict in verdicts {
            let subject = || verdict.subject.clone();
            let revoked = self.revoked.get(&verdict.subject);
            if verdict.ended < verdict.began {
                found.push(Violation::Unordered { subject: subject() });
            }
            match (verdict.outcome, revoked) {
                (Outcome::Valid, Some((_, acknowledged))) => {
                    let after = verdict.began.saturating_duration_since(*acknowledged);
                    if after > bound {
                        found.push(Violation::ValidTooLate { subject: subject(), after });
                    }
                }
                (Outcome::Refused, None) => {
                    found.push(Violation::RefusedWithoutCause { subject: subject() });
                }
                (Outcome::Refused, Some((requested, _))) if verdict.ended < *requested => {
                    found.push(Violation::RefusedWithoutCause { subject: subject() });
                }
                _ => {}
            }
            if verdict.outcome == Outcome::Valid
                && first_refusal.get(&verdict.subject).is_some_and(|end| *end < verdict.began)
            {
                found.push(Violation::ValidAgain { subject: subject() });
            }
        }
        found
    }

    /// Returns the longest time from an acknowledgement to the beginning of a check that was still
    /// valid; zero if there is none.
    pub(crate) fn longest_valid(&self) -> Duration {
        let after = |verdict: &Verdict<S>| {
            let (_, acknowledged) = self.revoked.get(&verdict.subject)?;
            (verdict.outcome == Outcome::Valid)
                .then(|| verdict.began.saturating_duration_since(*acknowledged))
        };
        self.verdicts.iter().filter_map(after).max().unwrap_or_default()
    }

    /// Returns the time from each acknowledgement to the beginning of the first refusal, in
    /// ascending order.
    pub(crate) fn times_to_refusal(&self) -> Vec<Duration> {
        let time = |(subject, (_, acknowledged)): (&S, &(Instant, Instant))| {
            self.verdicts
                .iter()
                .filter(|verdict| verdict.subject == *subject)
                .filter(|verdict| verdict.outcome == Outcome::Refused)
                .map(|verdict| verdict.began.saturating_duration_since(*acknowledged))
                .min()
        };
        let mut times: Vec<_> = self.revoked.iter().filter_map(time).collect();
        times.sort_unstable();
        times
    }

    /// # Panics
    /// If a verdict is forbidden by `bound`.
    pub(crate) fn assert_bound(&self, bound: Duration) {
        let violations = self.violations(bound);
        assert!(violations.is_empty(), "{} violations: {violations:?}", violations.len());
    }
}
