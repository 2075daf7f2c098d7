//! Rows of a source, and the rules by which they become users.

use uuid::Uuid;

use crate::admin::timestamps;
use crate::domain::{Email, NewUser, Refusal, Timestamp, Username};
use crate::password::{HashCost, accept};

/// Names of the columns of an export, which an import accepts too.
pub(crate) const COLUMNS: [&str; 7] =
    ["id", "username", "email", "password_hash", "created_at", "verified", "disabled_at"];
/// Other names of columns that an import accepts, with the names in [`COLUMNS`] that they stand
/// for.
const ALIASES: [(&str, &str); 4] = [
    ("password", "password_hash"),
    ("hash", "password_hash"),
    ("email_verified", "verified"),
    ("name", "username"),
];

/// Reason for which a row is rejected if its id is not a UUID.
pub(super) const NOT_A_UUID: &str = "id: not a UUID";

/// The text of each column of a row to import; `None` if it is absent or empty.
#[derive(Default)]
pub(super) struct ImportRow {
    pub(super) id: Option<String>,
    pub(super) username: Option<String>,
    pub(super) email: Option<String>,
    pub(super) password_hash: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) verified: Option<String>,
    pub(super) disabled_at: Option<String>,
}

/// A row of an import's source with its position, or the reason for which it cannot be read.
pub(super) struct SourceRow {
    /// Line of the row in the file, or its number in the table in the order of ids.
    pub(super) line: u64,
    pub(super) row: Result<ImportRow, RowError>,
}

/// The reason for which a row was rejected.
pub(super) struct RowError {
    /// Description of the reason. It contains no part of the password hash.
    pub(super) reason: String,
    /// Text of the row's id, empty if it is unknown.
    pub(super) id: String,
}

impl RowError {
    /// Returns the error of a row with an unknown id.
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), id: String::new() }
    }
}

/// Returns the name in [`COLUMNS`] of a column that a file calls `name`, or `None` if the column is
/// not imported.
pub(super) fn column(name: &str) -> Option<&'static str> {
    let name = name.trim().trim_start_matches('\u{feff}').to_ascii_lowercase();
    let name = ALIASES
        .iter()
        .find(|(alias, _)| *alias == name)
        .map_or(name.as_str(), |(_, column)| column);
    COLUMNS.into_iter().find(|column| *column == name)
}

impl ImportRow {
    /// Sets the text of a column, which is named as in [`COLUMNS`]. An empty text counts as absent.
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

/// Conditions that rows must meet to be imported.
pub(super) struct Rules {
    /// Cost of the password hashes that the service computes itself.
    pub(super) own_cost: HashCost,
    /// Set if users with an unverified address are accepted.
    pub(super) allow_unverified: bool,
    /// Creation time of users for which the source has none, and the latest time that a row may
    /// state.
    pub(super) now: Timestamp,
}

impl Rules {
    /// Converts a row to a user, or returns the reason for which that is impossible. The reason
    /// contains no part of the password hash.
    pub(super) fn user(&self, row: &ImportRow) -> Result<NewUser, String> {
        let id = text(&row.id, "id")?;
        let id = Uuid::try_parse(id).map_err(|_| NOT_A_UUID)?;
        if id.is_nil() || id.is_max() {
            return Err("id: the nil and max UUIDs are reserved".to_owned());
        }
        let username = Username::choose(text(&row.username, "username")?).map_err(reason)?;
        let email = Email::parse(text(&row.email, "email")?).map_err(reason)?;
        let hash = text(&row.password_hash, "password_hash")?;
        accept(hash, self.own_cost).map_err(|error| format!("password_hash: {error}"))?;
        let verified = match &row.verified {
            None => false,
            Some(text) => boolean(text).ok_or("verified: expected true or false")?,
        };
        if !verified && !self.allow_unverified {
            return Err(
                "verified: the address is not verified; --include-unverified imports it anyway"
                    .to_owned(),
            );
        }
        let created_at = self.past(&row.created_at, "created_at")?.unwrap_or(self.now);
        let disabled_at = self.past(&row.disabled_at, "disabled_at")?;
        Ok(NewUser { id, username, email, password_hash: hash.to_owned(), created_at, disabled_at })
    }

    /// Parses a time that must not be in the future.
    fn past(&self, value: &Option<String>, column: &str) -> Result<Option<Timestamp>, String> {
        match time(value, column)? {
            Some(time) if time > self.now => Err(format!("{column}: the time is in the future")),
            time => Ok(time),
        }
    }
}

fn text<'a>(value: &'a Option<String>, column: &str) -> Result<&'a str, String> {
    value.as_deref().ok_or_else(|| format!("{column}: missing"))
}

fn reason(refusal: Refusal) -> String {
    match refusal {
        Refusal::InvalidUsername(reason) => format!("username: {reason}"),
        Refusal::InvalidEmail(reason) => format!("email: {reason}"),
        other => other.to_string(),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

fn time(value: &Option<String>, column: &str) -> Result<Option<Timestamp>, String> {
    match value {
        None => Ok(None),
        Some(text) => match timestamps::parse(text).filter(|time| time.0 >= 0) {
            Some(time) => Ok(Some(time)),
            None => Err(format!("{column}: expected a time such as 2026-01-31T12:00:00Z")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$2b$10$L6Bc/AlTQHyd9liGgGEZyOFLPHNgyxeEPfgYfBCVxJ7JIlwxyVU3u";
    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const ID: &str = "0190163d-8694-739b-aea5-966c26f8ad91";

    fn row(change: (&str, &str)) -> ImportRow {
        let mut row = ImportRow::default();
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

    fn rules(allow_unverified: bool) -> Rules {
        Rules { own_cost: HashCost::FLOOR, allow_unverified, now: NOW }
    }

    #[test]
    fn a_valid_row_becomes_a_user() {
        let user = rules(false).user(&row(("created_at", "2023-11-14T22:13:20Z"))).unwrap();
        assert_eq!((user.username.shown(), user.email.key()), ("Ada", "ada@example.org"));
        assert_eq!((user.created_at, user.disabled_at), (Timestamp(1_700_000_000_000), None));
        assert_eq!(rules(false).user(&row(("created_at", ""))).unwrap().created_at, NOW);
    }

    #[test]
    fn an_invalid_row_has_a_reason_without_its_hash() {
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
            ("created_at", "2030-01-01"),
            ("disabled_at", "2030-01-01"),
        ] {
            let Err(reason) = rules(false).user(&row((column, text))) else {
                panic!("{column} `{text}` is accepted")
            };
            let names_column = reason.starts_with(&format!("{column}: "));
            assert!(names_column && !reason.contains("plain"), "{reason}");
        }
        assert!(
            rules(true).user(&row(("verified", "f"))).is_ok()
                && rules(true).user(&row(("verified", ""))).is_ok()
        );
    }

    #[test]
    fn columns_have_aliases() {
        assert_eq!(column("\u{feff}ID"), Some("id"));
        assert_eq!(column("Password"), Some("password_hash"));
        assert_eq!(column("email_verified"), Some("verified"));
        assert_eq!(column("colour"), None);
    }
}
