//! Rows that can't be: each invariant as a statement that finds what breaks it. Only ids leave this
//! file, since values are people's.
//!
//! That nobody is active without a used code is not among them: the code's row is erased in the
//! transaction that makes the account, so nothing is left to look at. The statement that makes an
//! account and the model test hold it.

mod traces;

use async_trait::async_trait;
use uuid::Uuid;

use super::SqlStore;
use super::tx::Tx;
use crate::domain::{
    Email, Fault, Inspection, InspectionBounds, Invariant, Notice, Purpose, Timestamp, Username,
    hash_class,
};

/// Rows that are held in memory at once.
const PAGE: i64 = 500;
/// How far a clock may be ahead of this one, in milliseconds.
const SLACK: i64 = 60_000;
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// The longest life of a code that can be set, and the shortest.
const CODE_LIVES: [i64; 2] = [60_000, HOUR];

/// What has to hold, and the ids of the rows that break it. A parameter's place is its number; each
/// statement ends by how many rows are wanted.
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
        found.push(addresses_of_codes(&mut tx).await?);
        for statement in statements(bounds, now).into_iter().chain(traces::statements(now)) {
            found.push(look(&mut tx, statement).await?);
        }
        found.push(letters(&mut tx).await?);
        tx.finish().await?;
        Ok(found)
    }
}

fn statements(bounds: &InspectionBounds, now: Timestamp) -> Vec<Statement> {
    let soon = now.0.saturating_add(SLACK);
    let most_guesses = i64::from(bounds.policy.max_guesses);
    let [shortest, longest] = CODE_LIVES;
    let millis = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let patience = now.0.saturating_sub(millis(bounds.policy.max_age)).saturating_add(HOUR);
    vec![
        ("users: a change of the password is counted", "SELECT id FROM users WHERE credentials < 1 LIMIT $1", vec![]),
        ("users: a change of the row is counted", "SELECT id FROM users WHERE version < 1 LIMIT $1", vec![]),
        (
            "users: none is in the log of what has ended",
            "SELECT id FROM users WHERE id IN (SELECT subject FROM revocations) LIMIT $1",
            vec![],
        ),
        (
            "sessions: each is a user's",
            "SELECT id FROM sessions WHERE user_id NOT IN (SELECT id FROM users) LIMIT $1",
            vec![],
        ),
        (
            "sessions: none has ended by the log",
            "SELECT id FROM sessions WHERE id IN (SELECT subject FROM revocations) LIMIT $1",
            vec![],
        ),
        (
            "sessions: the counter fits its tokens",
            "SELECT id FROM sessions WHERE counter NOT BETWEEN 0 AND 4294967295 LIMIT $1",
            vec![],
        ),
        (
            "codes: each has what its purpose needs",
            "SELECT id FROM verifications WHERE dead NOT IN (0, 1) OR NOT CASE purpose
                 WHEN 'registration' THEN user_id IS NULL AND username IS NOT NULL AND username_key IS NOT NULL
                     AND password_hash IS NOT NULL
                 WHEN 'email_change' THEN user_id IS NOT NULL
                 WHEN 'password_reset' THEN user_id IS NOT NULL OR dead = 1
                 ELSE 1 = 0 END LIMIT $1",
            vec![],
        ),
        (
            "codes: each allows so many guesses and lives so long",
            "SELECT id FROM verifications WHERE guesses NOT BETWEEN 0 AND $1 OR generation < 0
                 OR (claimed_at IS NULL) <> (expires_at IS NULL) OR (claimed_at IS NULL) <> (generation = 0)
                 OR expires_at - claimed_at NOT BETWEEN $2 AND $3 LIMIT $4",
            vec![most_guesses, shortest, longest],
        ),
        (
            "codes: one that was not mailed has a mail that waits",
            "SELECT id FROM verifications WHERE claimed_at IS NULL AND created_at > $1 AND NOT EXISTS (
                 SELECT 1 FROM outbox WHERE verification_id = verifications.id AND turn_at IS NULL AND settled_at IS NULL
             ) LIMIT $2",
            vec![patience],
        ),
        (
            "mails: each is a code's that waits its turn, or a notice to somebody",
            "SELECT id FROM outbox WHERE attempts < 0 OR NOT CASE
                 WHEN verification_id IS NULL THEN recipient IS NOT NULL AND turn_at IS NOT NULL
                 ELSE budget_key IS NOT NULL AND (turn_at IS NULL OR generation IS NOT NULL) END LIMIT $1",
            vec![],
        ),
        (
            "mails: each that waits is counted where turns are given",
            "SELECT (SELECT id FROM outbox WHERE outbox.budget_key = mails.budget_key AND outbox.letter = mails.letter
                     AND turn_at IS NULL AND settled_at IS NULL LIMIT 1)
             FROM (SELECT budget_key, letter, COUNT(*) AS number FROM outbox
                   WHERE verification_id IS NOT NULL AND turn_at IS NULL AND settled_at IS NULL
                   GROUP BY budget_key, letter) AS mails
             LEFT JOIN mail_turns ON mail_turns.budget_key = mails.budget_key AND mail_turns.letter = mails.letter
             WHERE COALESCE(waiting, 0) < number LIMIT $1",
            vec![],
        ),
        (
            "mails: none waits longer for its turn than a budget makes it",
            "SELECT (SELECT id FROM outbox WHERE outbox.budget_key = mail_turns.budget_key
                     AND outbox.letter = mail_turns.letter LIMIT 1)
             FROM mail_turns WHERE waiting < 0 OR next_at > $1 LIMIT $2",
            vec![now.0.saturating_add(DAY + longest + SLACK)],
        ),
        (
            "mails: no address has had more than its budget",
            "SELECT id FROM (SELECT id, turn_at - LAG(turn_at) OVER turns AS one, turn_at - LAG(turn_at, 5) OVER turns AS five,
                     turn_at - LAG(turn_at, 10) OVER turns AS ten
                 FROM outbox WHERE turn_at IS NOT NULL AND budget_key IS NOT NULL
                 WINDOW turns AS (PARTITION BY budget_key, letter ORDER BY turn_at)) AS turned
             WHERE one < 60000 OR five < 3600000 OR ten < 86400000 LIMIT $1",
            vec![],
        ),
        (
            "budgets: each is spent within its bounds",
            "SELECT (SELECT id FROM users WHERE 1 = 0) FROM counters WHERE count NOT BETWEEN 0 AND 100 OR since > expires_at LIMIT $1",
            vec![],
        ),
        ("times: no user is of the future", "SELECT id FROM users WHERE created_at > $1 LIMIT $2", vec![soon]),
        (
            "times: no session is of the future, or refreshed before it was opened",
            "SELECT id FROM sessions WHERE created_at > $1 OR rotated_at > $1 OR rotated_at < created_at - $2 LIMIT $3",
            vec![soon, SLACK],
        ),
        (
            "times: no code is of the future, or mailed before it was asked for",
            "SELECT id FROM verifications WHERE created_at > $1 OR claimed_at > $1 OR claimed_at < created_at - $2 LIMIT $3",
            vec![soon, SLACK],
        ),
        (
            "times: no mail is of the future, or sent before it was written",
            "SELECT id FROM outbox WHERE created_at > $1 OR turn_at > $1 OR settled_at > $1 OR turn_at < created_at - $2
                 OR settled_at < created_at - $2 LIMIT $3",
            vec![soon, SLACK],
        ),
        ("times: nothing has ended in the future", "SELECT subject FROM revocations WHERE at > $1 LIMIT $2", vec![soon]),
    ]
}

