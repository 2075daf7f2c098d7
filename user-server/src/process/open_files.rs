//! The limit of open files. Each connection is one.

/// Open files besides connections of clients: the database, logs, certificates, emails, and the
/// listeners.
const RESERVED: u64 = 128;

/// The limit of open files, compared with what the settings need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// Number of files that the process may open, or `None` if there is no limit.
    pub limit: Option<u64>,
    /// Number of files that it may need to open.
    pub needed: u64,
}

impl OpenFiles {
    /// Returns the limit of this process, for a server with at most this number of connections.
    #[must_use]
    pub fn of(max_connections: usize) -> Self {
        let connections = u64::try_from(max_connections).unwrap_or(u64::MAX);
        Self { limit: limits().0, needed: connections.saturating_add(RESERVED) }
    }

    /// Returns the number of connections that the limit has room for, if it is too low.
    #[must_use]
    pub fn shortage(&self) -> Option<u64> {
        self.limit.filter(|limit| *limit < self.needed).map(|limit| limit.saturating_sub(RESERVED))
    }

    /// Returns a sentence that explains a shortage, with what to do.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let (connections, limit) = (self.shortage()?, self.limit?);
        let needed = self.needed;
        Some(format!(
            "the process may open {limit} files, enough for {connections} connections, which is \
             less than MAX_CONNECTIONS; raise the limit to {needed} (LimitNOFILE= of systemd, \
             ulimit -n), or lower MAX_CONNECTIONS"
        ))
    }
}

/// Raises the limit of this process as far as it may, if it is too low for a server with at most
/// this number of connections. Returns the limit that is in force then.
pub fn raise_open_files(max_connections: usize) -> OpenFiles {
    let files = OpenFiles::of(max_connections);
    let (Some(_), (_, maximum)) = (files.shortage(), limits()) else { return files };
    set_limit(maximum.map_or(files.needed, |maximum| maximum.min(files.needed)), maximum);
    OpenFiles::of(max_connections)
}

/// Returns the limit in force, and the one up to which the process may raise it.
#[cfg(target_os = "linux")]
fn limits() -> (Option<u64>, Option<u64>) {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    (limit.current, limit.maximum)
}

#[cfg(target_os = "linux")]
fn set_limit(current: u64, maximum: Option<u64>) {
    let limit = rustix::process::Rlimit { current: Some(current), maximum };
    // A refusal leaves the limit as it was, which is reported.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
}

#[cfg(not(target_os = "linux"))]
fn limits() -> (Option<u64>, Option<u64>) {
    (None, None)
}

#[cfg(not(target_os = "linux"))]
fn set_limit(_: u64, _: Option<u64>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_below_the_connections_is_a_shortage() {
        let files = |limit, needed| OpenFiles { limit, needed };
        assert_eq!(files(None, 10_128).shortage(), None);
        assert_eq!(files(Some(10_128), 10_128).shortage(), None);
        assert_eq!(files(Some(1024), 10_128).shortage(), Some(896));
        assert_eq!(files(Some(64), 10_128).shortage(), Some(0));
        let warning = files(Some(1024), 10_128).warning().unwrap();
        assert!(warning.contains("enough for 896 connections"), "{warning}");
        assert!(warning.contains("10128"), "{warning}");
    }
}
