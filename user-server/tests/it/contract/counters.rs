//! Budgets: read, decided and written as if nobody else did.

use std::time::Duration;

use user_server::domain::records::Counter;

use super::fixture::*;

const KEYS: [[u8; 32]; 2] = [[1; 32], [2; 32]];

fn counted(count: u32) -> Counter {
    Counter { count, since: at(1), blocked_until: at(2), expires_at: at(3) }
}

/// What the counters are.
async fn read(db: &Db, keys: &[[u8; 32]]) -> Vec<Counter> {
    let (tell, told) = std::sync::mpsc::channel();
    let look = Box::new(move |counters: &mut [Counter]| {
        tell.send(counters.to_vec()).unwrap();
        Ok(0)
    });
    assert_eq!(db.adjust(keys, look, None).await.unwrap(), Ok(0));
    told.try_iter().last().unwrap()
}

pub async fn a_counter_starts_at_nothing(db: &Db) {
    assert_eq!(read(db, &KEYS).await, [Counter::ZERO, Counter::ZERO]);
    let write = Box::new(|counters: &mut [Counter]| {
        counters[1] = counted(7);
        Ok(42)
    });
    assert_eq!(db.adjust(&KEYS, write, None).await.unwrap(), Ok(42));
    assert_eq!(read(db, &KEYS).await, [Counter::ZERO, counted(7)]);
    let [first, second] = KEYS;
    assert_eq!(read(db, &[second, first]).await, [counted(7), Counter::ZERO], "in the order of the keys");
}

pub async fn a_refusal_changes_nothing(db: &Db) {
    let wait = Duration::from_secs(9);
    let refuse = Box::new(move |counters: &mut [Counter]| {
        counters[0] = counted(7);
        Err(wait)
    });
    assert_eq!(db.adjust(&KEYS, refuse, None).await.unwrap(), Err(wait));
    assert_eq!(read(db, &KEYS).await, [Counter::ZERO, Counter::ZERO]);
}

pub async fn nobody_else_counts_meanwhile(db: &Db) {
    const MOST: u32 = 40;
    let results = together((0..64).map(|number| {
        let db = db.clone();
        async move {
            // Two orders of the same keys: neither deadlocks the other.
            let keys = if number % 2 == 0 { KEYS } else { [KEYS[1], KEYS[0]] };
            let decide = Box::new(|counters: &mut [Counter]| {
                if counters[0].count >= MOST {
                    return Err(Duration::from_secs(1));
                }
                for counter in counters {
                    counter.count += 1;
                }
                Ok(0)
            });
            db.adjust(&keys, decide, None).await.unwrap().is_ok()
        }
    }))
    .await;
    assert_eq!(results.iter().filter(|allowed| **allowed).count(), 40);
    assert!(read(db, &KEYS).await.iter().all(|counter| counter.count == MOST));
}
