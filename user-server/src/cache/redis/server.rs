//! The address and credentials of a Redis or Valkey server, parsed from its URL. The password must
//! never be shown.

use redis::io::tcp::TcpSettings;
use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, TlsCertificates};

/// Address and credentials of a Redis server, or of the seed nodes of a Redis cluster.
#[derive(Clone)]
pub struct RedisServer {
    pub(super) nodes: Vec<ConnectionInfo>,
    pub(super) authorities: Option<TlsCertificates>,
}

/// Certificate authorities to trust for connections to Redis, instead of the public ones.
#[derive(Clone)]
pub struct RedisAuthorities(Vec<u8>);

impl RedisAuthorities {
    /// Parses certificates in PEM format.
    ///
    /// # Errors
    /// Describes why the certificates are not valid.
    pub fn parse(pem: Vec<u8>) -> Result<Self, String> {
        if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
            return Err("contains no certificate in PEM".to_owned());
        }
        let authorities = Self(pem);
        let probe = redis::Client::build_with_tls("rediss://localhost", authorities.certificates());
        probe.map(|_| authorities).map_err(|error| error.to_string())
    }

    fn certificates(&self) -> TlsCertificates {
        TlsCertificates { client_tls: None, root_cert: Some(self.0.clone()) }
    }
}

impl RedisServer {
    /// Parses `redis://user:password@host:port/database`, `rediss://...` for TLS, or `unix:/path`.
    /// A comma-separated list names the nodes of a cluster; after the first, `host:port` is enough.
    ///
    /// # Errors
    /// Describes why the URL is not valid, without the password.
    pub fn parse(url: &str) -> Result<Self, String> {
        let mut parts = url.split(',').map(str::trim);
        let first = node(parts.next().unwrap_or_default())?;
        let mut nodes = vec![first.clone()];
        for part in parts {
            let other = if part.contains("://") {
                node(part)?
            } else {
                node(&format!("{}://{part}", scheme(&first)))?
            };
            nodes.push(first.clone().set_addr(other.addr().clone()));
        }
        if nodes.len() > 1 {
            check_cluster(&first)?;
        }
        Ok(Self { nodes, authorities: None })
    }

    /// Sets the certificate authorities to trust instead of the public ones.
    ///
    /// # Errors
    /// Fails if the connection does not use TLS.
    pub fn with_authorities(mut self, authorities: &RedisAuthorities) -> Result<Self, String> {
        if self.nodes.iter().any(|node| scheme(node) != "rediss") {
            return Err("has no effect without TLS; use rediss://".to_owned());
        }
        self.authorities = Some(authorities.certificates());
        Ok(self)
    }

    /// Returns the URL of the server without user and password.
    #[must_use]
    pub fn location(&self) -> String {
        let addresses: Vec<String> =
            self.nodes.iter().map(|node| node.addr().to_string()).collect();
        let Some(first) = self.nodes.first() else { return String::new() };
        let database = match first.redis_settings().db() {
            0 => String::new(),
            number => format!("/{number}"),
        };
        match first.addr() {
            ConnectionAddr::Unix(path) => format!("unix:{}", path.display()),
            _ if addresses.len() > 1 => {
                format!("{}://{} (cluster)", scheme(first), addresses.join(","))
            }
            _ => format!("{}://{}{database}", scheme(first), addresses.join(",")),
        }
    }
}

impl std::fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RedisServer({})", self.location())
    }
}

fn scheme(node: &ConnectionInfo) -> &'static str {
    match node.addr() {
        ConnectionAddr::Tcp(..) => "redis",
        ConnectionAddr::TcpTls { .. } => "rediss",
        _ => "unix",
    }
}

fn node(url: &str) -> Result<ConnectionInfo, String> {
    let url = redis::parse_redis_url(url)
        .ok_or("expected a URL that begins with redis://, rediss:// or unix:")?;
    let info = url.into_connection_info().map_err(|error| error.to_string())?;
    if let ConnectionAddr::TcpTls { insecure: true, .. } = info.addr() {
        return Err(
            "#insecure is not supported, since it would accept any certificate; set REDIS_CA"
                .to_owned(),
        );
    }
    // RESP3 delivers notifications over the same connection as replies.
    let settings = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Ok(info.set_redis_settings(settings).set_tcp_settings(TcpSettings::default().set_nodelay(true)))
}

#[cfg(feature = "redis-cluster")]
fn check_cluster(first: &ConnectionInfo) -> Result<(), String> {
    match first.addr() {
        ConnectionAddr::Unix(_) => {
            Err("a cluster cannot be reached through a Unix socket".to_owned())
        }
        _ if first.redis_settings().db() != 0 => Err("a cluster has only database 0".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(not(feature = "redis-cluster"))]
fn check_cluster(_: &ConnectionInfo) -> Result<(), String> {
    Err("several nodes need a build with the feature redis-cluster".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_contains_no_password() {
        for (url, location) in [
            ("redis://cache", "redis://cache:6379"),
            ("redis://:geheim@127.0.0.1:7000/3", "redis://127.0.0.1:7000/3"),
            ("rediss://u:geheim@cache.example:7001", "rediss://cache.example:7001"),
            ("valkeys://u:geheim@cache.example", "rediss://cache.example:6379"),
            ("unix:/run/redis.sock?pass=geheim", "unix:/run/redis.sock"),
            ("unix:///run/redis.sock", "unix:/run/redis.sock"),
        ] {
            let server = RedisServer::parse(url).unwrap();
            assert_eq!(server.location(), location);
            assert!(!format!("{server:?}").contains("geheim"));
        }
    }

    #[test]
    fn no_error_contains_the_password() {
        for url in [
            "http://:geheim@cache",
            "redis://:geheim@cache/x",
            "rediss://:geheim@cache#insecure",
            "redis://",
            "",
        ] {
            let error = RedisServer::parse(url).unwrap_err();
            assert!(!error.is_empty() && !error.contains("geheim"), "{url}: {error}");
        }
    }

    #[cfg(feature = "redis-cluster")]
    #[test]
    fn the_nodes_of_a_cluster_share_their_credentials() {
        let server = RedisServer::parse("redis://:geheim@a:7000, b:7001,redis://c:7002").unwrap();
        assert_eq!(server.location(), "redis://a:7000,b:7001,c:7002 (cluster)");
        assert!(server.nodes.iter().all(|node| node.redis_settings().password() == Some("geheim")));
        assert!(RedisServer::parse("redis://a/1,b").unwrap_err().contains("database 0"));
    }

    #[cfg(not(feature = "redis-cluster"))]
    #[test]
    fn a_cluster_needs_its_feature() {
        assert!(RedisServer::parse("redis://a:7000,b:7001").unwrap_err().contains("redis-cluster"));
    }
}
