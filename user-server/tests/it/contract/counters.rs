//! Budget counters: each charge reads, decides and writes atomically.

use std::time::Duration;

use user_server::domain::{Allowance, BudgetCounter, UserRecord};

use super::fixture::*;

const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];

fn counted(count: u32) -> BudgetCounter {
    BudgetCounter { count, since: at(1), blocked_until: at(2), expires_at: at(3) }
}

/// Reads the counters.
async fn read(db: &Db, keys: &[[u8; 32]]) -> Vec<BudgetCounter> {
    let (sender, receiver) = std::sync::mpsc::channel();
    let read = move |counters: &mut [BudgetCounter]| {
        sender.send(counters.to_vec()).unwrap();
        Ok(Allowance::Full)
    };
    assert_eq!(db.adjust(Adjustment::new(keys, read), None).await.unwrap(), Ok(Allowance::Full));
    receiver.try_iter().last().unwrap()
}

pub async fn a_counter_starts_at_zero(db: &Db) {
    assert_eq!(read(db, &KEYS).await, [BudgetCounter::ZERO, BudgetCounter::ZERO]);
    let write = |counters: &mut [BudgetCounter]| {
        counters[1] = counted(7);
        Ok(Allowance::Reserve)
    };
    assert_eq!(
        db.adjust(Adjustment::new(KEYS, write), None).await.unwrap(),
        Ok(Allowance::Reserve)
    );
    assert_eq!(read(db, &KEYS).await, [BudgetCounter::ZERO, counted(7)]);
    let [first, second] = KEYS;
    assert_eq!(
        read(db, &[second, first]).await,
        [counted(7), BudgetCounter::ZERO],
        "in the order of the keys"
    );
}

pub async fn a_refusal_stores_the_counters_as_decided(db: &Db) {
    let wait = Duration::from_secs(9);
    let refuse = move |counters: &mut [BudgetCounter]| {
        counters[0] = counted(7);
        Err(wait)
    };
    assert_eq!(db.adjust(Adjustment::new(KEYS, refuse), None).await.unwrap(), Err(wait));
    assert_eq!(read(db, &KEYS).await, [counted(7), BudgetCounter::ZERO]);
}

pub async fn opening_a_session_settles_its_charge(db: &Db) {
    let (ada, _) = user(db, "ada").await;
    let pay = |count| {
        Adjustment::new(KEYS, move |counters: &mut [BudgetCounter]| {
            counters[0] = counted(count);
            Ok(Allowance::Full)
        })
    };
    assert!(db.open_session_at(&ada, &session(), None, pay(3), NOW).await.unwrap().is_some());
    assert_eq!(read(db, &KEYS).await, [counted(3), BudgetCounter::ZERO]);
    // The password was right when it was verified, so the attempt is not a failure, although no
    // session is opened.
    let changed = UserRecord { credentials: ada.credentials + 1, ..ada };
    assert!(db.open_session_at(&changed, &session(), None, pay(4), NOW).await.unwrap().is_none());
    assert_eq!(read(db, &KEYS).await, [counted(4), BudgetCounter::ZERO]);
}

pub async fn a_charge_of_values_that_were_read_before_loses_nothing(db: &Db) {
    let add = |read| {
        let add = |counters: &mut [BudgetCounter]| {
            counters[0].count += 1;
            // The other one decides, and is not changed.
            match counters[1].count {
                0 => Ok(Allowance::Full),
                _ => Err(Duration::from_secs(1)),
            }
        };
        Adjustment::new(KEYS, add).after_reading(read)
    };
    let zeros = Some(vec![BudgetCounter::ZERO; 2]);
    let first = db.adjust_and_read(add(zeros.clone()), None, &KEYS).await.unwrap();
    assert_eq!(first.verdict, Ok(Allowance::Full));
    if let Some(after) = &first.read {
        assert_eq!((after[0].count, after[1].count), (1, 0));
    }
    assert_eq!(db.adjust(add(zeros.clone()), None).await.unwrap(), Ok(Allowance::Full));
    let set = |counters: &mut [BudgetCounter]| {
        counters[0] = counted(1);
        Ok(Allowance::Full)
    };
    db.adjust(Adjustment::new([KEYS[1]], set), None).await.unwrap().unwrap();
    let refused = db.adjust(add(first.read.or(zeros)), None).await.unwrap();
    assert_eq!(refused, Err(Duration::from_secs(1)), "the decision follows the stored values");
    assert_eq!(read(db, &KEYS).await[0].count, 3);
}

pub async fn concurrent_charges_are_serialized(db: &Db) {
    const LIMIT: u32 = 40;
    let results = together((0..64).map(|number| {
        let db = db.clone();
        async move {
            // The order of the keys alternates, and causes no deadlock.
            let keys = if number % 2 == 0 { KEYS } else { [KEYS[1], KEYS[0]] };
            let decide = |counters: &mut [BudgetCounter]| {
                if counters[0].count >= LIMIT {
                    return Err(Duration::from_secs(1));
                }
                for counter in counters {
                    counter.count += 1;
                }
                Ok(Allowance::Full)
            };
            db.adjust(Adjustment::new(keys, decide), None).await.unwrap().is_ok()
        }
    }))
    .await;
    assert_eq!(results.iter().filter(|allowed| **allowed).count(), 40);
    assert!(read(db, &KEYS).await.iter().all(|counter| counter.count == LIMIT));
}
