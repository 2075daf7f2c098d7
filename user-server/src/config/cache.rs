//! The cache that nodes share, as the environment names it.

use crate::cache::{RedisAuthorities, RedisServer};

use super::vars::Reader;

const FORM: &str = "Set it to a URL such as `redis://user:password@host:6379`, `rediss://host` or `unix:/run/redis.sock`.";
const CA_MEND: &str =
    "Name a file with the authority's certificate in PEM (-----BEGIN CERTIFICATE-----).";

/// The server, where one is named. What is wrong with it is noted with the other faults.
pub(super) fn read(vars: &mut Reader<'_>) -> Option<RedisServer> {
    let ca = vars.optional("REDIS_CA");
    let Some(url) = vars.optional("REDIS_URL") else {
        vars.refuse(
            "REDIS_CA",
            "it says how to reach a server that is not named",
            "Set REDIS_URL, or unset this.",
        );
        return None;
    };
    let server = match RedisServer::parse(&url) {
        Ok(server) => server,
        Err(error) => {
            let mend = if error.contains("feature") {
                "Name one server, or build with that feature."
            } else {
                FORM
            };
            vars.fault("REDIS_URL", format!("it can not be used: {error}"), mend.to_owned());
            return None;
        }
    };
    let Some(path) = ca else { return Some(server) };
    let read =
        std::fs::read(&path).map_err(|error| error.to_string()).and_then(RedisAuthorities::parse);
    match read.and_then(|authorities| server.with_authorities(&authorities)) {
        Ok(server) => Some(server),
        Err(error) => {
            vars.fault(
                "REDIS_CA",
                format!("`{path}` can not be used: {error}"),
                CA_MEND.to_owned(),
            );
            None
        }
    }
}
