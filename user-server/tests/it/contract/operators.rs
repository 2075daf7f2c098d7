//! The operator's commands for accounts.

use user_server::domain::{
    AuditFilter, AuditKind, ChangeContext, EmailSetResult, Imported, LogPart, MailKind, NewUser,
    Notice, Origin, Purpose, Subject, Username,
};
use user_server::tokens::Rotation;
use uuid::Uuid;

use super::fixture::*;

const BCRYPT: &str = "$2b$10$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";

fn new_user(name: &str, address: &str) -> NewUser {
    NewUser {
        id: Uuid::new_v4(),
        username: Username::parse(name).unwrap(),
        email: email(address),
        password_hash: BCRYPT.to_owned(),
        created_at: at(5),
        disabled_at: None,
    }
}

fn copy(user: &NewUser) -> NewUser {
    NewUser { id: user.id, ..new_user(user.username.shown(), user.email.shown()) }
}

pub async fn a_disabled_account_opens_no_session(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let reset = request_reset(db, "ada@example.org", NOW).await;
    send_all(db, NOW).await;
    let ended = db.disable_at(ada.id, at(1)).await.unwrap().unwrap();
    assert_eq!((ended.sessions, ended.subjects), (1, vec![Subject::Session(first.id)]));
    assert!(
        db.revocations(&LogPart::since(at(1)))
            .await
            .unwrap()
            .entries
            .iter()
            .any(|entry| entry.subject == Subject::Session(first.id))
    );
    assert!(is_void(db, reset, Purpose::PasswordReset, at(1)).await, "codes are voided");
    assert!(!open(db, &ada, &session(), at(1)).await, "an earlier proof of the password is stale");
    let now = db.user(ada.id).await.unwrap().unwrap();
    assert!(now.disabled);
    db.disable_at(ada.id, at(9)).await.unwrap().unwrap();
    assert_eq!(
        db.account(ada.id).await.unwrap().unwrap().disabled_at,
        Some(at(1)),
        "the time of the first call stays"
    );
    assert!(db.enable_at(ada.id, at(2)).await.unwrap());
    let now = db.user(ada.id).await.unwrap().unwrap();
    assert!(!now.disabled && open(db, &now, &session(), at(2)).await);
    assert!(
        db.disable_at(Uuid::new_v4(), NOW).await.unwrap().is_none()
            && !db.enable_at(Uuid::new_v4(), NOW).await.unwrap()
    );
}

pub async fn accounts_are_listed_by_name(db: &Db) {
    for name in ["grace", "Ada", "barbara"] {
        user(db, name).await;
    }
    let all = db.accounts_after("", 10).await.unwrap();
    assert_eq!(
        all.iter().map(|account| account.username.as_str()).collect::<Vec<_>>(),
        ["Ada", "barbara", "grace"]
    );
    assert_eq!((all[0].sessions, all[0].email.as_str()), (1, "Ada@example.org"));
    assert_eq!(db.accounts_after("ada", 1).await.unwrap()[0], all[1]);
    assert!(db.accounts_after("grace", 10).await.unwrap().is_empty());
    assert!(db.account(Uuid::new_v4()).await.unwrap().is_none());
}

pub async fn accounts_are_found_by_the_start_of_a_name_or_address(db: &Db) {
    for name in ["Ada", "adam", "barbara"] {
        user(db, name).await;
    }
    let grace = NewUser { email: email("adage@example.net"), ..new_user("grace", "g@example.org") };
    assert_eq!(db.create_account_at(&grace, NOW).await.unwrap(), Imported::Added);
    let found = async |prefix: &str, limit| {
        let accounts = db.accounts_like(prefix, limit).await.unwrap();
        accounts.into_iter().map(|account| account.username).collect::<Vec<_>>()
    };
    assert_eq!(found("ada", 10).await, ["Ada", "adam", "grace"]);
    assert_eq!(found("ada", 2).await, ["Ada", "adam"]);
    assert_eq!(found("adam@example", 10).await, ["adam"]);
    for nothing in ["adb", "bc", "da", "%", "a%", "_da", "adamant"] {
        assert!(found(nothing, 10).await.is_empty(), "{nothing}");
    }
}

pub async fn an_operator_creates_an_account_and_sets_its_address(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let grace = new_user("Grace", "grace@example.org");
    assert_eq!(db.create_account_at(&grace, NOW).await.unwrap(), Imported::Added);
    for (name, address, expected) in [
        ("GRACE", "other@example.org", Imported::UsernameTaken),
        ("other", "Grace@example.org", Imported::EmailTaken),
    ] {
        let taken = db.create_account_at(&new_user(name, address), NOW).await.unwrap();
        assert_eq!(taken, expected);
    }
    let reset = request_reset(db, "ada@example.org", NOW).await;
    send_all(db, NOW).await;
    let set = async |id, address| db.set_email_at(id, &email(address), at(1)).await.unwrap();
    assert_eq!(set(ada.id, "GRACE@example.org").await, EmailSetResult::Taken);
    assert_eq!(set(Uuid::new_v4(), "new@example.org").await, EmailSetResult::Gone);
    assert_eq!(db.user(ada.id).await.unwrap().unwrap().email, "ada@example.org");
    assert_eq!(set(ada.id, "New@example.org").await, EmailSetResult::Set);
    let now = db.user(ada.id).await.unwrap().unwrap();
    assert_eq!((now.email.as_str(), now.version), ("New@example.org", ada.version + 1));
    assert!(is_void(db, reset, Purpose::PasswordReset, at(1)).await);
    assert!(db.session_owner(first.id).await.unwrap().is_some(), "sessions stay");
    let sent = send_all(db, at(1)).await;
    let notice = sent.iter().find(|mail| mail.kind == MailKind::Notice(Notice::EmailChanged));
    assert_eq!(notice.unwrap().recipient.mailbox, "ada@example.org", "the old address is notified");
}

