//! A private PostgreSQL for the tests: on a socket in a folder of its own, gone when the test
//! process is.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server, with a database for whoever asks.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    databases: AtomicUsize,
    /// The server runs as long as its input is open.
    keeper: Mutex<Child>,
}

/// What ends the server when this process ends, however it does: its input closes, and the folder
/// goes with it. A line on its input starts the server again.
const KEEPER: &str = r#"
start() {
    "$1/postgres" -D "$2/data" -k "$2" -h 127.0.0.1 -p "$3" -c fsync=off -c max_connections=200 \
        -c deadlock_timeout=200ms $4 >>"$2/postgres.log" 2>&1 &
}
"$1/initdb" -D "$2/data" -U tests --auth=trust --no-sync --encoding=UTF8 --locale=C >"$2/initdb.log" 2>&1 || exit 1
start "$@"
while read -r _; do
    wait
    start "$@"
done
kill -CONT $! $(ps -o pid= --ppid $!); kill -INT $!; wait; rm -rf "$2"
"#;

/// Names more options for the server, parted by spaces.
pub const POSTGRES_OPTIONS: &str = "TEST_POSTGRES_OPTIONS";

const POSTGRES: &str = "postgresql (PostgreSQL is missing)";

/// The server that all tests share, or `None` where PostgreSQL is not installed.
pub fn postgres() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    SERVER.get_or_init(Postgres::of_its_own).as_ref()
}

/// Whether PostgreSQL is installed; says what is left out where it is not.
pub fn postgres_is_here() -> bool {
    let here = binaries().is_some();
    if !here {
        left_out(POSTGRES);
    }
    here
}

/// Says aloud what a missing program leaves out, by a way that is not captured.
pub fn left_out(what: &str) {
    std::io::stderr().write_all(format!("left out: {what}\n").as_bytes()).unwrap();
}

/// Debian keeps the server's programs out of the path, a folder a version; the newest counts,
/// unless one is named.
fn binaries() -> Option<PathBuf> {
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

impl Postgres {
    /// A server for one test, which may do to it what it likes; `None` where PostgreSQL is not
    /// installed.
    pub fn of_its_own() -> Option<Self> {
        postgres_is_here().then(binaries).flatten().map(|binaries| Self::start(&binaries, "", &[]))
    }

    /// The same with more options, and with files in a folder that they may name as `$folder`.
    pub fn with(options: &str, files: &[(&str, &str)]) -> Option<Self> {
        postgres_is_here()
            .then(binaries)
            .flatten()
            .map(|binaries| Self::start(&binaries, options, files))
    }

    /// Ends every process of the server as a crash would.
    pub fn crash(&self) {
        self.signal("KILL");
    }

    /// Starts it again after a crash; it may take a while until it answers.
    pub fn start_again(&self) {
        writeln!(self.keeper.lock().unwrap().stdin.as_mut().unwrap()).unwrap();
    }

    /// Sends a signal to every process of the server.
    pub fn signal(&self, name: &str) {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap();
        // Itself first, so that it starts no other child meanwhile.
        for select in ["-p", "--ppid"] {
            let pids =
                Command::new("ps").args(["-o", "pid=", select, pid]).output().unwrap().stdout;
            for pid in String::from_utf8(pids).unwrap().split_whitespace() {
                let _ = Command::new("kill").args(["-s", name, pid]).status();
            }
        }
    }

    fn start(binaries: &Path, options: &str, files: &[(&str, &str)]) -> Self {
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
        let mut keeper = keeper(&folder);
        let options = options.replace("$folder", folder.to_str().unwrap());
        let options = format!("{} {options}", std::env::var(POSTGRES_OPTIONS).unwrap_or_default());
        let arguments =
            [binaries.to_str().unwrap(), folder.to_str().unwrap(), &port.to_string(), &options];
        keeper.args(["-c", KEEPER, "keeper"]).args(arguments);
        let child = keeper
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server =
            Self { folder, port, databases: AtomicUsize::new(0), keeper: Mutex::new(child) };
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

    /// The URL of a new, empty database.
    pub fn database(&self) -> String {
        self.database_like("template1")
    }

    /// The URL of a new database that is like this one, which nobody may be connected to.
    pub fn database_like(&self, other: &str) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::SeqCst));
        assert!(
            self.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {other}")),
            "{}",
            self.log()
        );
        self.url(&name)
    }

    /// The URL of a database.
    pub fn url(&self, name: &str) -> String {
        format!("postgresql://tests@127.0.0.1:{}/{name}", self.port)
    }

    /// Runs a statement; whether it could be.
    pub fn psql(&self, database: &str, statement: &str) -> bool {
        let url = self.url(database);
        let done = Command::new("psql").args(["-qtA", "-d", &url, "-c", statement]).output();
        done.is_ok_and(|output| output.status.success())
    }

    /// Where its data, its journal and its logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All that it has written.
    pub fn log(&self) -> String {
        let read = |name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default();
        read("initdb.log") + &read("postgres.log")
    }
}

/// A shell as a user that PostgreSQL agrees to run as: any but root.
fn keeper(folder: &Path) -> Command {
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

/// A port that was free just now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A pgbouncer in transaction mode before a server; gone when it is dropped.
pub struct Pgbouncer {
    child: std::process::Child,
    port: u16,
    _folder: TempDir,
}

impl Pgbouncer {
    /// Starts one before `server`; `None` where pgbouncer is not installed.
    pub fn before(server: &Postgres) -> Option<Self> {
        let binary = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"]
            .into_iter()
            .find(|path| Path::new(path).exists());
        let Some(binary) = binary else {
            left_out("pgbouncer (pgbouncer is missing)");
            return None;
        };
        let folder = TempDir::with_prefix("user-pgb-").unwrap();
        let (port, to) = (free_port(), server.port);
        let users = folder.path().join("users");
        std::fs::write(&users, "\"tests\" \"\"\n").unwrap();
        let config = format!(
            "[databases]\n* = host=127.0.0.1 port={to}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = trust\nauth_file = {}\npool_mode = transaction\ndefault_pool_size = 2\nunix_socket_dir =\n",
            users.display()
        );
        let file = folder.path().join("pgbouncer.ini");
        std::fs::write(&file, config).unwrap();
        let mut command = keeper(folder.path());
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

    /// The URL of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://tests@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Pgbouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
