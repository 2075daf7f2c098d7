//! A PostgreSQL server for the tests, in its own folder. It ends with the test process.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server, in which each test creates its own database.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    databases: AtomicUsize,
    /// Ends the server when its standard input closes.
    supervisor: Mutex<Child>,
}

/// Starts the server, and starts it again for each line on standard input. When standard input
/// closes, stops the server and deletes the folder. With a fifth argument, the server is a standby
/// of the server on that port.
const SUPERVISOR: &str = r#"
start() {
    "$1/postgres" -D "$2/data" -k "$2" -h 127.0.0.1 -p "$3" -c fsync=off -c max_connections=200 \
        -c deadlock_timeout=200ms $4 >>"$2/postgres.log" 2>&1 &
}
if [ -n "$5" ]; then
    "$1/pg_basebackup" -D "$2/data" -h 127.0.0.1 -p "$5" -U tests -X stream -R -c fast \
        >"$2/initdb.log" 2>&1 || exit 1
else
    "$1/initdb" -D "$2/data" -U tests --auth=trust --no-sync --encoding=UTF8 --locale=C \
        >"$2/initdb.log" 2>&1 || exit 1
fi
start "$@"
while read -r _; do
    wait
    start "$@"
done
kill -CONT $! $(ps -o pid= --ppid $!); kill -INT $!; wait; rm -rf "$2"
"#;

/// Environment variable with more options for the server, separated by spaces.
pub const POSTGRES_OPTIONS: &str = "TEST_POSTGRES_OPTIONS";

const LEFT_OUT: &str = "postgresql (PostgreSQL is missing)";

/// Returns the server that the tests share, or `None` if PostgreSQL is not installed.
pub fn postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::dedicated).as_ref()
}

/// Returns `true` if PostgreSQL is installed, and otherwise reports what is left out.
pub fn postgres_is_installed() -> bool {
    let installed = binaries().is_some();
    if !installed {
        left_out(LEFT_OUT);
    }
    installed
}

/// Reports a test that is left out, on standard error and past the capture of the test harness.
pub fn left_out(what: &str) {
    std::io::stderr().write_all(format!("left out: {what}\n").as_bytes()).unwrap();
}

/// Returns the folder of the server's executables: `TEST_POSTGRES_BIN`, or the newest version that
/// is installed. Debian does not add them to `PATH`.
pub(super) fn binaries() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("TEST_POSTGRES_BIN") {
        return Some(named.into());
    }
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|folder| folder.join("initdb").exists())
        .collect();
    versions.sort();
    versions.pop()
}

/// Returns the path of a program that belongs to the server, such as `pg_dump`: one of an older
/// version refuses to work with it. If it is missing, returns `None` and reports what is left out.
pub fn postgres_program(name: &str, purpose: &str) -> Option<PathBuf> {
    let found = binaries().map(|folder| folder.join(name)).filter(|program| program.exists());
    if found.is_none() {
        left_out(&format!("{purpose} ({name} of this PostgreSQL is missing)"));
    }
    found
}

impl Postgres {
    /// Starts a server for one test, which may stop, crash and reconfigure it. Returns `None` if
    /// PostgreSQL is not installed.
    pub fn dedicated() -> Option<Self> {
        postgres_is_installed()
            .then(binaries)
            .flatten()
            .map(|binaries| Self::start(&binaries, "", &[], None))
    }

    /// Like [`Postgres::dedicated`], with more options, and with files in the folder that the
    /// options refer to as `$folder`.
    pub fn with(options: &str, files: &[(&str, &str)]) -> Option<Self> {
        postgres_is_installed()
            .then(binaries)
            .flatten()
            .map(|binaries| Self::start(&binaries, options, files, None))
    }

