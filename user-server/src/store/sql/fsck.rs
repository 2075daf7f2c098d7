//! The consistency check: each invariant is a statement that selects the rows that violate it. Only
//! ids are reported, since other values are personal data.
//!
//! It cannot check that every account was activated with a code, because the row of the code is
//! deleted in the transaction that creates the account. The statement that creates accounts and the
//! model test ensure this.

mod traces;

use async_trait::async_trait;
use uuid::Uuid;

use super::SqlStore;
use super::tx::Tx;
use crate::domain::{
    Email, Fault, Inspection, InspectionBounds, Invariant, Notice, Purpose, Timestamp, Username,
    hash_class,
};

/// Maximum number of rows in memory at once.
const PAGE: i64 = 500;
/// Tolerated difference between the clocks of nodes, in milliseconds.
const SLACK: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Minimum and maximum lifetime of a code that can be configured, in milliseconds.
const CODE_LIVES: [i64; 2] = [60_000, HOUR];

/// Condition in words, SQL statement that selects the ids of the rows that violate it, and the
/// statement's parameters in order. The limit, which is the last parameter of each statement, is
/// added when it runs.
type Statement = (&'static str, &'static str, Vec<i64>);

#[async_trait]
impl Inspection for SqlStore {
    async fn inspect(
        &self,
        bounds: &InspectionBounds,
        now: Timestamp,
    ) -> Result<Vec<Invariant>, Fault> {
        let mut tx = self.pools.snapshot().await?;
        let mut found = users(&mut tx, bounds).await?;
        found.push(codes(&mut tx).await?);
        for statement in statements(bounds, now).into_iter().chain(traces::statements(now)) {
            found.push(violations(&mut tx, statement).await?);
        }
        found.push(mail_kinds(&mut tx).await?);
        tx.finish().await?;
        Ok(found)
    }
}

