//! A table of users that another service has kept, read page by page. Nothing is written to it.

use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};
use uuid::Uuid;

use super::{PostgresOptions, sql};
use crate::domain::Fault;

/// Rows of one page.
const PAGE: usize = 1000;

/// A table of the shape `users(id uuid, username text, email text, password text, ...)`.
pub struct Table {
    connection: PgConnection,
    first_page: String,
    next_page: String,
    last: Option<Uuid>,
    /// How many rows there were when it was opened.
    pub rows: u64,
    /// Whether it says of each user if the address was verified.
    pub says_verified: bool,
}

/// A row, as it was found.
pub struct TableRow {
    /// The id.
    pub id: Uuid,
    /// The name.
    pub username: Option<String>,
    /// The address.
    pub email: Option<String>,
    /// The hash.
    pub password: Option<String>,
    /// When the account was made: a date, or a number.
    pub created_at: Option<String>,
    /// Whether the address was verified.
    pub verified: Option<bool>,
    /// Since when nobody can log in: a date, or a number.
    pub disabled_at: Option<String>,
}

impl Table {
    /// Opens a table, `name` or `schema.name`.
    ///
    /// # Errors
    /// Where the database can't be reached, or the table is of another shape.
    pub async fn open(options: &PostgresOptions, table: &str) -> Result<Self, Fault> {
        let reading = options.connect.clone().options([("default_transaction_read_only", "on")]);
        let mut connection = reading.connect().await.map_err(sql::fault)?;
        let quoted = table.split('.').map(quote).collect::<Vec<_>>().join(".");
        let columns: Vec<(String, String)> = sqlx::query_as(
            "SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
             WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped",
        )
        .bind(&quoted)
        .fetch_all(&mut connection)
        .await
        .map_err(sql::fault)?;
        let shape = Shape(columns);
        let (select, says_verified) = shape.select(table)?;
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
            says_verified,
        })
    }

    /// The next rows, in the order of ids; none at the end.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn page(&mut self) -> Result<Vec<TableRow>, Fault> {
        let query = match self.last {
            // The text is made of names that were quoted.
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

/// The columns of a table, and their types.
struct Shape(Vec<(String, String)>);

impl Shape {
    /// The first of these columns that is there.
    fn column(&self, names: &[&str]) -> Option<(&str, &str)> {
        let find = |wanted: &&str| self.0.iter().find(|(name, _)| name == *wanted);
        names.iter().find_map(find).map(|(name, kind)| (name.as_str(), kind.as_str()))
    }

    /// What to read, in the order of [`TableRow`], and whether it says who is verified.
    fn select(&self, table: &str) -> Result<(String, bool), Fault> {
        if self.0.is_empty() {
            return Err(Fault::Unavailable(format!(
                "there is no table {table}; name one with --table"
            )));
        }
        if self.column(&["id"]).is_none_or(|(_, kind)| kind != "uuid") {
            return Err(Fault::Unavailable(format!(
                "{table} needs a column `id` of the type uuid"
            )));
        }
        let text = |names: &[&str]| match self.column(names) {
            Some((name, _)) => Ok(format!("{}::text", quote(name))),
            None => Err(Fault::Unavailable(format!(
                "{table} needs a column `{}`",
                names.join("` or `")
            ))),
        };
        let (username, email) = (text(&["username"])?, text(&["email"])?);
        let password = text(&["password", "password_hash", "encrypted_password"])?;
        let moment = |name| match self.column(&[name]) {
            Some((name, kind)) if kind.starts_with("timestamp") || kind == "date" => {
                format!("(EXTRACT(EPOCH FROM {}) * 1000)::bigint::text", quote(name))
            }
            Some((name, _)) => format!("{}::text", quote(name)),
            None => "NULL::text".to_owned(),
        };
        let verified = match self.column(&[
            "verified",
            "email_verified",
            "verified_at",
            "email_verified_at",
        ]) {
            Some((name, "boolean")) => quote(name),
            Some((name, kind)) if kind.starts_with("timestamp") => {
                format!("({} IS NOT NULL)", quote(name))
            }
            _ => "NULL::boolean".to_owned(),
        };
        let says_verified = verified != "NULL::boolean";
        let (created, disabled) = (moment("created_at"), moment("disabled_at"));
        Ok((
            format!("id, {username}, {email}, {password}, {created}, {verified}, {disabled}"),
            says_verified,
        ))
    }
}