pub async fn an_import_does_not_replace_existing_users(db: &Db) {
    user(db, "ada").await;
    let grace = new_user("Grace", "grace@example.org");
    let users = [
        copy(&grace),
        new_user("ADA", "other@example.org"),
        new_user("other", "ADA@example.org"),
        new_user("grace", "second@example.org"),
        copy(&grace),
    ];
    use Imported::{Added, AlreadyThere, EmailTaken, IdTaken, UsernameTaken};
    let expected = [Added, UsernameTaken, EmailTaken, UsernameTaken, AlreadyThere];
    assert_eq!(db.import(&users, true).await.unwrap(), expected);
    assert!(db.user(grace.id).await.unwrap().is_none(), "a dry run stores nothing");
    assert_eq!(db.import(&users, false).await.unwrap(), expected);
    assert_eq!(db.import(&[copy(&grace)], false).await.unwrap(), [AlreadyThere]);
    let renamed = NewUser { id: grace.id, ..new_user("hopper", "grace@example.org") };
    assert_eq!(db.import(&[renamed], false).await.unwrap(), [IdTaken]);
    let found = db.user(grace.id).await.unwrap().unwrap();
    assert_eq!((found.username.as_str(), found.username_key.as_str()), ("Grace", "grace"));
    assert_eq!(
        (found.password_hash.as_str(), found.created_at, found.disabled),
        (BCRYPT, at(5), false)
    );
    assert!(db.import(&[], false).await.unwrap().is_empty());
}

pub async fn an_export_returns_every_imported_user(db: &Db) {
    let users: Vec<NewUser> = (0..25)
        .map(|number| new_user(&format!("user{number}"), &format!("user{number}@example.org")))
        .collect();
    assert!(
        db.import(&users, false).await.unwrap().iter().all(|result| *result == Imported::Added)
    );
    let (mut ids, mut last) = (Vec::new(), Uuid::nil());
    loop {
        let page = db.export(last, 10).await.unwrap();
        assert!(page.len() <= 10);
        let Some(end) = page.last() else { break };
        last = end.id;
        assert!(page.iter().all(|user| user.password_hash == BCRYPT && user.created_at == at(5)));
        ids.extend(page.iter().map(|user| user.id));
    }
    let mut expected: Vec<Uuid> = users.iter().map(|user| user.id).collect();
    expected.sort();
    assert_eq!(ids, expected);
}

pub async fn the_classes_of_hashes_are_listed(db: &Db) {
    assert!(db.hash_classes().await.unwrap().is_empty());
    let own =
        "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    let mut ada = new_user("ada", "ada@example.org");
    let mut grace = new_user("grace", "grace@example.org");
    let (mut hopper, id) = (new_user("hopper", "hopper@example.org"), ada.id);
    grace.password_hash = own.to_owned();
    hopper.password_hash = BCRYPT.replace("$2b$10$", "$2y$12$");
    ada.password_hash = BCRYPT.to_owned();
    db.import(&[ada, grace, hopper], false).await.unwrap();
    let classes = db.hash_classes().await.unwrap();
    assert_eq!(classes.len(), 3, "{classes:?}");
    for class in ["$2b$10", "$2y$12", "$argon2id$v=19$m=19456,t=2,p=1"] {
        assert!(classes.iter().any(|known| known == class), "{class}: {classes:?}");
    }
    let ada = db.user(id).await.unwrap().unwrap();
    db.open_session_at(&ada, &session(), Some(own), Adjustment::nothing(), NOW)
        .await
        .unwrap()
        .unwrap();
    assert!(
        !db.hash_classes().await.unwrap().contains(&"$2b$10".to_owned()),
        "no user has this class any more"
    );
}

pub async fn a_restored_store_ends_all_sessions(db: &Db) {
    let (ada, first) = user(db, "ada").await;
    let waiting = register(db, "grace", "grace@example.org", "client", at(1)).await;
    let reset = request_reset(db, "ada@example.org", at(1)).await;
    let root =
        ChangeContext { at: at(2), origin: Origin::Operator("root".to_owned()), claim: None };
    assert_eq!(db.forget_sessions_at(root.clone()).await.unwrap(), 1);
    let filter = AuditFilter {
        kind: Some(AuditKind::Restored.name().to_owned()),
        limit: 10,
        ..AuditFilter::default()
    };
    let rows = db.entries(&filter).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.operator.as_deref()).collect::<Vec<_>>(), [Some("root")]);
    assert!(matches!(db.rotate_at(first.id, 0, "kid-1", at(3)).await.unwrap(), Rotation::Gone));
    for (id, purpose) in [(waiting, Purpose::Registration), (reset, Purpose::PasswordReset)] {
        assert!(is_void(db, id, purpose, at(3)).await);
    }
    assert!(send_all(db, at(3)).await.is_empty(), "no email with a voided code");
    assert!(
        db.revocations(&LogPart::since(at(2)))
            .await
            .unwrap()
            .entries
            .iter()
            .any(|entry| entry.subject == Subject::Everyone)
    );
    assert!(open(db, &ada, &session(), at(4)).await);
    register(db, "grace", "grace@example.org", "client", at(4)).await;
    assert_eq!(send_all(db, at(4)).await.len(), 1, "a new code is sent");
    db.delete_user_at(&ada, at(5)).await.unwrap().unwrap();
    assert!(
        send_all(db, at(5)).await.iter().all(|mail| mail.kind == MailKind::Notice(Notice::Deleted))
    );
}