fn statements(bounds: &InspectionBounds, now: Timestamp) -> Vec<Statement> {
    let soon = now.0.saturating_add(SLACK);
    let max_guesses = i64::from(bounds.policy.max_guesses);
    let [shortest, longest] = CODE_LIVES;
    let millis = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let dropped = now.0.saturating_sub(millis(bounds.policy.max_age)).saturating_add(HOUR);
    vec![
        ("users: each password version is positive", "SELECT id FROM users WHERE credentials < 1 LIMIT $1", vec![]),
        ("users: each row version is positive", "SELECT id FROM users WHERE version < 1 LIMIT $1", vec![]),
        (
            "users: none is in the revocation log",
            "SELECT id FROM users WHERE id IN (SELECT subject FROM revocations) LIMIT $1",
            vec![],
        ),
        (
            "sessions: each belongs to a user",
            "SELECT id FROM sessions
             WHERE NOT EXISTS (SELECT 1 FROM users WHERE users.id = sessions.user_id) LIMIT $1",
            vec![],
        ),
        (
            "sessions: none is in the revocation log",
            "SELECT id FROM sessions WHERE id IN (SELECT subject FROM revocations) LIMIT $1",
            vec![],
        ),
        (
            "sessions: each counter is within its range",
            "SELECT id FROM sessions WHERE counter NOT BETWEEN 0 AND 4294967295 LIMIT $1",
            vec![],
        ),
        (
            "codes: each has what its purpose needs",
            "SELECT id FROM verifications WHERE dead NOT IN (0, 1, 2) OR NOT CASE purpose
                 WHEN 'registration' THEN user_id IS NULL AND username IS NOT NULL AND username_key IS NOT NULL
                     AND password_hash IS NOT NULL
                 WHEN 'email_change' THEN user_id IS NOT NULL
                 WHEN 'password_reset' THEN user_id IS NOT NULL OR dead IN (1, 2)
                 ELSE 1 = 0 END LIMIT $1",
            vec![],
        ),
        (
            "codes: each has valid guesses, generation and lifetime",
            "SELECT id FROM verifications WHERE guesses NOT BETWEEN 0 AND $1 OR generation < 0
                 OR (claimed_at IS NULL) <> (expires_at IS NULL) OR resends < 0
                 OR expires_at - claimed_at NOT BETWEEN $2 AND $3 LIMIT $4",
            vec![max_guesses, shortest, longest],
        ),
        (
            "codes: each that was not sent has a queued email",
            "SELECT id FROM verifications WHERE claimed_at IS NULL AND created_at > $1 AND dead <> 2
                 AND guesses < $2 AND NOT EXISTS (
                 SELECT 1 FROM outbox WHERE verification_id = verifications.id AND turn_at IS NULL AND settled_at IS NULL
             ) LIMIT $3",
            vec![dropped, max_guesses],
        ),
        (
            "emails: each has the fields of a code or of a notice",
            "SELECT id FROM outbox WHERE attempts < 0 OR NOT CASE
                 WHEN verification_id IS NULL THEN recipient IS NOT NULL
                 ELSE budget_key IS NOT NULL AND (turn_at IS NULL OR generation IS NOT NULL) END LIMIT $1",
            vec![],
        ),
        (
            "emails: each that waits is counted in its mail slot",
            "SELECT (SELECT id FROM outbox WHERE outbox.budget_key = mails.budget_key AND outbox.letter = mails.letter
                     AND turn_at IS NULL AND settled_at IS NULL LIMIT 1)
             FROM (SELECT budget_key, letter, COUNT(*) AS number FROM outbox
                   WHERE budget_key IS NOT NULL AND turn_at IS NULL AND settled_at IS NULL
                   GROUP BY budget_key, letter) AS mails
             LEFT JOIN mail_turns ON mail_turns.budget_key = mails.budget_key AND mail_turns.letter = mails.letter
             WHERE COALESCE(waiting, 0) < number LIMIT $1",
            vec![],
        ),
        (
            "emails: no mail slot is later than its budget requires",
            "SELECT (SELECT id FROM outbox WHERE outbox.budget_key = mail_turns.budget_key
                     AND outbox.letter = mail_turns.letter LIMIT 1)
             FROM mail_turns WHERE waiting < 0 OR next_at > $1 LIMIT $2",
            vec![now.0.saturating_add(DAY + longest + SLACK)],
        ),
        (
            "emails: no address has exceeded its budget",
            "SELECT id FROM (SELECT id, turn_at - LAG(turn_at) OVER turns AS one, turn_at - LAG(turn_at, 5) OVER turns AS five,
                     turn_at - LAG(turn_at, 10) OVER turns AS ten
                 FROM outbox WHERE turn_at IS NOT NULL AND budget_key IS NOT NULL AND verification_id IS NOT NULL
                 WINDOW turns AS (PARTITION BY budget_key, letter ORDER BY turn_at)) AS turned
             WHERE one < 60000 OR five < 3600000 OR ten < 86400000 LIMIT $1",
            vec![],
        ),
        (
            "budgets: each counter is within its bounds",
            "SELECT (SELECT id FROM users WHERE 1 = 0) FROM counters WHERE count NOT BETWEEN 0 AND 100 OR since > expires_at LIMIT $1",
            vec![],
        ),
        ("times: no user was created in the future", "SELECT id FROM users WHERE created_at > $1 LIMIT $2", vec![soon]),
        (
            "times: no session is from the future, or was refreshed before it was opened",
            "SELECT id FROM sessions WHERE created_at > $1 OR rotated_at > $1 OR rotated_at < created_at - $2 LIMIT $3",
            vec![soon, SLACK],
        ),
        (
            "times: no code is from the future, or was sent before it was requested",
            "SELECT id FROM verifications WHERE created_at > $1 OR claimed_at > $1 OR claimed_at < created_at - $2 LIMIT $3",
            vec![soon, SLACK],
        ),
        (
            "times: no email is from the future, or was sent before it was queued",
            "SELECT id FROM outbox WHERE created_at > $1 OR turn_at > $1 OR settled_at > $1 OR turn_at < created_at - $2
                 OR settled_at < created_at - $2 LIMIT $3",
            vec![soon, SLACK],
        ),
        ("times: no revocation is from the future", "SELECT subject FROM revocations WHERE at > $1 LIMIT $2", vec![soon]),
    ]
}

async fn violations(
    tx: &mut Tx,
    (condition, statement, parameters): Statement,
) -> Result<Invariant, Fault> {
    let mut query = sqlx::query_as(statement);
    for parameter in parameters {
        query = query.bind(parameter);
    }
    let rows: Vec<(Option<Uuid>,)> =
        tx.all(query.bind(i64::try_from(Invariant::MAX_COUNTED).unwrap_or(i64::MAX))).await?;
    let mut invariant = Invariant { condition, violations: 0, ids: Vec::new() };
    for (id,) in rows {
        add(&mut invariant, id);
    }
    Ok(invariant)
}

fn add(invariant: &mut Invariant, id: Option<Uuid>) {
    invariant.violations = (invariant.violations + 1).min(Invariant::MAX_COUNTED);
    if invariant.ids.len() < Invariant::MAX_IDS {
        invariant.ids.extend(id);
    }
}

