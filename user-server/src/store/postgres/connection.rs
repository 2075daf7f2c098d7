//! Connections outside of the pool, for the operators' commands and for startup.

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};

use super::{ACQUIRE_TIMEOUT, sql};
use crate::domain::Fault;

/// Opens one connection, or fails after [`ACQUIRE_TIMEOUT`]. `pooler` is set for connections
/// through a transaction pooler.
pub(super) async fn connect(
    options: &PgConnectOptions,
    pooler: bool,
) -> Result<PgConnection, Fault> {
    let options = match pooler {
        true => options.clone().statement_cache_capacity(0).extra_float_digits(None),
        false => options.clone(),
    };
    match tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect()).await {
        Ok(connected) => connected.map_err(sql::fault),
        Err(_) => Err(Fault::Unavailable(format!(
            "no answer within {} s; a firewall may drop the packets",
            ACQUIRE_TIMEOUT.as_secs()
        ))),
    }
}
