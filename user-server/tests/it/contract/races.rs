//! Writers of one network and one account at the same time: they lock rows in one order.

use user_server::domain::{Notice, UserUpdate};
use uuid::Uuid;

use super::fixture::*;

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
