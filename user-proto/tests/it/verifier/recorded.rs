//! The checker of histories finds violations, and a verifier has none.

use std::time::{Duration, Instant};

use super::history::{History, Outcome, Verdict, Violation};
use super::service::Service;
use super::signer::{Claims, Signer};

const BOUND: Duration = Duration::from_secs(1);

/// Builds a history of the subject 1 from (began, ended, outcome), in milliseconds. It is revoked
/// by a request at 1,000 that is acknowledged at 1,100.
fn history(verdicts: &[(u64, u64, Outcome)]) -> History<u8> {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let mut history = History::default();
    history.revoked(1, at(1_000), at(1_100));
    for &(began, ended, outcome) in verdicts {
        history.checked(Verdict { subject: 1, began: at(began), ended: at(ended), outcome });
    }
    history
}

#[test]
fn a_history_within_the_bound_has_no_violations() {
    use Outcome::{Refused, Unavailable, Valid};
    let good = history(&[
        (0, 1, Valid),
        (1_050, 1_060, Valid),
        (2_100, 2_101, Valid),
        // It began in time, however long it took.
        (2_100, 9_000, Valid),
        (2_101, 2_102, Refused),
        (2_101, 2_103, Unavailable),
        (3_000, 3_001, Refused),
    ]);
    assert_eq!(good.violations(BOUND), []);
    good.assert_bound(BOUND);
    assert_eq!(good.longest_valid(), BOUND);
    assert_eq!(good.times_to_refusal(), [Duration::from_millis(1_001)]);
    // The revocation may be seen before its acknowledgement.
    assert_eq!(history(&[(990, 1_001, Refused)]).violations(BOUND), []);
}

#[test]
fn every_violation_is_found() {
    use Outcome::{Refused, Valid};
    let after = Duration::from_millis(1_001);
    let late = history(&[(2_101, 2_102, Valid)]);
    assert_eq!(late.violations(BOUND), [Violation::ValidTooLate { subject: 1, after }]);
    assert_eq!(late.violations(2 * BOUND), []);
    assert_eq!(late.longest_valid(), after);
    let again = history(&[(1_200, 1_201, Refused), (1_300, 1_301, Valid)]);
    assert_eq!(again.violations(BOUND), [Violation::ValidAgain { subject: 1 }]);
    let early = history(&[(900, 901, Refused)]);
    assert_eq!(early.violations(BOUND), [Violation::RefusedWithoutCause { subject: 1 }]);
    let unordered = history(&[(1_200, 1_100, Refused)]);
    assert_eq!(unordered.violations(BOUND), [Violation::Unordered { subject: 1 }]);
    let mut other = history(&[]);
    let now = Instant::now();
    other.checked(Verdict { subject: 2, began: now, ended: now, outcome: Refused });
    assert_eq!(other.violations(BOUND), [Violation::RefusedWithoutCause { subject: 2 }]);
}

#[test]
#[should_panic(expected = "1 violations: [ValidTooLate")]
fn the_assertion_fails_on_a_violation() {
    history(&[(5_000, 5_001, Outcome::Valid)]).assert_bound(BOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verifier_keeps_the_bound_while_sessions_end() {
    let signers = Signer::both();
    let service = Service::start(&signers).await;
    let verifier = service.ready().await;
    let tokens: Vec<_> = (0..40)
        .map(|number| {
            let claims = Claims::default();
            (claims.session, signers[number % 2].issue(&claims))
        })
        .collect();
    let checks = {
        let (verifier, tokens) = (verifier.clone(), tokens.clone());
        std::thread::spawn(move || {
            let started = Instant::now();
            let mut verdicts = Vec::new();
            while started.elapsed() < 3 * BOUND {
                for (subject, token) in &tokens {
                    let began = Instant::now();
                    let outcome = match verifier.verify_local(token) {
                        Some(Ok(_)) => Outcome::Valid,
                        Some(Err(_)) => Outcome::Refused,
                        None => Outcome::Unavailable,
                    };
                    let ended = Instant::now();
                    verdicts.push(Verdict { subject: *subject, began, ended, outcome });
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            verdicts
        })
    };
    let mut history = History::default();
    for (session, _) in &tokens {
        let requested = Instant::now();
        service.push(1, session.as_bytes(), 0);
        history.revoked(*session, requested, Instant::now());
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
    for verdict in checks.join().unwrap() {
        history.checked(verdict);
    }
    history.assert_bound(BOUND);
    let times = history.times_to_refusal();
    assert_eq!(times.len(), tokens.len());
    assert!(times[times.len() - 1] < BOUND / 2, "{times:?}");
}
