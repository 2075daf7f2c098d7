//! The limit of open files. Each connection is one.

/// Number of files that the server opens besides connections of clients: the database, logs,
/// certificates, emails, and the listeners.
const RESERVED: u64 = 128;

/// The limit of open files, and the number that the settings need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenFiles {
    /// Soft limit of the process, or `None` if it is unlimited.
    pub limit: Option<u64>,
    /// Number of files that the process may need to open.
    pub needed: u64,
}

impl OpenFiles {
    /// Returns the limit of open files of this process, for a server with at most `max_connections`
    /// connections.
    #[must_use]
    pub fn of(max_connections: usize) -> Self {
        let connections = u64::try_from(max_connections).unwrap_or(u64::MAX);
        Self { limit: limits().0, needed: connections.saturating_add(RESERVED) }
    }

    /// Returns the number of connections that the limit allows, or `None` if the limit is high
    /// enough.
    #[must_use]
    pub fn shortage(&self) -> Option<u64> {
        self.limit.filter(|limit| *limit < self.needed).map(|limit| limit.saturating_sub(RESERVED))
    }

    /// Returns a sentence that explains the shortage and its remedy, or `None` if the limit is high
    /// enough.
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

/// Raises the soft limit of open files, up to the hard limit, if it is too low for a server with at
/// most `max_connections` connections. Returns the resulting limit.
pub fn raise_open_files(max_connections: usize) -> OpenFiles {
    let files = OpenFiles::of(max_connections);
    let (Some(_), (_, maximum)) = (files.shortage(), limits()) else { return files };
    set_limit(maximum.map_or(files.needed, |maximum| maximum.min(files.needed)), maximum);
    OpenFiles::of(max_connections)
}

/// Returns the soft limit and the hard limit of open files. `None` means unlimited.
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
