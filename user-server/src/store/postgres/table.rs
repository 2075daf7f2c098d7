//! Users table of another service, read page by page for an import. Nothing is written to it.

use sqlx::{AssertSqlSafe, PgConnection, Row};
use uuid::Uuid;

use super::{PostgresOptions, sql};
use crate::domain::Fault;

/// Maximum number of rows of one page.
const PAGE: usize = 1000;

/// Users table of another service to import from, such as `users(id uuid, username text, email
/// text, password text, ...)`.
pub struct Table {
    connection: PgConnection,
    first_page: String,
    next_page: String,
    last: Option<Uuid>,
    /// Number of rows when the table was opened.
    pub rows: u64,
    /// Set if the table has a column that states which email addresses are verified.
    pub has_verified: bool,
}

/// Row of a [`Table`], with values that are not validated.
pub struct TableRow {
    pub id: Uuid,
    pub username: Option<String>,
    pub email: Option<String>,
    /// Password hash.
    pub password: Option<String>,
    /// Time at which the account was created, as the text of a date or a Unix timestamp. `None` if
    /// unknown.
    pub created_at: Option<String>,
    /// `true` if the email address was verified, or `None` if unknown.
    pub verified: Option<bool>,
    /// Time at which the account was disabled, as the text of a date or a Unix timestamp. `None` if
    /// logins are allowed.
    pub disabled_at: Option<String>,
}

impl Table {
    /// Opens the table `name` or `schema.name`.
    ///
    /// # Errors
    /// Fails if the database cannot be reached, or a required column is missing.
    pub async fn open(options: &PostgresOptions, table: &str) -> Result<Self, Fault> {
        let mut connection = options.hosts.connect().await.map_err(sql::fault)?;
        let read_only = sqlx::raw_sql("SET default_transaction_read_only = on");
        read_only.execute(&mut connection).await.map_err(sql::fault)?;
        let quoted = table.split('.').map(quote).collect::<Vec<_>>().join(".");
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        )
        .bind(&quoted)
        .fetch_all(&mut connection)
        .await
        .map_err(sql::fault)?;
        let (select, has_verified) = Columns(columns).select(table)?;
        let page = |condition: &str| {
            format!("SELECT {select} FROM {quoted} {condition} ORDER BY id LIMIT {PAGE}")
        };
        let count = AssertSqlSafe(format!("SELECT COUNT(*) FROM {quoted}"));
        let (rows,): (i64,) =
            sqlx::query_as(count).fetch_one(&mut connection).await.map_err(sql::fault)?;
        Ok(Self {
            connection,
            first_page: page(""),
            next_page: page("WHERE id > $1"),
            last: None,
            rows: u64::try_from(rows).unwrap_or(0),
            has_verified,
        })
    }

    /// Reads the next page of rows, in the order of ids. An empty page means the end of the table.
    ///
    /// # Errors
    /// Fails if the query fails.
    pub async fn page(&mut self) -> Result<Vec<TableRow>, Fault> {
        let query = match self.last {
            // The statement contains only quoted names.
            None => sqlx::query(AssertSqlSafe(self.first_page.clone())),
            Some(last) => sqlx::query(AssertSqlSafe(self.next_page.clone())).bind(last),
        };
        let rows = query.fetch_all(&mut self.connection).await.map_err(sql::fault)?;
        let rows: Vec<TableRow> =
            rows.iter().map(read).collect::<Result<_, _>>().map_err(sql::fault)?;
        self.last = rows.last().map_or(self.last, |row| Some(row.id));
        Ok(rows)
    }
}

fn read(row: &sqlx::postgres::PgRow) -> Result<TableRow, sqlx::Error> {
    Ok(TableRow {
        id: row.try_get(0)?,
        username: row.try_get(1)?,
        email: row.try_get(2)?,
        password: row.try_get(3)?,
        created_at: row.try_get(4)?,
        verified: row.try_get(5)?,
        disabled_at: row.try_get(6)?,
    })
}

fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names of the columns of a table, each with its type.
struct Columns(Vec<(String, String)>);

impl Columns {
    /// Returns the first of the columns `names` that exists, with its type, or `None` if none
    /// exists.
    fn find(&self, names: &[&str]) -> Option<(&str, &str)> {
        let find = |wanted: &&str| self.0.iter().find(|(name, _)| name == *wanted);
        names.iter().find_map(find).map(|(name, kind)| (name.as_str(), kind.as_str()))
    }

    /// Returns the select list for the fields of [`TableRow`], in their order, and `true` if the
    /// table states which email addresses are verified.
    fn select(&self, table: &str) -> Result<(String, bool), Fault> {
        if self.0.is_empty() {
            return Err(Fault::Unavailable(format!(
                "the table {table} does not exist; name another with --table"
            )));
        }
        if self.find(&["id"]).is_none_or(|(_, kind)| kind != "uuid") {
            return Err(Fault::Unavailable(format!(
                "the table {table} has no column `id` of type uuid"
            )));
        }
        let text = |names: &[&str]| match self.find(names) {
            Some((name, _)) => Ok(format!("{}::text", quote(name))),
            None => Err(Fault::Unavailable(format!(
                "the table {table} has no column `{}`",
                names.join("` or `")
            ))),
        };
        let (username, email) = (text(&["username"])?, text(&["email"])?);
        let password = text(&["password", "password_hash", "encrypted_password"])?;
        let moment = |name| match self.find(&[name]) {
            Some((name, kind)) if kind.starts_with("timestamp") || kind == "date" => {
                format!("(EXTRACT(EPOCH FROM {}) * 1000)::bigint::text", quote(name))
            }
            Some((name, _)) => format!("{}::text", quote(name)),
            None => "NULL::text".to_owned(),
        };
        let verified =
            match self.find(&["verified", "email_verified", "verified_at", "email_verified_at"]) {
                Some((name, "boolean")) => quote(name),
                Some((name, kind)) if kind.starts_with("timestamp") => {
                    format!("({} IS NOT NULL)", quote(name))
                }
                _ => "NULL::boolean".to_owned(),
            };
        let has_verified = verified != "NULL::boolean";
        let (created, disabled) = (moment("created_at"), moment("disabled_at"));
        Ok((
            format!("id, {username}, {email}, {password}, {created}, {verified}, {disabled}"),
            has_verified,
        ))
    }
}
