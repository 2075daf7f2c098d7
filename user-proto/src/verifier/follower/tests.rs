//! Answers that are applied at any time of a paused clock.

use std::borrow::Cow;

use tokio::time::advance;

use super::*;
use crate::value::{UnixMillis, UnixSeconds};
use crate::verifier::config::VerifierConfig;
use crate::verifier::token::Claims;

const LIFE: u32 = 900;
const NOW: u64 = 1_795_478_400;

struct Harness {
    follower: Follower,
    start: Instant,
}

impl Harness {
    fn new(config: VerifierConfig) -> Self {
        let local = Arc::new(Local::new(config));
        let mut harness = Self { follower: Follower::new(local), start: Instant::now() };
        assert!(harness.keys(LIFE).is_some());
        harness
    }

    fn local(&self) -> &Local {
        &self.follower.local
    }

    fn now_ms(&self) -> UnixMillis {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap();
        UnixMillis(1000 * NOW + elapsed)
    }

    fn keys(&mut self, access_life: u32) -> Option<Duration> {
        let answer = Keys {
            jwks: Cow::Borrowed(r#"{"keys":[]}"#),
            access_life,
            refresh_after: 300,
            now_ms: Some(self.now_ms()),
        };
        let now = Instant::now();
        self.follower.apply_keys(&answer, (now, now))
    }

    /// Applies an answer that was sent at `sent` and is received now.
    fn answer(
        &mut self,
        sent: Instant,
        (stale_ms, more): (u32, u8),
        entries: Vec<RevocationRow<'static>>,
    ) -> Applied {
        let answer = Revocations {
            cursor: Cow::Borrowed(b"cursor"),
            stale_ms,
            more,
            now_ms: self.now_ms(),
            entries,
        };
        let round = self.follower.round;
        self.follower.apply_revocations(answer, round, (sent, Instant::now()))
    }
}

fn session(number: u128) -> RevocationRow<'static> {
    let id = Cow::Owned(number.to_be_bytes().to_vec());
    RevocationRow { kind: 1, id, before: UnixSeconds(0) }
}

fn is_revoked(local: &Local, session: u128, issued_at: u64) -> bool {
    local.revocations.contain(&Claims {
        user_id: Uuid::from_u128(u128::MAX),
        session_id: Uuid::from_u128(session),
        issued_at,
        expires_at: issued_at + u64::from(LIFE),
    })
}

fn ms(number: u64) -> Duration {
    Duration::from_millis(number)
}

#[tokio::test(start_paused = true)]
async fn the_age_counts_from_the_sending_of_the_last_complete_answer() {
    let mut harness = Harness::new(VerifierConfig::default());
    let sent = Instant::now();
    advance(ms(200)).await;
    harness.answer(sent, (0, 1), vec![]);
    assert_eq!(harness.local().age(), None);
    let sent = Instant::now();
    advance(ms(300)).await;
    harness.answer(sent, (150, 0), vec![]);
    assert_eq!(harness.local().age(), Some(ms(450)));
    // An answer that says that more follow does not change the age.
    advance(ms(100)).await;
    harness.answer(Instant::now(), (0, 1), vec![]);
    assert_eq!(harness.local().age(), Some(ms(550)));
    // Nor does one that was sent earlier, or by a node that knows less.
    harness.answer(sent, (0, 0), vec![]);
    assert_eq!(harness.local().age(), Some(ms(400)));
    harness.answer(Instant::now(), (30_000, 0), vec![]);
    assert_eq!(harness.local().age(), Some(ms(400)));
    harness.answer(Instant::now(), (0, 0), vec![]);
    assert_eq!(harness.local().age(), Some(ms(0)));
}

