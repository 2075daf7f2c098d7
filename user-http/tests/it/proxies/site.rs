//! A site: a proxy with its configuration of `examples`, the backend that it protects, user-http
//! and the user service.

use std::fs::File;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::backend::{Backend, Received};
use super::http2::Http2;
use crate::http::{Http, Reply};
use crate::program::Program;
use crate::service::{Account, LiveService};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proxy {
    Nginx,
    Caddy,
    Haproxy,
}

pub(super) struct Site {
    pub(super) service: LiveService,
    pub(super) program: Program,
    pub(super) backend: Backend,
    pub(super) kim: Account,
    pub(super) proxy: Proxy,
    address: SocketAddr,
    /// Where HTTP/2 is spoken without TLS.
    http2: SocketAddr,
    process: Child,
    _folder: TempDir,
}

impl Proxy {
    fn folder(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
            Self::Haproxy => "haproxy",
        }
    }

    /// Returns the executable, if it is installed in a version that the configuration supports.
    fn executable(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Debian keeps servers out of the PATH of users.
        let folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        let found = folders.map(|folder| folder.join(self.folder())).find(|file| file.exists())?;
        if self == Self::Caddy {
            let version = Command::new(&found).arg("version").output().ok()?.stdout;
            let version = String::from_utf8_lossy(&version).into_owned();
            let version = version.trim_start_matches('v').split(' ').next()?;
            let numbers: Vec<u32> =
                version.split('.').map_while(|part| part.parse().ok()).collect();
            return (numbers >= vec![2, 11, 4]).then_some(found);
        }
        Some(found)
    }

    /// Starts the proxy with the configuration in `folder`.
    fn start(self, executable: &Path, folder: &Path) -> Child {
        let mut command = Command::new(executable);
        match self {
            Self::Nginx => {
                let globals = format!("daemon off; pid {}/pid;", folder.display());
                command.args(["-g", &globals, "-c", "nginx.conf", "-e", "stderr", "-p"]).arg(folder)
            }
            Self::Caddy => command.args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"]),
            Self::Haproxy => command.args(["-db", "-f", "haproxy.cfg"]),
        };
        let log = File::create(folder.join("log")).unwrap();
        // WebSocket over HTTP/2, which Go offers only on request.
        command.env("GODEBUG", "http2xconnect=1");
        command.current_dir(folder).env("HOME", folder).env("XDG_DATA_HOME", folder);
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }
}

impl Site {
    /// Starts a site with one user who is logged in. Returns `None` if the proxy is not installed.
    pub(super) fn start(proxy: Proxy) -> Option<Self> {
        Self::start_with(proxy, 1)
    }

    /// Starts a site with a proxy that has the only user-http as several servers, which is possible
    /// with nginx.
    pub(super) fn start_with(proxy: Proxy, servers: usize) -> Option<Self> {
        let Some(executable) = proxy.executable() else {
            let line = format!("left out: {} (the program is missing)\n", proxy.folder());
            std::io::stderr().write_all(line.as_bytes()).unwrap();
            return None;
        };
        let service = LiveService::start();
        let settings = [("JSON_API", "1"), ("LOGIN_URL", "/public/login")];
        let program = Program::start_with(&service.address, &settings);
        let kim = service.register("kim");
        let backend = Backend::start();
        let folder = tempfile::tempdir().unwrap();
        let [port, internal, http2_port] = free_ports();
        let http2_port = if proxy == Proxy::Nginx { http2_port } else { port };
        let replaced = [
            // HTTP/2 without TLS, which HAProxy speaks by default.
            (
                "listen 127.0.0.1:8080;",
                format!("listen 127.0.0.1:{port}; listen 127.0.0.1:{http2_port} http2;"),
            ),
            ("admin off", "admin off\nservers {\nprotocols h1 h2 h2c\n}".to_owned()),
            (":8080", format!(":{port}")),
            ("127.0.0.1:8081", format!("127.0.0.1:{}", backend.port)),
            ("127.0.0.1:3079", format!("127.0.0.1:{internal}")),
            (
                "server 127.0.0.1:3080 max_fails=0;",
                "server 127.0.0.1:3080 max_fails=0;\n".repeat(servers),
            ),
            ("127.0.0.1:3080", program.address.to_string()),
        ];
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        for file in std::fs::read_dir(examples.join(proxy.folder())).unwrap() {
            let path = file.unwrap().path();
            let mut text = std::fs::read_to_string(&path).unwrap();
            for (from, to) in &replaced {
                text = text.replace(from, to);
            }
            std::fs::write(folder.path().join(path.file_name().unwrap()), text).unwrap();
        }
        std::fs::create_dir(folder.path().join("run")).unwrap();
        let mut process = proxy.start(&executable, folder.path());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = process.try_wait().unwrap().is_some();
            let log = || std::fs::read_to_string(folder.path().join("log")).unwrap();
            assert!(!ended && began.elapsed() < Duration::from_secs(20), "{}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        let http2 = SocketAddr::from(([127, 0, 0, 1], http2_port));
        Some(Self {
            service,
            program,
            backend,
            kim,
            proxy,
            address,
            http2,
            process,
            _folder: folder,
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(super) fn connect(&self) -> Http {
        Http::connect(self.address)
    }

    pub(super) fn connect_http2(&self) -> Http2 {
        Http2::connect(self.http2)
    }

    /// Sends a request on a connection of its own.
    pub(super) fn request(&self, head: &str, headers: &[(&str, &str)]) -> Reply {
        self.connect().request(head, headers)
    }

    /// Sends a request with the token of the user.
    pub(super) fn request_as_kim(&self, head: &str, headers: &[(&str, &str)]) -> Reply {
        self.request(head, &[headers, &[("Authorization", &self.bearer())]].concat())
    }

    /// Returns the value of `Authorization` with the token of the user.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.kim.token)
    }

    /// Returns the cookie with the token of the user.
    pub(super) fn cookie(&self) -> String {
        format!("__Host-user={}", self.kim.token)
    }

    /// Checks that the backend received exactly the identity of the user.
    pub(super) fn assert_identity(&self, received: &Received, context: &str) {
        assert_eq!(received.values("x-user-id"), [self.kim.user_id.as_str()], "{context}");
        assert_eq!(received.values("x-session-id"), [self.kim.session_id.as_str()], "{context}");
        assert_eq!(received.values("x-claims"), ["{}"], "{context}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // nginx ends its workers only on a signal that it can handle.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &id]).status();
        for _ in 0..100 {
            if self.process.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}
