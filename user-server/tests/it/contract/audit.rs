//! The audit log: one event per change, sealed once, and verifiable after an erasure.

use std::sync::Arc;
use std::time::Duration;

use user_server::audit::{ChainVerdict, Sealer, verify};
use user_server::domain::{
    AuditEvent, AuditFilter, AuditKind, AuditRecord, ChangeContext, Clock, Origin, Timestamp,
};
use user_server::keys::{Key, KeyRing};
use uuid::Uuid;

use super::fixture::*;

const RETENTION: Duration = Duration::from_secs(10 * DAY);

fn keys() -> Arc<KeyRing> {
    Arc::new(KeyRing::new(Key::new(&[7; 32]).unwrap(), Vec::new()))
}

struct Fixed(Timestamp);

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Runs this many sealers until no row is left, and returns the number of rows in the chain.
async fn seal(db: &Db, workers: usize, now: Timestamp) -> i64 {
    let tasks: Vec<_> = (0..workers)
        .map(|_| {
            let (log, clock) = (db.clone(), Arc::new(Fixed(now)));
            let sealer =
                Sealer { log, keys: keys(), clock, retention: RETENTION, metrics: Arc::default() };
            tokio::spawn(sealer.run())
        })
        .collect();
    for _ in 0..600 {
        if db.unsealed().await.unwrap().rows == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Another round, which only prunes.
    tokio::time::sleep(Duration::from_millis(100)).await;
    for task in tasks {
        task.abort();
    }
    assert_eq!(db.unsealed().await.unwrap().rows, 0, "unsealed rows");
    db.chain().await.unwrap().seq
}

/// Returns the context of a change by a client at this address.
fn client_at(address: &str, now: Timestamp) -> ChangeContext {
    let ip: std::net::IpAddr = address.parse().unwrap();
    ChangeContext { at: now, origin: Origin::Client(Some(ip.into())), claim: None }
}

fn all() -> AuditFilter {
    AuditFilter { limit: 1000, ..AuditFilter::default() }
}

async fn kinds(db: &Db, filter: AuditFilter) -> Vec<String> {
    db.entries(&filter).await.unwrap().into_iter().map(|entry| entry.kind).collect()
}

pub async fn sixteen_workers_seal_each_row_once(db: &Db) {
    let (_, first) = user(db, "ada").await;
    for number in 0..40 {
        let context = client_at("192.0.2.7", at(number));
        let counter = u32::try_from(number).unwrap();
        db.rotate_at(first.id, counter, "kid-1", context.clone()).await.unwrap();
    }
    let rows = i64::try_from(db.entries(&all()).await.unwrap().len()).unwrap();
    assert!(rows >= 42, "{rows} rows");
    assert_eq!(seal(db, 16, at(60)).await, rows);
    let report = verify(&**db, &keys(), None).await.unwrap();
    assert_eq!((report.verdict, report.head.0), (ChainVerdict::Intact, rows));
    let stranger = KeyRing::new(Key::new(&[8; 32]).unwrap(), Vec::new());
    assert_eq!(verify(&**db, &stranger, None).await.unwrap().verdict, ChainVerdict::KeyUnknown);
}

pub async fn a_deletion_erases_addresses_and_the_chain_stays_valid(db: &Db) {
    let (ada, _) = user(db, "ada").await;
    let (grace, _) = user(db, "grace").await;
    for (user, address) in [(&ada, "192.0.2.7"), (&grace, "192.0.2.8")] {
        db.open_session_at(
            user,
            &session(),
            None,
            Adjustment::nothing(),
            client_at(address, at(1)),
        )
        .await
        .unwrap()
        .unwrap();
    }
    seal(db, 1, at(10)).await;
    let head = verify(&**db, &keys(), None).await.unwrap().head;
    db.delete_user_at(&ada, client_at("192.0.2.7", at(20))).await.unwrap().unwrap();
    seal(db, 1, at(30)).await;
    let entries = db.entries(&all()).await.unwrap();
    let networks: Vec<_> = entries.iter().filter_map(|entry| entry.network.as_deref()).collect();
    assert!(networks.contains(&"192.0.2.8") && !networks.contains(&"192.0.2.7"), "{networks:?}");
    let erased = entries.iter().filter(|entry| entry.user_id == Some(ada.id));
    assert!(erased.clone().count() > 0 && erased.clone().all(|entry| entry.salt.is_none()));
    let report = verify(&**db, &keys(), Some(head)).await.unwrap();
    assert_eq!(report.verdict, ChainVerdict::Intact, "{report:?}");
    assert!(report.erased > 0, "{report:?}");
}

pub async fn old_rows_are_pruned_and_the_rest_stays_valid(db: &Db) {
    user(db, "ada").await;
    let old = seal(db, 1, at(10)).await;
    let head = verify(&**db, &keys(), None).await.unwrap().head;
    let grace = register(db, "grace", "grace@example.org", "client", at(11 * DAY)).await;
    assert!(db.user(grace).await.unwrap().is_none());
    let rows = seal(db, 1, at(11 * DAY)).await;
    // The first round of a sealer prunes too.
    let report = verify(&**db, &keys(), None).await.unwrap();
    assert_eq!(
        (report.verdict, report.first, report.head.0),
        (ChainVerdict::Intact, old + 1, rows),
        "{old}"
    );
    assert_eq!(db.entries(&all()).await.unwrap().len(), 1);
    assert_eq!(
        verify(&**db, &keys(), Some(head)).await.unwrap().verdict,
        ChainVerdict::Intact,
        "the anchor is the old end"
    );
}

/// A sealer prunes a batch at a time, with pauses, and seals new rows meanwhile.
pub async fn more_old_rows_than_a_batch_are_pruned(db: &Db) {
    for number in 0..1_200 {
        let event = AuditEvent::new(AuditKind::Exported).detail(format!("row {number}"));
        db.record(&AuditRecord { context: ChangeContext::from(at(10)), event }).await.unwrap();
    }
    seal(db, 1, at(10)).await;
    let event = AuditEvent::new(AuditKind::Exported).detail("the newest".to_owned());
    db.record(&AuditRecord { context: ChangeContext::from(at(11 * DAY)), event }).await.unwrap();
    let began = std::time::Instant::now();
    // Each call seals, and prunes what it can until the sealer is stopped.
    while seal(db, 1, at(11 * DAY)).await > 0 && db.entries(&all()).await.unwrap().len() > 1 {
        assert!(began.elapsed() < Duration::from_secs(60), "old rows are left");
    }
    let report = verify(&**db, &keys(), None).await.unwrap();
    assert_eq!((report.verdict, report.first), (ChainVerdict::Intact, 1_201));
}

pub async fn rows_are_found_by_user_kind_and_time(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    db.end_session_at(first.id, client_at("192.0.2.7", at(100))).await.unwrap();
    db.enable_at(
        ada.id,
        ChangeContext { at: at(200), origin: Origin::Operator("root".to_owned()), claim: None },
    )
    .await
    .unwrap();
    let of_ada = AuditFilter { user_id: Some(ada.id), ..all() };
    let names =
        |kinds: &[AuditKind]| kinds.iter().map(|kind| kind.name().to_owned()).collect::<Vec<_>>();
    let all_kinds = names(&[AuditKind::Verified, AuditKind::LoggedOut, AuditKind::Enabled]);
    assert_eq!(kinds(db, of_ada.clone()).await, all_kinds);
    let of_kind = AuditFilter { kind: Some("logged_out".to_owned()), ..all() };
    assert_eq!(kinds(db, of_kind).await, names(&[AuditKind::LoggedOut]));
    let late = AuditFilter { since: Some(at(150)), ..of_ada.clone() };
    assert_eq!(kinds(db, late).await, names(&[AuditKind::Enabled]));
    let newest = AuditFilter { limit: 2, ..of_ada };
    assert_eq!(kinds(db, newest).await, names(&[AuditKind::LoggedOut, AuditKind::Enabled]));
    assert!(kinds(db, AuditFilter { user_id: Some(Uuid::new_v4()), ..all() }).await.is_empty());
    let operator = db.entries(&AuditFilter { limit: 1, ..all() }).await.unwrap().remove(0).operator;
    assert_eq!(operator.as_deref(), Some("root"));
}
