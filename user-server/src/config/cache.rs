//! Settings of the cache that the nodes share.

use crate::cache::{RedisAuthorities, RedisServer};

use super::reader::Reader;

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

/// Returns a hint about a Redis server that `check` cannot use, by the error.
#[must_use]
pub fn redis_hint(location: &str, error: &str) -> &'static str {
    let is = |words: &str| error.contains(words);
    if is("NOAUTH") || is("WRONGPASS") || is("uthentication") {
        "check the user and the password in REDIS_URL, as in redis://user:password@host:6379"
    } else if is("DB index") || is("database") {
        "name a database in REDIS_URL that the server has, by default 0 to 15"
    } else if is("NOPERM") {
        "grant the user the commands and names that docs/OPERATIONS.md lists"
    } else if location.starts_with("rediss:") {
        "check that Redis is running and expects TLS on this port; without TLS, use redis://"
    } else if is("timed out") || is("no answer") || is("terminated") || is("closed") {
        "check that Redis is running; if it expects TLS on this port, use rediss://"
    } else {
        "check that Redis is running, the host, port, user and password in REDIS_URL, and the \
         permissions of that user"
    }
}
