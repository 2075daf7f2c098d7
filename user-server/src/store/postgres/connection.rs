//! Connections outside of the pool, for the operators' commands and for startup.

use std::time::Duration;

use sqlx::PgConnection;

use super::hosts::Hosts;
use super::sql;
use crate::domain::Fault;

/// Maximum time to open a connection.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Opens one connection, or fails after [`CONNECT_TIMEOUT`]. `pooler` is set for connections
/// through a transaction pooler.
pub(super) async fn connect(hosts: &Hosts, pooler: bool) -> Result<PgConnection, Fault> {
    let hosts = match pooler {
        true => hosts.map(|options| options.statement_cache_capacity(0).extra_float_digits(None)),
        false => hosts.clone(),
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, hosts.connect()).await {
        Ok(connected) => connected.map_err(sql::fault),
        Err(_) => Err(Fault::Unavailable(format!(
            "no answer within {} s; a firewall may drop the packets",
            CONNECT_TIMEOUT.as_secs()
        ))),
    }
}
