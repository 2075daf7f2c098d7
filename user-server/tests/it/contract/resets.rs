//! Password resets.

use user_server::domain::{LogPart, MailKind, Notice, Purpose};

use super::fixture::*;

pub async fn a_reset_ends_all_sessions_and_codes(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let second = session();
    assert!(open(db, &ada, &second, NOW).await);
    let id = request_reset(db, "ADA@example.org", NOW).await;
    let other = request_reset(db, "ada@example.org", NOW).await;
    let emails = send_all(db, NOW).await;
    assert_eq!(
        (emails.len(), emails[0].recipient.mailbox.as_str(), emails[0].recipient.username.as_str()),
        (1, "ada@example.org", "ada")
    );
    send_all(db, at(60)).await;
    let right = guess(db, id, Purpose::PasswordReset, at(60)).await;
    assert_eq!(db.reset_owner(&right).await.unwrap().unwrap().id, ada.id);
    let reset = db.reset_password_at(&right, "new hash", at(60)).await.unwrap().unwrap();
    assert_eq!((reset.user.password_hash.as_str(), reset.ended.sessions), ("new hash", 2));
    assert!(!is_live(db, &first).await && !is_live(db, &second).await);
    assert!(!open(db, &ada, &session(), at(60)).await, "a proof of the old password is stale");
    assert_eq!(db.revocations(&LogPart::since(at(60))).await.unwrap().entries.len(), 2);
    // The row stays, because it must not reveal the account.
    assert!(guess(db, other, Purpose::PasswordReset, at(60)).await.expired);
    assert!(db.reset_owner(&right).await.unwrap().is_none(), "the code is used up");
    let emails = send_all(db, at(60)).await;
    assert_eq!(emails.len(), 1, "{emails:?}");
    assert_eq!(emails[0].kind, MailKind::Notice(Notice::PasswordReset));
}

pub async fn a_reset_without_an_account_is_dead(db: &Db) {
    register(db, "grace", "grace@example.org", "client", NOW).await;
    send_all(db, NOW).await;
    for address in ["nobody@example.org", "grace@example.org"] {
        let id = request_reset(db, address, NOW).await;
        assert!(send_all(db, NOW).await.is_empty());
        let guess = guess(db, id, Purpose::PasswordReset, NOW).await;
        assert!(guess.dead, "guesses are charged, and never right");
        assert!(db.reset_owner(&guess).await.unwrap().is_none());
    }
}

pub async fn one_code_resets_once(db: &Db) {
    user(db, "ada").await;
    let id = request_reset(db, "ada@example.org", NOW).await;
    send_all(db, NOW).await;
    let guess = guess(db, id, Purpose::PasswordReset, NOW).await;
    let results = together((0..16).map(|number| {
        let (db, guess) = (db.clone(), guess.clone());
        async move {
            db.reset_password_at(&guess, &format!("hash {number}"), NOW).await.unwrap().is_some()
        }
    }))
    .await;
    assert_eq!(results.iter().filter(|done| **done).count(), 1, "{results:?}");
}