    /// Starts a standby of this server. From then on, every commit of this server waits until the
    /// standby has it. Returns `None` if `pg_basebackup` is missing.
    pub fn synchronous_standby(&self) -> Option<Self> {
        postgres_program("pg_basebackup", "a failover to a standby")?;
        let standby = Self::start(&binaries().unwrap(), "", &[], Some(self));
        assert!(self.psql("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'"));
        assert!(self.psql("postgres", "SELECT pg_reload_conf()"));
        let synchronous = "SELECT 1 / COUNT(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let began = Instant::now();
        while !self.psql("postgres", synchronous) {
            assert!(began.elapsed() < Duration::from_secs(30), "{}", standby.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(standby)
    }

    /// Makes a standby the primary, and returns once it accepts writes.
    pub fn promote(&self) {
        assert!(self.psql("postgres", "SELECT pg_promote()"), "{}", self.log());
    }

    /// Returns the host and the port.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Kills every process of the server.
    pub fn crash(&self) {
        self.signal("KILL");
    }

    /// Starts the server after a crash, without waiting until it accepts connections.
    pub fn restart(&self) {
        writeln!(self.supervisor.lock().unwrap().stdin.as_mut().unwrap()).unwrap();
    }

    /// Sends a signal to every process of the server.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        signal_processes(pid.lines().next().unwrap(), name);
    }

    fn start(
        binaries: &Path,
        options: &str,
        files: &[(&str, &str)],
        primary: Option<&Self>,
    ) -> Self {
        let folder: PathBuf = TempDir::with_prefix("user-pg-").unwrap().keep();
        for (name, text) in files {
            let mut file = File::options()
                .create_new(true)
                .write(true)
                .mode(0o600)
                .open(folder.join(name))
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }
        let port = free_port();
        let mut supervisor = shell(&folder);
        let options = options.replace("$folder", folder.to_str().unwrap());
        let options = format!("{} {options}", std::env::var(POSTGRES_OPTIONS).unwrap_or_default());
        let primary = primary.map(|primary| primary.port.to_string()).unwrap_or_default();
        let arguments = [
            binaries.to_str().unwrap(),
            folder.to_str().unwrap(),
            &port.to_string(),
            &options,
            &primary,
        ];
        supervisor.args(["-c", SUPERVISOR, "supervisor"]).args(arguments);
        let child = supervisor
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server =
            Self { folder, port, databases: AtomicUsize::new(0), supervisor: Mutex::new(child) };
        let began = Instant::now();
        while !server.psql("postgres", "SELECT 1") {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "PostgreSQL does not start: {}",
                server.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Creates an empty database, and returns its URL.
    pub fn database(&self) -> String {
        self.database_from("template1")
    }

    /// Creates a copy of a database without connections, and returns its URL.
    pub fn database_from(&self, template: &str) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::SeqCst));
        assert!(
            self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}")),
            "{}",
            self.log()
        );
        self.url(&name)
    }

    /// Returns the URL of a database.
    pub fn url(&self, name: &str) -> String {
        format!("postgresql://tests@127.0.0.1:{}/{name}", self.port)
    }

    /// Runs a statement. Returns `false` if it fails.
    pub fn psql(&self, database: &str, statement: &str) -> bool {
        let url = self.url(database);
        let done = Command::new("psql").args(["-qtA", "-d", &url, "-c", statement]).output();
        done.is_ok_and(|output| output.status.success())
    }

    /// Returns the folder that contains the data, the write-ahead log and the server's logs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the logs of `initdb` and of the server.
    pub fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        read("initdb.log") + &read("postgres.log")
    }
}

/// Sends a signal to a process and its children: to the parent first, so that it does not start
/// another child. A killed parent has no children any more, so they are looked up before as well.
pub(super) fn signal_processes(parent: &str, name: &str) {
    let children = || {
        let listed = Command::new("ps").args(["-o", "pid=", "--ppid", parent]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };
    let send = |pids: &str| {
        let _ = Command::new("kill").args(["-s", name]).args(pids.split_whitespace()).output();
    };
    let before = children();
    send(parent);
    send(&(before + &children()));
}

/// Returns a shell under a user that may run PostgreSQL: not root.
pub(super) fn shell(folder: &Path) -> Command {
    if !is_root() {
        return Command::new("bash");
    }
    assert!(Command::new("chown").args(["-R", "postgres"]).arg(folder).status().unwrap().success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "bash"]);
    command
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Returns a port that no server listens on, below those that the system gives to connections and
/// to servers that ask for any port, so that it stays free until a program of a test listens on it.
pub fn free_port() -> u16 {
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id() * 100 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 12_000 + u16::try_from(number % 9_000).unwrap();
        if std::net::TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// A pgbouncer in transaction mode in front of a server. It ends when this value is dropped.
pub struct Pgbouncer {
    child: std::process::Child,
    port: u16,
    _folder: TempDir,
}

impl Pgbouncer {
    /// Starts pgbouncer in front of `server`. Returns `None` if pgbouncer is not installed.
    pub fn before(server: &Postgres) -> Option<Self> {
        Self::with(server, "")
    }

    /// Like [`Pgbouncer::before`], with prepared statements. Returns `None` if pgbouncer does not
    /// support them.
    pub fn with_prepared_statements(server: &Postgres) -> Option<Self> {
        let version = Command::new(pgbouncer()?).arg("--version").output().unwrap().stdout;
        let version = String::from_utf8(version).unwrap();
        let mut numbers = version.split([' ', '.', '\n']).filter_map(|part| part.parse().ok());
        let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
        if version < (1, 21) {
            left_out("prepared statements of pgbouncer (pgbouncer 1.21 is missing)");
            return None;
        }
        Self::with(server, "max_prepared_statements = 300\n")
    }

    /// Like [`Pgbouncer::before`], with more lines of its configuration.
    pub fn with(server: &Postgres, more: &str) -> Option<Self> {
        let binary = pgbouncer()?;
        let folder = TempDir::with_prefix("user-pgb-").unwrap();
        let (port, to) = (free_port(), server.port);
        let users = folder.path().join("users");
        std::fs::write(&users, "\"tests\" \"\"\n").unwrap();
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={to}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nauth_type = trust\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = 2\nunix_socket_dir =\n{more}",
            users.display()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).unwrap();
        let mut command = shell(folder.path());
        command.args(["-c", "exec \"$0\" \"$1\""]).arg(binary).arg(&file);
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "pgbouncer does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { child, port, _folder: folder })
    }

    /// Returns the URL of a database through pgbouncer.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://tests@127.0.0.1:{}/{database}", self.port)
    }
}

/// Returns the path of pgbouncer: `TEST_PGBOUNCER`, or that of the system. Returns `None` if it is
/// not installed.
fn pgbouncer() -> Option<PathBuf> {
    let named = std::env::var_os("TEST_PGBOUNCER").map(PathBuf::from);
    let installed = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(PathBuf::from);
    let found = named.into_iter().chain(installed).find(|path| path.exists());
    if found.is_none() {
        left_out("pgbouncer (pgbouncer is missing)");
    }
    found
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
