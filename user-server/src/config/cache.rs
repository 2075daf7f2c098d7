//! Settings of the cache that the nodes share.

use crate::cache::{RedisAuthorities, RedisServer};

use super::vars::Reader;

const URL_HINT: &str = "Set REDIS_URL to a URL such as redis://user:password@host:6379, \
                        rediss://host or unix:/run/redis.sock.";
const CA_HINT: &str = "Set REDIS_CA to a PEM file with the certificate of the server's authority.";

/// Reads the address of the Redis server. Returns `None` if it is not set.
pub(super) fn read(vars: &mut Reader<'_>) -> Option<RedisServer> {
    let ca = vars.optional("REDIS_CA");
    let Some(url) = vars.optional("REDIS_URL") else {
        vars.reject_without("REDIS_CA", "REDIS_URL");
        return None;
    };
    let server = match RedisServer::parse(&url) {
        Ok(server) => server,
        Err(error) => {
            let hint = if error.contains("feature") {
                "Set REDIS_URL to one server, or use a build with that feature."
            } else {
                URL_HINT
            };
            vars.error("REDIS_URL", format!("invalid value for REDIS_URL: {error}"), hint);
            return None;
        }
    };
    let Some(path) = ca else { return Some(server) };
    let read =
        std::fs::read(&path).map_err(|error| error.to_string()).and_then(RedisAuthorities::parse);
    match read.and_then(|authorities| server.with_authorities(&authorities)) {
        Ok(server) => Some(server),
        Err(error) => {
            vars.invalid("REDIS_CA", &path, &error, CA_HINT);
            None
        }
    }
}
