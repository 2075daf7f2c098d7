//! Databases of earlier versions, one for each schema version and database, with the tokens and
//! codes that their users hold.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use user_server::domain::Timestamp;
use user_server::store::{PostgresStore, SqliteStore};
use uuid::Uuid;

use super::sql_dump;
use crate::support::Postgres;

/// The databases that the server supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// State of a service when its database was written.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Fixture {
    /// Time at which the database was written, in milliseconds since 1970.
    pub made_at_ms: i64,
    /// Secret of the tokens and codes.
    pub secret: String,
    /// Sessions that are live.
    pub sessions: Vec<Tokens>,
    /// Sessions that have ended: by a logout, with their account, and by an operator.
    pub ended: Vec<Tokens>,
    /// A registration, to be verified with its code.
    pub registration: Pending,
    /// A change of the email address of the last live session, to be confirmed with its code.
    pub email_change: Pending,
    /// A password reset, to be completed with its code.
    pub reset: Pending,
    /// A registration under [`KEY`] with an email that has not been sent.
    pub unsent: Pending,
}

/// Idempotency key of the registration that has no email yet.
pub const KEY: [u8; 16] = *b"an upgrade's key";

/// Tokens of a session.
#[derive(Debug, Serialize, Deserialize)]
pub struct Tokens {
    pub username: String,
    pub access: String,
    pub refresh: String,
}

/// A code in flight.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Pending {
    pub verification_id: String,
    pub email: String,
    /// Empty if the email has not been sent.
    pub code: String,
}

impl Pending {
    pub fn new(verification_id: Uuid, email: &str, code: &str) -> Self {
        let verification_id = verification_id.to_string();
        Self { verification_id, email: email.to_owned(), code: code.to_owned() }
    }

    pub fn id(&self) -> Uuid {
        self.verification_id.parse().unwrap()
    }
}

impl Database {
    pub const ALL: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// Returns the schema version that this build needs.
    pub fn newest_schema(self) -> i64 {
        match self {
            Self::Sqlite => SqliteStore::newest_schema(),
            Self::Postgres => PostgresStore::newest_schema(),
        }
    }

    /// Returns the migrations after a schema version as `user-server migrate` lists them.
    pub fn migrations_after(self, schema: i64) -> Vec<String> {
        let folder = format!("{}/../migrations/{}", env!("CARGO_MANIFEST_DIR"), self.name());
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name[..4].parse::<i64>().unwrap() > schema)
            .map(|name| name.strip_suffix(".sql").unwrap().replace('_', " "))
            .collect();
        names.sort();
        names
    }

    /// Returns the schema versions that have a fixture, in order.
    pub fn schemas(self) -> Vec<i64> {
        let mut schemas: Vec<i64> = std::fs::read_dir(folder())
            .unwrap()
            .filter_map(|entry| {
                let name = entry.unwrap().file_name().into_string().unwrap();
                let number = name.strip_suffix(".sql")?.strip_prefix(self.name())?;
                number.strip_prefix('_')?.parse().ok()
            })
            .collect();
        schemas.sort_unstable();
        schemas
    }

    fn file(self, schema: i64, extension: &str) -> PathBuf {
        folder().join(format!("{}_{schema:04}.{extension}", self.name()))
    }
}

impl Fixture {
    /// Reads the fixture of a schema version.
    pub fn read(database: Database, schema: i64) -> Self {
        let text = std::fs::read(database.file(schema, "json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }

    /// Writes the fixture of a schema version: its state, and the database as statements.
    pub fn write(&self, database: Database, schema: i64, statements: &str) {
        std::fs::create_dir_all(folder()).unwrap();
        let state = serde_json::to_string_pretty(self).unwrap() + "\n";
        std::fs::write(database.file(schema, "json"), state).unwrap();
        std::fs::write(database.file(schema, "sql"), statements).unwrap();
    }

    pub fn made_at(&self) -> Timestamp {
        Timestamp(self.made_at_ms)
    }
}

/// Returns the migrations that have changed since the database of a schema version was written.
pub fn changed_migrations(database: Database, schema: i64) -> Vec<i64> {
    let statements = std::fs::read_to_string(database.file(schema, "sql")).unwrap().to_lowercase();
    let migrator = match database {
        Database::Sqlite => sqlx::migrate!("../migrations/sqlite"),
        Database::Postgres => sqlx::migrate!("../migrations/postgres"),
    };
    let is_changed = |checksum: &[u8]| {
        let hex: String = checksum.iter().map(|byte| format!("{byte:02x}")).collect();
        !statements.contains(&hex)
    };
    let known = migrator.iter().filter(|migration| migration.version <= schema);
    known.filter(|known| is_changed(&known.checksum)).map(|known| known.version).collect()
}

/// Creates the SQLite database of a schema version at `path`.
pub async fn load_sqlite(schema: i64, path: &Path) {
    let statements = std::fs::read_to_string(Database::Sqlite.file(schema, "sql")).unwrap();
    sql_dump::load_sqlite(&statements, path).await;
}

/// Creates the PostgreSQL database of a schema version, and returns its URL.
pub async fn load_postgres(schema: i64, server: &Postgres) -> String {
    let statements = std::fs::read_to_string(Database::Postgres.file(schema, "sql")).unwrap();
    let url = server.database();
    sql_dump::load_postgres(&statements, &url).await;
    url
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/upgrades")
}
