//! Writers of one network and one account at the same time: they lock rows in one order.

use user_server::domain::{Allowance, BudgetCounter, Notice, Purpose, UserUpdate, Username};
use uuid::Uuid;

use super::fixture::*;

const KEY: [u8; 32] = [1; 32];

/// Adds one to a counter that logins, changes and deletions of one network share.
fn counted() -> Adjustment {
    let add = |counters: &mut [BudgetCounter]| {
        counters[0].count += 1;
        counters[0].expires_at = at(DAY);
        Ok(Allowance::Full)
    };
    Adjustment::new([KEY], add).after_reading(Some(vec![BudgetCounter::ZERO]))
}

/// Whatever two requests for one account do, they lock its rows in one order: counters, the user,
/// sessions, codes. The database reports a deadlock as a fault, which fails the test.
pub async fn requests_for_one_account_do_not_deadlock(db: &Db) {
    for round in 0..6 {
        let name = format!("kim{round}");
        let (kim, first) = user(db, &name).await;
        let address = format!("{name}@example.org");
        let new_address = email(&format!("new.{address}"));
        let change_id = Uuid::new_v4();
        let update = UserUpdate { email: Some((change_id, new_address)), ..change(&kim, &first) };
        db.update_user_at(update, NOW).await.unwrap();
        let reset_id = request_reset(db, &address, NOW).await;
        send_all(db, NOW).await;
        let new_code = guess(db, change_id, Purpose::EmailChange, at(60)).await;
        let reset_code = guess(db, reset_id, Purpose::PasswordReset, at(60)).await;
        let faults = together((0..96).map(|number| {
            let (db, kim, first) = (db.clone(), kim.clone(), first.clone());
            let (name, address) = (name.clone(), address.clone());
            let (new_code, reset_code) = (new_code.clone(), reset_code.clone());
            async move {
                let now = at(60 + number / 16);
                let credentials = None;
                let known =
                    vec![(KEY, BudgetCounter { expires_at: at(DAY), ..BudgetCounter::ZERO })];
                let result = match number % 8 {
                    0 | 1 => {
                        let session = session();
                        db.open_session_at(&kim, &session, None, counted(), now).await.map(drop)
                    }
                    2 | 3 => {
                        let username = Username::parse(&format!("{name}{number}")).ok();
                        let update =
                            UserUpdate { credentials, username, known, ..change(&kim, &first) };
                        db.update_user_at(update, now).await.map(drop)
                    }
                    4 => {
                        let password_hash = Some(("hash".to_owned(), Notice::PasswordChanged));
                        let charge = counted();
                        let update = change(&kim, &first);
                        let update = UserUpdate { credentials, password_hash, charge, ..update };
                        db.update_user_at(update, now).await.map(drop)
                    }
                    5 => db.end_all_sessions_at(kim.id, now).await.map(drop),
                    6 if number < 40 => db.confirm_email_at(&new_code, now).await.map(drop),
                    6 => db.reset_password_at(&reset_code, "hash", now).await.map(drop),
                    _ if number < 80 => {
                        let request = reset_request(&address, "client");
                        db.request_reset_at(&request, now).await.map(drop)
                    }
                    _ => db.delete_user_at(&kim, now).await.map(drop),
                };
                result.err()
            }
        }))
        .await;
        let faults: Vec<_> = faults.into_iter().flatten().collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
}

pub async fn writers_of_one_network_do_not_deadlock(db: &Db) {
    for round in 0..4 {
        let name = format!("ada{round}");
        let (ada, first) = user(db, &name).await;
        let address = format!("{name}@example.org");
        let new_address = email(&format!("new.{address}"));
        let change_id = Uuid::new_v4();
        let update = UserUpdate { email: Some((change_id, new_address)), ..change(&ada, &first) };
        db.update_user_at(update, NOW).await.unwrap();
        let reset_id = request_reset(db, &address, NOW).await;
        let faults = together((0..48).map(|number| {
            let (db, ada, first, address) =
                (db.clone(), ada.clone(), first.clone(), address.clone());
            async move {
                let (minute, other) = (at(60 + number), format!("{number}.{address}"));
                let result = match number % 6 {
                    0 => db.resend_at(change_id, "client", KIDS, minute).await.map(drop),
                    1 => db.resend_at(reset_id, "client", KIDS, minute).await.map(drop),
                    2 => {
                        let request = reset_request(&address, "client");
                        db.request_reset_at(&request, minute).await.map(drop)
                    }
                    3 => {
                        let email = Some((Uuid::new_v4(), email(&other)));
                        let update = UserUpdate { email, ..change(&ada, &first) };
                        db.update_user_at(update, minute).await.map(drop)
                    }
                    4 => db.claim(&policy(), minute).await.map(drop),
                    _ if number < 40 => {
                        let password_hash = Some(("hash".to_owned(), Notice::PasswordChanged));
                        let update =
                            UserUpdate { credentials: None, password_hash, ..change(&ada, &first) };
                        db.update_user_at(update, minute).await.map(drop)
                    }
                    _ => db.delete_user_at(&ada, minute).await.map(drop),
                };
                result.err()
            }
        }))
        .await;
        let faults: Vec<_> = faults.into_iter().flatten().collect();
        assert!(faults.is_empty(), "{faults:?}");
    }
}
