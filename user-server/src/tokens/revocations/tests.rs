use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);

#[test]
fn it_reports_the_age_of_the_last_read() {
    let limit = Duration::from_secs(30);
    assert_eq!(Revocations::with_age(Duration::ZERO, limit).staleness(Instant::now()), Ok(None));
    let age = Revocations::with_age(Duration::from_secs(5), limit)
        .staleness(Instant::now())
        .unwrap()
        .unwrap();
    assert!((Duration::from_secs(5)..Duration::from_secs(6)).contains(&age), "{age:?}");
    assert_eq!(
        Revocations::with_age(Duration::from_secs(31), limit).staleness(Instant::now()),
        Err(TooStale)
    );
}

#[test]
fn a_strict_limit_is_the_promised_second() {
    assert_eq!(
        Revocations::with_age(Duration::ZERO, Duration::ZERO).staleness(Instant::now()),
        Ok(None)
    );
    assert_eq!(
        Revocations::with_age(Duration::from_millis(1001), Duration::ZERO)
            .staleness(Instant::now()),
        Err(TooStale)
    );
    let (set, millis) = (Revocations::new(Duration::from_secs(5)), Duration::from_millis);
    for (age, expected) in
        [(1000, Ok(None)), (1001, Ok(Some(millis(1001)))), (5000, Ok(Some(millis(5000))))]
    {
        assert_eq!(set.staleness(set.origin + millis(age)), expected, "{age} ms");
    }
    assert_eq!(set.staleness(set.origin + millis(5001)), Err(TooStale));
}

#[test]
fn a_local_revocation_applies_at_once_and_stays_until_its_tokens_have_expired() {
    let (set, ids) = (Revocations::new(Duration::ZERO), [Uuid::new_v4(), Uuid::new_v4()]);
    set.add_ended(
        &EndedSessions {
            subjects: ids.map(Subject::Session).to_vec(),
            sessions: 2,
            issued_until: NOW,
        },
        NOW,
    );
    assert!(set.contains_any([ids[0]]) && set.contains_any([Uuid::new_v4(), ids[1]]));
    assert!(!set.contains_any([Uuid::new_v4(), Uuid::new_v4()]));
    assert_eq!(set.entries(), 2);
    set.add_update(ids[0], 1, NOW);
    let (until, instant) = (NOW.plus(RETENTION), Instant::now() + RETENTION);
    let a_moment = Duration::from_secs(5);
    for (wall, monotonic) in [
        (Timestamp(until.0 - 1), instant + a_moment),
        // The wall clock has jumped forward.
        (until.plus(RETENTION), instant - a_moment),
    ] {
        set.remove_expired(wall, monotonic);
        assert!(set.contains_any([ids[0]]) && set.contains_any([ids[1]]));
        assert_eq!(set.min_version(ids[0]), 1);
    }
    set.remove_expired(until, instant + a_moment);
    assert_eq!((set.entries(), set.min_version(ids[0])), (0, 0));
}

/// Returns the ids of the entries that a client gets after this number.
fn sent(set: &Revocations, from: u64) -> Vec<Uuid> {
    let entries = set.feed.page(from).entries;
    let id = |entry| match entry {
        crate::tokens::Revoked::Session(id) => Some(id),
        _ => None,
    };
    entries.into_iter().filter_map(id).collect()
}

/// A client keeps an entry for [`RETENTION`] after each time it gets it.
#[test]
fn an_entry_is_sent_again_while_its_tokens_outlive_it_at_a_client() {
    let minute = Duration::from_secs(60);
    for ahead in [0, 1, 2, 20, 120, 6000] {
        let (set, began) = (Revocations::new(Duration::ZERO), Instant::now());
        let others = |from, to| -> Vec<Uuid> { (from..to).map(Uuid::from_u128).collect() };
        let add = |id, ahead| {
            let (subject, at) = (Subject::Session(id), NOW.plus(minute * ahead));
            set.add(&[Revocation { seq: 1, subject, at }]);
        };
        others(1, 100).into_iter().for_each(|id| add(id, 0));
        let id = Uuid::from_u128(7 << 64);
        add(id, ahead);
        others(100, 200).into_iter().for_each(|id| add(id, 0));
        let (mut read, mut kept_until) = (set.feed.page(0).entries.len() as u64, began + RETENTION);
        let mut repeats = 0;
        // The last token was issued a minute ahead of the entry, by a clock that is behind.
        for number in 0..ahead + 200 {
            let (now, instant) = (NOW.plus(minute * number), began + minute * number);
            set.remove_expired(now, instant);
            let again = sent(&set, read);
            read += u64::try_from(again.len()).unwrap();
            if again.contains(&id) {
                assert_eq!(again, [id], "only this one is sent again");
                kept_until = instant + RETENTION;
                repeats += 1;
            }
            let is_valid = number < ahead + 60;
            assert!(!is_valid || instant < kept_until, "{ahead}: unknown at {number}");
            assert!(!is_valid || set.contains_any([id]), "{ahead}: unknown here at {number}");
        }
        assert_eq!(repeats > 0, ahead > 1, "{ahead}: {repeats}");
        assert!(repeats <= (ahead + 75) / 15, "{ahead}: {repeats}");
        set.remove_expired(NOW.plus(minute * 7000), began + minute * 7000);
        assert_eq!((set.entries(), sent(&set, 0).len()), (0, 0));
    }
}

/// As after a failover that brought the session back.
#[test]
fn a_session_that_ends_again_is_sent_again() {
    let (set, id) = (Revocations::new(Duration::ZERO), Uuid::from_u128(7));
    let subjects = vec![Subject::Session(id)];
    let ended = EndedSessions { subjects, sessions: 1, issued_until: Timestamp(0) };
    for (number, second) in [(1, 0), (1, 0), (2, 5), (2, 5), (2, 4), (3, 6)] {
        let now = NOW.plus(Duration::from_secs(second));
        set.add_ended(&ended, now);
        set.add(&[Revocation { seq: 1, subject: Subject::Session(id), at: now }]);
        assert_eq!(sent(&set, 0), vec![id; number], "{second} s");
    }
    assert_eq!(set.entries(), 1);
}

#[test]
fn a_version_never_goes_back() {
    let (set, id) = (Revocations::new(Duration::ZERO), Uuid::new_v4());
    assert_eq!(set.min_version(id), 0);
    for (version, least) in [(3, 3), (2, 3), (4, 4)] {
        set.add_update(id, version, NOW);
        assert_eq!(set.min_version(id), least);
    }
}