#[tokio::test(start_paused = true)]
async fn an_entry_is_kept_for_the_longest_lifetime_of_a_token_and_a_minute() {
    let mut harness = Harness::new(VerifierConfig::default());
    let all = RevocationRow { kind: 3, id: Cow::Borrowed(&[]), before: UnixSeconds(NOW) };
    harness.answer(Instant::now(), (0, 0), vec![session(1), all]);
    let check = |harness: &Harness| {
        (is_revoked(harness.local(), 1, NOW + 1), is_revoked(harness.local(), 2, NOW))
    };
    advance(ms(3_659_999)).await;
    harness.follower.expire(Instant::now());
    assert_eq!(check(&harness), (true, true));
    // A repeat keeps a session for as long again.
    harness.answer(Instant::now(), (0, 0), vec![session(1)]);
    advance(ms(1)).await;
    harness.follower.expire(Instant::now());
    assert_eq!(check(&harness), (true, false));
    advance(ms(3_659_998)).await;
    harness.follower.expire(Instant::now());
    assert_eq!(check(&harness), (true, false));
    advance(ms(1)).await;
    harness.follower.expire(Instant::now());
    assert_eq!(check(&harness), (false, false));
    assert_eq!(harness.local().revocations.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_earlier_time_that_arrives_later_is_covered_by_the_later_time() {
    let mut harness = Harness::new(VerifierConfig::default());
    let all =
        |before| RevocationRow { kind: 3, id: Cow::Borrowed(&[]), before: UnixSeconds(before) };
    harness.answer(Instant::now(), (0, 0), vec![all(NOW)]);
    advance(ms(3_600_000)).await;
    harness.answer(Instant::now(), (0, 0), vec![all(NOW - 100)]);
    advance(ms(100_000)).await;
    harness.follower.expire(Instant::now());
    assert!(is_revoked(harness.local(), 1, NOW - 100));
    advance(ms(3_560_000)).await;
    harness.follower.expire(Instant::now());
    assert!(!is_revoked(harness.local(), 1, NOW - 100));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_lifetime_shortens_no_entry() {
    let mut harness = Harness::new(VerifierConfig::default());
    harness.answer(Instant::now(), (0, 0), vec![session(1)]);
    // A token of an hour was issued before the lifetime was lowered.
    harness.keys(60);
    advance(ms(3_659_000)).await;
    harness.follower.expire(Instant::now());
    harness.keys(3_600);
    harness.answer(Instant::now(), (0, 0), vec![]);
    assert!(harness.local().is_complete() && is_revoked(harness.local(), 1, NOW));
    assert_eq!(harness.follower.cursor, b"cursor", "nothing is requested again");
    // No token can be valid for longer, whatever the service states.
    harness.keys(u32::MAX);
    assert_eq!(harness.local().access_life.load(Ordering::Acquire), 3_600);
}

#[tokio::test(start_paused = true)]
async fn a_million_entries_are_stored_and_one_more_is_too_many() {
    let mut harness = Harness::new(VerifierConfig::default());
    for first in (0..1_000_000).step_by(2_000) {
        let rows = (first..first + 2_000).map(session).collect();
        harness.answer(Instant::now(), (0, 1), rows);
    }
    harness.answer(Instant::now(), (0, 0), vec![session(7)]);
    assert!(harness.local().is_complete());
    assert_eq!(harness.local().revocations.len(), 1_000_000);
    for number in [0, 1, 500_000, 999_999] {
        assert!(is_revoked(harness.local(), number, NOW));
    }
    assert!(!is_revoked(harness.local(), 1_000_000, NOW));
    harness.answer(Instant::now(), (0, 0), vec![session(1_000_000), session(1_000_001)]);
    assert!(!harness.local().is_complete());
    assert_eq!(harness.local().revocations.len(), 1_000_000);
    harness.answer(Instant::now(), (0, 0), vec![]);
    assert!(!harness.local().is_complete(), "an entry is missing");
    // Requested again only when there is space, and not before a minute has passed.
    advance(ms(60_000)).await;
    harness.follower.expire(Instant::now());
    assert_eq!(harness.follower.round, 0);
    advance(ms(3_600_000)).await;
    harness.follower.expire(Instant::now());
    assert_eq!((harness.follower.round, harness.local().revocations.len()), (1, 0));
    assert!(harness.follower.cursor.is_empty());
    harness.answer(Instant::now(), (0, 0), vec![session(1_000_000)]);
    assert!(harness.local().is_complete());
}

#[tokio::test(start_paused = true)]
async fn a_key_is_revoked_once_and_too_many_are_not_understood() {
    let mut harness = Harness::new(VerifierConfig::default());
    let key = |number: u32| {
        let id = Cow::Owned(number.to_string().into_bytes());
        RevocationRow { kind: 4, id, before: UnixSeconds(0) }
    };
    assert!(harness.answer(Instant::now(), (0, 0), vec![key(0)]).key_revoked);
    assert!(!harness.answer(Instant::now(), (0, 0), vec![key(0)]).key_revoked);
    harness.answer(Instant::now(), (0, 0), (1..10_000).map(key).collect());
    assert!(!harness.local().has_unknown_entry.load(Ordering::Acquire));
    harness.answer(Instant::now(), (0, 0), vec![key(10_000)]);
    assert!(harness.local().has_unknown_entry.load(Ordering::Acquire));
}

#[tokio::test(start_paused = true)]
async fn a_row_with_an_id_that_does_not_fit_its_kind_is_not_understood() {
    let short: &[u8] = &[1; 15];
    for (kind, id) in
        [(1, short), (2, &[]), (3, &[1; 16]), (3, b"x"), (4, b""), (4, b"\xff"), (5, b"")]
    {
        let mut harness = Harness::new(VerifierConfig::default());
        let row = RevocationRow { kind, id: Cow::Borrowed(id), before: UnixSeconds(0) };
        harness.answer(Instant::now(), (0, 0), vec![row]);
        let unknown = harness.local().has_unknown_entry.load(Ordering::Acquire);
        assert!(unknown, "kind {kind}, id {id:?}");
    }
}
