//! Counters of refresh tokens, ends of sessions, and the revocation log.

use std::time::Duration;

use user_server::domain::{LogPart, Purpose, Subject, Timestamp};
use user_server::tokens::Rotation;
use uuid::Uuid;

use super::fixture::*;

async fn rotate(db: &Db, id: Uuid, counter: u32, now: Timestamp) -> Rotation {
    db.rotate_at(id, counter, "kid-2", now).await.unwrap()
}

pub async fn parallel_refreshes_advance_a_session_once(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let results = together((0..64).map(|_| {
        let db = db.clone();
        async move { rotate(&db, first.id, 0, at(5)).await }
    }))
    .await;
    let mut advanced = 0;
    for result in results {
        let session = match result {
            Rotation::Advanced(session) => {
                advanced += 1;
                session
            }
            Rotation::Repeated(session) => session,
            other => panic!("{other:?}"),
        };
        assert_eq!((session.id, session.user_id, session.counter), (first.id, ada.id, 1));
        assert_eq!(
            (session.created_at, session.rotated_at, session.kid.as_str()),
            (NOW, at(5), "kid-2")
        );
    }
    assert_eq!(advanced, 1);
}

pub async fn the_previous_token_is_accepted_in_the_grace_period(db: &Db) {
    let (_, first) = user(db, "ada").await;
    assert!(matches!(rotate(db, first.id, 0, NOW).await, Rotation::Advanced(_)));
    let Rotation::Repeated(session) = rotate(db, first.id, 0, NOW.plus(GRACE)).await else {
        panic!("within the grace period")
    };
    assert_eq!((session.counter, session.rotated_at), (1, NOW));
    let late = NOW.plus(GRACE + Duration::from_millis(1));
    let Rotation::Stolen(ended) = rotate(db, first.id, 0, late).await else {
        panic!("after the grace period")
    };
    assert_eq!((ended.sessions, ended.subjects), (1, vec![Subject::Session(first.id)]));
    assert!(
        matches!(rotate(db, first.id, 1, late).await, Rotation::Gone),
        "for the thief and for the owner"
    );
}

pub async fn an_older_token_ends_the_session(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let other = session();
    assert!(open(db, &ada, &other, NOW).await);
    assert!(matches!(rotate(db, first.id, 0, NOW).await, Rotation::Advanced(_)));
    assert!(matches!(rotate(db, first.id, 1, NOW).await, Rotation::Advanced(_)));
    assert!(
        matches!(rotate(db, first.id, 0, NOW).await, Rotation::Stolen(_)),
        "the counter before the previous one"
    );
    assert!(!is_live(db, &first).await && is_live(db, &other).await);
    let log = db.revocations(&LogPart::since(NOW)).await.unwrap().entries;
    assert_eq!(
        log.iter().map(|entry| (entry.subject, entry.at)).collect::<Vec<_>>(),
        [(Subject::Session(first.id), NOW)]
    );
}

pub async fn a_counter_that_was_not_issued_is_refused(db: &Db) {
    let (_, first) = user(db, "ada").await;
    assert!(matches!(rotate(db, first.id, 1, NOW).await, Rotation::NotIssued));
    assert!(matches!(rotate(db, first.id, u32::MAX, NOW).await, Rotation::NotIssued));
    assert!(matches!(rotate(db, Uuid::new_v4(), 0, NOW).await, Rotation::Gone));
    assert!(
        matches!(rotate(db, first.id, 0, NOW).await, Rotation::Advanced(_)),
        "the refusals changed nothing"
    );
}

pub async fn a_session_has_an_owner_until_it_ends(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let owner =
        async |id| db.session_owner(id).await.unwrap().map(|owner| (owner.id, owner.version));
    assert_eq!(owner(first.id).await, Some((ada.id, ada.version)));
    assert_eq!(owner(ada.id).await, None);
    db.end_session_at(first.id, NOW).await.unwrap();
    assert_eq!(owner(first.id).await, None);
}

pub async fn a_session_ends_once(db: &Db) {
    let (_, first) = user(db, "ada").await;
    let results = together((0..16).map(|_| {
        let db = db.clone();
        async move { db.end_session_at(first.id, NOW).await.unwrap() }
    }))
    .await;
    assert_eq!(results.iter().map(|ended| ended.sessions).sum::<u32>(), 1);
    assert_eq!(db.revocations(&LogPart::since(NOW)).await.unwrap().entries.len(), 1);
}

pub async fn ending_all_sessions_voids_the_codes(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let (_, session_of_grace) = user(db, "grace").await;
    let second = session();
    assert!(open(db, &ada, &second, NOW).await);
    let reset = request_reset(db, "ada@example.org", NOW).await;
    send_all(db, NOW).await;
    let ended = db.end_all_sessions_at(ada.id, NOW).await.unwrap();
    assert_eq!(ended.sessions, 2);
    assert!(
        !is_live(db, &first).await
            && !is_live(db, &second).await
            && is_live(db, &session_of_grace).await
    );
    assert!(is_void(db, reset, Purpose::PasswordReset, NOW).await);
    assert_eq!(db.end_all_sessions_at(ada.id, NOW).await.unwrap().sessions, 0);
}

pub async fn the_revocation_log_is_read_from_a_given_time(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let second = session();
    assert!(open(db, &ada, &second, NOW).await);
    db.end_session_at(first.id, at(10)).await.unwrap();
    db.end_session_at(second.id, at(20)).await.unwrap();
    let since = async |now| -> Vec<Uuid> {
        db.revocations(&LogPart::since(now))
            .await
            .unwrap()
            .entries
            .iter()
            .map(|entry| entry.subject.id())
            .collect()
    };
    assert_eq!(since(at(10)).await, [first.id, second.id]);
    assert_eq!(since(at(11)).await, [second.id]);
    assert!(since(at(21)).await.is_empty());
}
