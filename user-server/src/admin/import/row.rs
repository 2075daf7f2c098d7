//! From a row of text to a user, or the reason why not.

use uuid::Uuid;

use super::super::instant;
use crate::domain::{Email, NewUser, Refusal, Timestamp, Username};
use crate::password::{HashCost, accept};

/// The columns, by the names under which they are exported.
pub(in super::super) const COLUMNS: [&str; 7] =
    ["id", "username", "email", "password_hash", "created_at", "verified", "disabled_at"];
/// The other names that a column is known by.
const ALIASES: [(&str, &str); 4] = [
    ("password", "password_hash"),
    ("hash", "password_hash"),
    ("email_verified", "verified"),
    ("name", "username"),
];

/// A row as it was read: each column's text, where it has one.
#[derive(Default)]
pub(super) struct Row {
    pub(super) id: Option<String>,
    pub(super) username: Option<String>,
    pub(super) email: Option<String>,
    pub(super) password_hash: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) verified: Option<String>,
    pub(super) disabled_at: Option<String>,
}

/// The name in [`COLUMNS`] of a column that a file calls so.
pub(super) fn column(name: &str) -> Option<&'static str> {
    let name = name.trim().trim_start_matches('\u{feff}').to_ascii_lowercase();
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name.as_str(), |(_, column)| column);
    COLUMNS.into_iter().find(|column| *column == name)
}

impl Row {
    /// Sets a column of [`COLUMNS`]; an empty text is none.
    pub(super) fn set(&mut self, column: &str, text: String) {
        let text = Some(text).filter(|text| !text.is_empty());
        match column {
            "id" => self.id = text,
            "username" => self.username = text,
            "email" => self.email = text,
            "password_hash" => self.password_hash = text,
            "created_at" => self.created_at = text,
            "verified" => self.verified = text,
            "disabled_at" => self.disabled_at = text,
            _ => {}
        }
    }
}

/// What rows have to be like.
pub(super) struct Rules {
    /// What own hashes cost.
    pub(super) own: HashCost,
    /// Whether users come in whose address was not verified.
    pub(super) unverified: bool,
    /// What counts for an account that does not say when it was made.
    pub(super) now: Timestamp,
}

impl Rules {
    /// The user of a row, or why it can't be one. The reason holds nothing of the hash.
    pub(super) fn user(&self, row: &Row) -> Result<NewUser, String> {
        let id = text(&row.id, "id")?;
        let id = Uuid::try_parse(id).map_err(|_| "id: it is no UUID")?;
        if id.is_nil() || id.is_max() {
            return Err("id: the first and the last UUID stand for no user".to_owned());
        }
        let username = Username::parse(text(&row.username, "username")?).map_err(why)?;
        let email = Email::parse(text(&row.email, "email")?).map_err(why)?;
        let hash = text(&row.password_hash, "password_hash")?;
        accept(hash, self.own).map_err(|why| format!("password_hash: {why}"))?;
        let verified = match &row.verified {
            None => false,
            Some(text) => truth(text).ok_or("verified: it is neither true nor false")?,
        };
        if !verified && !self.unverified {
            return Err(
                "verified: the address was not; --include-unverified takes it all the same"
                    .to_owned(),
            );
        }
        let created_at = moment(&row.created_at, "created_at")?.unwrap_or(self.now);
        let disabled_at = moment(&row.disabled_at, "disabled_at")?;
        Ok(NewUser { id, username, email, password_hash: hash.to_owned(), created_at, disabled_at })
    }
}

fn text<'a>(value: &'a Option<String>, column: &str) -> Result<&'a str, String> {
    value.as_deref().ok_or_else(|| format!("{column}: it is missing"))
}

fn why(refusal: Refusal) -> String {
    match refusal {
        Refusal::InvalidUsername(why) => format!("username: {why}"),
        Refusal::InvalidEmail(why) => format!("email: {why}"),
        other => other.to_string(),
    }
}

fn truth(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn moment(value: &Option<String>, column: &str) -> Result<Option<Timestamp>, String> {
    match value {
        None => Ok(None),
        Some(text) => match instant::parse(text).filter(|moment| moment.0 >= 0) {
            Some(moment) => Ok(Some(moment)),
            None => Err(format!("{column}: it is no date; write it as 2026-01-31T12:00:00Z")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$10$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";
    const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

    fn row(change: (&str, &str)) -> Row {
        let mut row = Row::default();
        for (column, text) in [
            ("id", ID),
            ("username", "Ada"),
            ("email", "Ada@Example.org"),
            ("password_hash", HASH),
            ("verified", "t"),
        ] {
            row.set(column, text.to_owned());
        }
        row.set(change.0, change.1.to_owned());
        row
    }

    fn rules(unverified: bool) -> Rules {
        Rules { own: HashCost::FLOOR, unverified, now: Timestamp(7) }
    }

    #[test]
    fn a_good_row_is_a_user() {
        let user = rules(false).user(&row(("created_at", "2023-11-14T22:13:20Z"))).unwrap();
        assert_eq!((user.username.shown(), user.email.key()), ("Ada", "ada@example.org"));
        assert_eq!((user.created_at, user.disabled_at), (Timestamp(1_700_000_000_000), None));
        assert_eq!(rules(false).user(&row(("created_at", ""))).unwrap().created_at, Timestamp(7));
    }

    #[test]
    fn a_bad_row_says_why_and_not_its_hash() {
        for (column, text) in [
            ("id", ""),
            ("id", "17"),
            ("id", "00000000-0000-0000-0000-000000000000"),
            ("id", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            ("username", "a@b"),
            ("email", "ada"),
            ("password_hash", "plain text"),
            ("password_hash", ""),
            ("verified", "maybe"),
            ("verified", "f"),
            ("verified", ""),
            ("created_at", "yesterday"),
        ] {
            let Err(why) = rules(false).user(&row((column, text))) else {
                panic!("{column} `{text}` is taken")
            };
            assert!(why.starts_with(&format!("{column}: ")) && !why.contains("plain"), "{why}");
        }
        assert!(
            rules(true).user(&row(("verified", "f"))).is_ok()
                && rules(true).user(&row(("verified", ""))).is_ok()
        );
    }

    #[test]
    fn columns_have_other_names() {
        assert_eq!(column("\u{feff}ID"), Some("id"));
        assert_eq!(column("Password"), Some("password_hash"));
        assert_eq!(column("email_verified"), Some("verified"));
        assert_eq!(column("colour"), None);
    }
}