async fn look(tx: &mut Tx, (holds, statement, parameters): Statement) -> Result<Invariant, Fault> {
    let mut query = sqlx::query_as(statement);
    for parameter in parameters {
        query = query.bind(parameter);
    }
    let rows: Vec<(Option<Uuid>,)> =
        tx.all(query.bind(i64::try_from(Invariant::MAX_COUNTED).unwrap_or(i64::MAX))).await?;
    let mut invariant = Invariant { condition: holds, violations: 0, ids: Vec::new() };
    for (id,) in rows {
        note(&mut invariant, id);
    }
    Ok(invariant)
}

fn note(invariant: &mut Invariant, id: Option<Uuid>) {
    invariant.violations = (invariant.violations + 1).min(Invariant::MAX_COUNTED);
    if invariant.ids.len() < Invariant::MAX_IDS {
        invariant.ids.extend(id);
    }
}

/// The keys that users are found by, as the parsers of names and addresses make them; and their
/// hashes.
async fn users(tx: &mut Tx, bounds: &InspectionBounds) -> Result<Vec<Invariant>, Fault> {
    const STATEMENT: &str =
        "SELECT id, username, username_key, email, email_key, mailbox, password_hash, hash_class
        FROM users WHERE id > $1 ORDER BY id LIMIT $2";
    let start = |holds| Invariant { condition: holds, violations: 0, ids: Vec::new() };
    let mut names = start("users: each name has its canonical key");
    let mut addresses = start("users: each address has its canonical key and mailbox");
    let mut hashes = start("users: each password hash can be used");
    let mut classes = start("users: each password hash is of the kind that is noted");
    let mut after = Uuid::nil();
    loop {
        let page: Vec<UserRow> = tx.all(sqlx::query_as(STATEMENT).bind(after).bind(PAGE)).await?;
        let Some(last) = page.last() else { return Ok(vec![names, addresses, hashes, classes]) };
        after = last.id;
        for row in page {
            let id = Some(row.id);
            if !Username::parse(&row.username).is_ok_and(|name| name.key() == row.username_key) {
                note(&mut names, id);
            }
            if !is_canonical(&row.email, &row.email_key, &row.mailbox, None) {
                note(&mut addresses, id);
            }
            if !(bounds.is_hash)(&row.password_hash) {
                note(&mut hashes, id);
            }
            // A version that knew no kinds noted none.
            if row.hash_class.is_some_and(|class| class != hash_class(&row.password_hash)) {
                note(&mut classes, id);
            }
        }
    }
}

#[derive(sqlx::FromRow)]
struct UserRow {
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
struct CodeRow {
    id: Uuid,
    username: Option<String>,
    username_key: Option<String>,
    email: String,
    email_key: String,
    mailbox: String,
    budget_key: String,
}

/// The same of codes.
async fn addresses_of_codes(tx: &mut Tx) -> Result<Invariant, Fault> {
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
        let page: Vec<CodeRow> = tx.all(sqlx::query_as(STATEMENT).bind(after).bind(PAGE)).await?;
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
                note(&mut wrong, Some(row.id));
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

/// The kinds of letters, of which this version can write each.
async fn letters(tx: &mut Tx) -> Result<Invariant, Fault> {
    let kinds: Vec<(String, bool)> = tx
        .all(sqlx::query_as(
            "SELECT letter, verification_id IS NULL FROM outbox GROUP BY 1, 2 LIMIT 1000",
        ))
        .await?;
    let known = |(letter, is_notice): &(String, bool)| match is_notice {
        true => Notice::of_name(letter).is_some(),
        false => Purpose::of_name(letter).is_some(),
    };
    let mut wrong = Invariant {
        condition: "mails: each is a letter that can be written",
        violations: 0,
        ids: Vec::new(),
    };
    for _ in kinds.iter().filter(|kind| !known(kind)) {
        note(&mut wrong, None);
    }
    Ok(wrong)
}
