//! Retired keys, and the uses of each key.

use user_server::domain::{
    AuditFilter, AuditKind, ChangeContext, KeyUse, NewSession, Origin, Timestamp,
};
use user_server::tokens::Rotation;

use super::fixture::*;

fn by_root(now: Timestamp) -> ChangeContext {
    ChangeContext { at: now, origin: Origin::Operator("root".to_owned()), claim: None }
}

async fn retired(db: &Db) -> Vec<(String, Timestamp)> {
    db.retired_keys().await.unwrap().into_iter().map(|key| (key.kid, key.at)).collect()
}

async fn uses(db: &Db) -> Vec<(String, i64, i64)> {
    let counts = |KeyUse { kid, sessions, codes }| (kid, sessions, codes);
    db.key_uses().await.unwrap().into_iter().map(counts).collect()
}

pub async fn a_key_is_retired_once(db: &Db) {
    assert!(retired(db).await.is_empty());
    assert!(db.retire_key_at("kid-2", by_root(at(5))).await.unwrap());
    assert!(db.retire_key_at("kid-1", by_root(at(9))).await.unwrap());
    assert!(!db.retire_key_at("kid-2", by_root(at(20))).await.unwrap(), "it was retired already");
    let expected = [("kid-2".to_owned(), at(5)), ("kid-1".to_owned(), at(9))];
    assert_eq!(retired(db).await, expected, "in the order of their first retirement");
    let filter = AuditFilter {
        kind: Some(AuditKind::KeyRetired.name().to_owned()),
        limit: 10,
        ..AuditFilter::default()
    };
    let rows = db.entries(&filter).await.unwrap();
    let rows: Vec<_> =
        rows.iter().map(|row| (row.detail.as_str(), row.operator.as_deref(), row.at)).collect();
    assert_eq!(
        rows,
        [("kid-2", Some("root"), at(5)), ("kid-1", Some("root"), at(9))],
        "each once, with the operator"
    );
}

pub async fn sixteen_operators_retire_a_key_once(db: &Db) {
    let results = together((0..16).map(|number| {
        let db = db.clone();
        async move { db.retire_key_at("kid-1", by_root(at(number))).await.unwrap() }
    }))
    .await;
    assert_eq!(results.iter().filter(|first| **first).count(), 1, "{results:?}");
    assert_eq!(retired(db).await.len(), 1);
    let all = AuditFilter { limit: 100, ..AuditFilter::default() };
    assert_eq!(db.entries(&all).await.unwrap().len(), 1);
}

pub async fn the_uses_of_a_key_are_counted(db: &Db) {
    assert!(uses(db).await.is_empty());
    let (ada, first) = user(db, "ada").await;
    let other = NewSession { kid: "kid-2".to_owned(), ..session() };
    assert!(open(db, &ada, &other, NOW).await);
    register(db, "grace", "grace@example.org", "client", NOW).await;
    request_reset(db, "ada@example.org", NOW).await;
    assert_eq!(uses(db).await, [("kid-1".to_owned(), 1, 2), ("kid-2".to_owned(), 1, 0)]);
    // A refresh moves its session to the current key.
    assert!(matches!(
        db.rotate_at(first.id, 0, "kid-2", NOW).await.unwrap(),
        Rotation::Advanced(_)
    ));
    assert_eq!(uses(db).await, [("kid-1".to_owned(), 0, 2), ("kid-2".to_owned(), 2, 0)]);
    db.retire_key_at("kid-2", by_root(NOW)).await.unwrap();
    assert_eq!(uses(db).await[1].1, 2, "rows stay until their retention ends");
    db.end_all_sessions_at(ada.id, NOW).await.unwrap();
    assert_eq!(uses(db).await, [("kid-1".to_owned(), 0, 1)], "ending the sessions voids the reset");
}