/// Checks that each user's canonical username and email address match the result of parsing the
/// shown ones, and that the password hash can be verified.
async fn users(tx: &mut Tx, bounds: &InspectionBounds) -> Result<Vec<Invariant>, Fault> {
    const STATEMENT: &str =
        "SELECT id, username, username_key, email, email_key, mailbox, password_hash, hash_class
        FROM users WHERE id > $1 ORDER BY id LIMIT $2";
    let start = |condition| Invariant { condition, violations: 0, ids: Vec::new() };
    let mut names = start("users: each name has its canonical key");
    let mut addresses = start("users: each address has its canonical key and mailbox");
    let mut hashes = start("users: each password hash can be verified");
    let mut classes = start("users: each password hash matches its stored class");
    let mut after = Uuid::nil();
    loop {
        let page: Vec<CheckedUser> =
            tx.all(sqlx::query_as(STATEMENT).bind(after).bind(PAGE)).await?;
        let Some(last) = page.last() else { return Ok(vec![names, addresses, hashes, classes]) };
        after = last.id;
        for row in page {
            let id = Some(row.id);
            if !Username::parse(&row.username).is_ok_and(|name| name.key() == row.username_key) {
                add(&mut names, id);
            }
            if !is_canonical(&row.email, &row.email_key, &row.mailbox, None) {
                add(&mut addresses, id);
            }
            if !(bounds.is_hash)(&row.password_hash) {
                add(&mut hashes, id);
            }
            // Empty in rows of versions that stored no class.
            if row.hash_class.is_some_and(|class| class != hash_class(&row.password_hash)) {
                add(&mut classes, id);
            }
        }
    }
}

#[derive(sqlx::FromRow)]
struct CheckedUser {
    id: Uuid,
    username: String,
    username_key: String,
    email: String,
    email_key: String,
    mailbox: String,
    password_hash: String,
    hash_class: Option<String>,
}

#[derive(sqlx::FromRow)]
struct CheckedCode {
    id: Uuid,
    username: Option<String>,
    username_key: Option<String>,
    email: String,
    email_key: String,
    mailbox: String,
    budget_key: String,
}

/// Checks that the canonical usernames and email addresses of pending verifications match the
/// result of parsing the shown ones.
async fn codes(tx: &mut Tx) -> Result<Invariant, Fault> {
    const STATEMENT: &str =
        "SELECT id, username, username_key, email, email_key, mailbox, budget_key FROM verifications
        WHERE id > $1 ORDER BY id LIMIT $2";
    let mut wrong = Invariant {
        condition: "codes: each name and address has its canonical keys",
        violations: 0,
        ids: Vec::new(),
    };
    let mut after = Uuid::nil();
    loop {
        let page: Vec<CheckedCode> =
            tx.all(sqlx::query_as(STATEMENT).bind(after).bind(PAGE)).await?;
        let Some(last) = page.last() else { return Ok(wrong) };
        after = last.id;
        for row in page {
            let named = match (&row.username, &row.username_key) {
                (None, None) => true,
                (Some(name), Some(key)) => {
                    Username::parse(name).is_ok_and(|name| name.key() == key)
                }
                _ => false,
            };
            if !named
                || !is_canonical(&row.email, &row.email_key, &row.mailbox, Some(&row.budget_key))
            {
                add(&mut wrong, Some(row.id));
            }
        }
    }
}

fn is_canonical(shown: &str, key: &str, mailbox: &str, budget_key: Option<&str>) -> bool {
    Email::parse(shown).is_ok_and(|email| {
        email.key() == key
            && email.mailbox() == mailbox
            && budget_key.is_none_or(|budget| email.budget_key() == budget)
    })
}

/// Checks that this version of the server knows the kind of each stored email.
async fn mail_kinds(tx: &mut Tx) -> Result<Invariant, Fault> {
    let kinds: Vec<(String, bool)> = tx
        .all(sqlx::query_as(
            "SELECT letter, verification_id IS NULL FROM outbox GROUP BY 1, 2 LIMIT 1000",
        ))
        .await?;
    let is_known = |(letter, is_notice): &(String, bool)| match is_notice {
        true => Notice::of_name(letter).is_some(),
        false => Purpose::of_name(letter).is_some(),
    };
    let mut wrong =
        Invariant { condition: "emails: each has a known kind", violations: 0, ids: Vec::new() };
    for _ in kinds.iter().filter(|kind| !is_known(kind)) {
        add(&mut wrong, None);
    }
    Ok(wrong)
}
