#!/usr/bin/env python3
"""Servers for the tests of the clients: user-server nodes, PostgreSQL, emails and certificates.

Start it as a child process, with pipes for stdin and stdout. Write one JSON object per line:

    {"id": 1, "op": "cluster", "nodes": 2, "settings": {"TOKEN_SIGNING": "EdDSA"}}

and read one JSON object per line, in any order, with the same `id`:

    {"id": 1, "ok": {"nodes": [{"node": "n1", "address": "127.0.0.1:12345", ...}, ...]}}
    {"id": 1, "error": "..."}
    {"id": 1, "missing": "PostgreSQL"}          # a tool is missing: the test is left out

When stdin closes, every server is killed, every temporary file is deleted, and the program ends.
The servers also end if this program is killed.

The executables are those of the environment variables USER_SERVER and USER_CLI; by default
target/debug/user-server and target/debug/user-cli of the repository. PostgreSQL is found in PATH
and in /usr/lib/postgresql/*/bin; as root, it runs as the user `postgres` or `nobody`.

A node is described by an object with these keys:

    node       its name in further commands
    address    "127.0.0.1:PORT", which it keeps when it is restarted
    port       PORT
    metrics    "127.0.0.1:PORT" of /livez, /readyz and /metrics
    emails     folder of its emails
    log        file with its log
    pid        process id

Commands (every `ok` is an object):

    start      {"settings": {...}, "tls": FOLDER or null, "client_certificates": false}
               Starts a single node with an embedded database (SQLite). Returns the node.
    cluster    {"nodes": 2, "settings": {...}, "tls": ..., "client_certificates": ...}
               Starts nodes that share a new database of PostgreSQL, the secret and the folder of
               emails. Returns {"nodes": [...]}.
               `settings` are environment variables of user-server. By default, a node does not
               wait before it drains (DRAIN_DELAY=0). `tls` is a folder made by the command `tls`:
               the nodes then accept TLS only, and with `client_certificates` only clients with a
               certificate of its authority.
    stop       {"node": "n1", "signal": "TERM"}
               Sends the signal (TERM or KILL), and waits until the process has ended. Returns
               {"exit_code": 0}, negative if a signal ended it.
    again      {"node": "n1"}
               Starts a stopped node at its address, with its data. Returns the node.
    restart    {"node": "n1", "signal": "TERM", "settings": {...}}
               `stop`, then `again`, with these settings changed (null removes one).
    pause      {"node": "n1"}
               Sends SIGSTOP, and waits until every thread is stopped. The kernel still accepts
               connections.
    resume     {"node": "n1"}: SIGCONT.
    code       {"email": "ada@example.org", "count": 1, "node": "n1"}
               Waits until there are `count` emails with a code to the address, for at most 20 s.
               Returns {"code": "123456", "count": 1} with the code of the last one. `node` selects
               the folder; it may be omitted if all nodes share one.
    server     {"node": "n1", "arguments": ["keys", "retire", KID, "--force"], "stdin": ""}
               Runs user-server with the settings of the node. Returns {"exit_code", "stdout",
               "stderr"}.
    cli        {"arguments": ["conform", "--list"], "environment": {...}, "stdin": ""}
               Runs user-cli. Returns the same.
    tls        {"names": []}
               Makes an authority, and certificates of a server (localhost, 127.0.0.1, ::1 and
               `names`) and of a client, with user-cli dev-cert or with openssl. Returns {"folder",
               "ca", "server_certificate", "server_key", "client_certificate", "client_key"}.
    free_port  {}: returns {"port": N} on which nothing listens.
    ping       {}: returns {}.
"""

from __future__ import annotations

import asyncio
import ctypes
import glob
import json
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Optional

REPOSITORY = Path(__file__).resolve().parent.parent
START_TIMEOUT = 60.0
CODE_TIMEOUT = 20.0
STOP_TIMEOUT = 60.0
RUN_TIMEOUT = 300.0
DEFAULTS = {"DRAIN_DELAY": "0"}


class Missing(Exception):
    """A tool that is not installed."""


class Failed(Exception):
    """A command that failed, as described by the text."""


def executable(variable: str, name: str) -> str:
    """Returns the absolute path of an executable of the project."""
    path = Path(os.environ.get(variable) or REPOSITORY / "target" / "debug" / name)
    # A relative path counts from the folder in which the caller runs.
    if not path.is_file():
        raise Failed(f"{path} does not exist; build it, or set {variable}")
    return str(path.resolve())


_next_port = 0


def free_port() -> int:
    """Returns a port on which nothing listens, below those that the system gives to connections."""
    global _next_port
    while True:
        port = 21_000 + (os.getpid() * 37 + _next_port) % 9_000
        _next_port += 1
        with socket.socket() as probe:
            # Like the server, which can listen although old connections are in TIME_WAIT.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def dies_with_parent(number: int) -> Any:
    """Returns a function for a child process that lets it receive a signal when this one ends."""

    def prepare() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(1, number, 0, 0, 0)

    return prepare


class Postgres:
    """A PostgreSQL server in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.databases = 0
        self.process: Optional[subprocess.Popen[bytes]] = None

    @staticmethod
    def binaries() -> Path:
        """Returns the folder of the executables, of the newest version that is installed."""
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=version_of)
        in_path = shutil.which("initdb")
        for initdb in [*reversed(found), *([in_path] if in_path else [])]:
            folder = Path(initdb).resolve().parent
            if (folder / "postgres").exists():
                return folder
        raise Missing("PostgreSQL")

    @staticmethod
    def account() -> dict[str, Any]:
        """Returns the arguments of Popen that select a user other than root."""
        if os.geteuid() != 0:
            return {}
        for name in ("postgres", "nobody"):
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        raise Missing("a user that may run PostgreSQL")

    async def start(self) -> None:
        """Creates and starts the server."""
        binaries, account = self.binaries(), self.account()
        self.folder.mkdir()
        if account:
            os.chown(self.folder, account["user"], account["group"])
        data = str(self.folder / "data")
        run: Any = subprocess.run
        initdb = [str(binaries / "initdb"), "-D", data, "-U", "tests", "--auth=trust", "--no-sync"]
        initdb += ["--encoding=UTF8", "--locale=C"]
        done = await asyncio.to_thread(
            run, initdb, capture_output=True, text=True, cwd=self.folder, **account
        )
        if done.returncode != 0:
            raise Failed(f"initdb failed: {done.stderr.strip()}")
        command = [str(binaries / "postgres"), "-D", data, "-k", str(self.folder), "-h"]
        command += ["127.0.0.1", "-p", str(self.port), "-c", "fsync=off"]
        command += ["-c", "max_connections=200"]
        log = open(self.folder / "postgres.log", "ab")
        with log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGQUIT),
                **account,
            )
        self.psql = shutil.which("psql") or str(binaries / "psql")
        began = time.monotonic()
        while not await self.query("SELECT 1"):
            if self.process.poll() is not None or time.monotonic() - began > START_TIMEOUT:
                raise Failed((self.folder / "postgres.log").read_text(errors="replace")[-2000:])
            await asyncio.sleep(0.05)

    async def query(self, statement: str) -> bool:
        """Runs a statement. Returns `False` if it fails."""
        command = [self.psql, "-qtAX", "-d", self.url("postgres"), "-c", statement]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, cwd="/")
        return done.returncode == 0

    async def database(self) -> str:
        """Creates a database, and returns its URL."""
        self.databases += 1
        name = f"t{self.databases}"
        if not await self.query(f"CREATE DATABASE {name}"):
            raise Failed(f"cannot create the database {name}")
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql://tests@127.0.0.1:{self.port}/{name}"

    def end(self) -> None:
        """Stops the server at once."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


def version_of(path: str) -> tuple[int, ...]:
    """Returns the version of PostgreSQL in a path, as numbers."""
    return tuple(int(part) for part in path.split("/")[4].split(".") if part.isdigit())


class Node:
    """A user-server process that can be stopped and started again at the same address."""

    def __init__(self, name: str, folder: Path, settings: dict[str, str], emails: Path) -> None:
        self.name, self.folder, self.emails = name, folder, emails
        self.port, self.metrics = free_port(), free_port()
        self.settings = {
            **DEFAULTS,
            "LISTEN_ADDR": "127.0.0.1",
            "DATA_DIR": str(folder / "data"),
            "MAIL_DIR": str(emails),
            "TRUSTED_PEERS": "127.0.0.0/8, ::1",
            "METRICS_ADDR": f"127.0.0.1:{self.metrics}",
            **settings,
            "TCP_PORT": str(self.port),
        }
        self.process: Optional[subprocess.Popen[bytes]] = None
        folder.mkdir()
        emails.mkdir(exist_ok=True)

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def environment(self) -> dict[str, str]:
        """Returns the settings and PATH: nothing else of this process's environment."""
        return {"PATH": os.environ.get("PATH", ""), **self.settings}

    async def start(self) -> dict[str, Any]:
        """Starts the process, and waits until it accepts connections."""
        if self.process and self.process.poll() is None:
            raise Failed(f"{self.name} is running")
        printed = self.folder / "printed"
        with open(printed, "wb") as output, open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [executable("USER_SERVER", "user-server")],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                cwd=self.folder,
                env=self.environment(),
                start_new_session=True,
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )
        began = time.monotonic()
        while "\n  metrics " not in printed.read_text(errors="replace"):
            if self.process.poll() is not None or time.monotonic() - began > START_TIMEOUT:
                text = self.log.read_text(errors="replace") + printed.read_text(errors="replace")
                raise Failed(f"{self.name} did not start: {text[-2000:]}")
            await asyncio.sleep(0.01)
        return self.describe()

    def describe(self) -> dict[str, Any]:
        return {
            "node": self.name,
            "address": f"127.0.0.1:{self.port}",
            "port": self.port,
            "metrics": f"127.0.0.1:{self.metrics}",
            "emails": str(self.emails),
            "log": str(self.log),
            "pid": self.process.pid if self.process else None,
        }

    def signal(self, number: int) -> None:
        if not self.process or self.process.poll() is not None:
            raise Failed(f"{self.name} is not running")
        self.process.send_signal(number)

    async def stop(self, name: str) -> int:
        """Sends a signal, waits until the process has ended, and returns its exit code."""
        self.signal(getattr(signal, f"SIG{name}"))
        began = time.monotonic()
        assert self.process
        while self.process.poll() is None:
            if time.monotonic() - began > STOP_TIMEOUT:
                raise Failed(f"{self.name} does not stop")
            await asyncio.sleep(0.01)
        return self.process.returncode

    def is_stopped(self) -> bool:
        """Returns `True` if every thread is stopped by a signal, or if that is not known."""
        assert self.process
        for path in glob.glob(f"/proc/{self.process.pid}/task/*/stat"):
            try:
                state = Path(path).read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if state not in "TtZX":
                return False
        return True

    def end(self) -> None:
        """Kills the process."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def code_in(email: str) -> Optional[str]:
    """Returns the code in an email, which has a line to itself in the plain text."""
    body = email.replace("=\r\n", "").replace("\r\n", "\n").replace("=3D", "=")
    for line in body.splitlines():
        if line.startswith("    ") and line.strip():
            return line.strip()
    return None


def codes_to(folder: Path, address: str) -> list[str]:
    """Returns the codes emailed to an address, oldest first."""
    found = []
    for path in sorted(folder.glob("*.eml")):
        # A file may be renamed while the folder is read.
        try:
            text = path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            continue
        if any(line.strip() == f"To: {address}" for line in text.splitlines()[:40]):
            code = code_in(text)
            if code:
                found.append(code)
    return found


OPENSSL = """
set -e
cd "$1"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout ca.key \
    -out ca.pem -subj "/CN=test authority" -addext "basicConstraints=critical,CA:TRUE" \
    -addext "keyUsage=critical,keyCertSign"
make() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$1.key" -out "$1.csr" \
        -subj "/CN=$1"
    printf 'subjectAltName=%s\\nextendedKeyUsage=%s\\nbasicConstraints=CA:FALSE\\n' "$2" "$3" >ext
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -out "$1.pem" \
        -extfile ext
}
make server "$2" serverAuth
make client DNS:client.localhost clientAuth
"""


async def make_certificates(folder: Path, names: list[str]) -> None:
    """Writes ca.pem, server.pem, server.key, client.pem and client.key into a folder."""
    folder.mkdir()
    try:
        command = [executable("USER_CLI", "user-cli"), "dev-cert", str(folder)]
        for name in names:
            command += ["--name", name]
    except Failed:
        if not shutil.which("openssl"):
            raise Missing("openssl") from None
        known = ["DNS:localhost", "IP:127.0.0.1", "IP:::1"]
        alternative = [
            f"IP:{name}" if name[-1].isdigit() or ":" in name else f"DNS:{name}" for name in names
        ]
        command = ["bash", "-c", OPENSSL, "bash", str(folder), ",".join(known + alternative)]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    if done.returncode != 0:
        raise Failed(f"cannot make certificates: {done.stderr.strip()}")


class TestBed:
    """All servers, and the commands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: dict[str, Node] = {}
        self.shared: Optional[Postgres] = None
        self.starting = asyncio.Lock()
        self.count = 0

    def new_name(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def node(self, request: dict[str, Any]) -> Node:
        try:
            return self.nodes[request["node"]]
        except KeyError:
            raise Failed(f"there is no node {request.get('node')!r}") from None

    def new_node(self, settings: dict[str, str], emails: Optional[Path]) -> Node:
        name = self.new_name("n")
        folder = self.folder / name
        node = Node(name, folder, settings, emails or self.folder / f"{name}-emails")
        self.nodes[name] = node
        return node

    @staticmethod
    def settings(request: dict[str, Any]) -> dict[str, str]:
        settings = {name: str(value) for name, value in request.get("settings", {}).items()}
        tls = request.get("tls")
        if tls:
            settings.update(TLS_CERT=f"{tls}/server.pem", TLS_KEY=f"{tls}/server.key")
            if request.get("client_certificates"):
                settings["TLS_CLIENT_CA"] = f"{tls}/ca.pem"
        return settings

    async def do_start(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self.new_node(self.settings(request), None).start()

    async def do_cluster(self, request: dict[str, Any]) -> dict[str, Any]:
        async with self.starting:
            if self.shared is None:
                postgres = Postgres(self.folder / "postgres")
                try:
                    await postgres.start()
                except BaseException:
                    postgres.end()
                    shutil.rmtree(postgres.folder, ignore_errors=True)
                    raise
                self.shared = postgres
        settings = {
            "JWTSECRETKEY": secrets.token_hex(32),
            **self.settings(request),
            "PostgreSQL": await self.shared.database(),
        }
        emails = self.folder / self.new_name("emails")
        # One after another: the first creates the schema.
        started = []
        for _ in range(request.get("nodes", 2)):
            started.append(await self.new_node(settings, emails).start())
        return {"nodes": started}

    async def do_stop(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"exit_code": await self.node(request).stop(request.get("signal", "TERM"))}

    async def do_again(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self.node(request).start()

    async def do_restart(self, request: dict[str, Any]) -> dict[str, Any]:
        node = self.node(request)
        await node.stop(request.get("signal", "TERM"))
        for name, value in request.get("settings", {}).items():
            if value is None:
                node.settings.pop(name, None)
            else:
                node.settings[name] = str(value)
        return await node.start()

    async def do_pause(self, request: dict[str, Any]) -> dict[str, Any]:
        node = self.node(request)
        node.signal(signal.SIGSTOP)
        # A thread that runs on another core stops a little later.
        began = time.monotonic()
        while not node.is_stopped() and time.monotonic() - began < STOP_TIMEOUT:
            await asyncio.sleep(0.005)
        return {}

    async def do_resume(self, request: dict[str, Any]) -> dict[str, Any]:
        self.node(request).signal(signal.SIGCONT)
        return {}

    async def do_code(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("node"):
            folders = {self.node(request).emails}
        else:
            folders = {node.emails for node in self.nodes.values()}
        count, began = request.get("count", 1), time.monotonic()
        while True:
            found = [code for folder in folders for code in codes_to(folder, request["email"])]
            if len(found) >= count:
                return {"code": found[-1], "count": len(found)}
            if time.monotonic() - began > CODE_TIMEOUT:
                raise Failed(f"{len(found)} of {count} emails with a code to {request['email']}")
            await asyncio.sleep(0.01)

    async def do_server(self, request: dict[str, Any]) -> dict[str, Any]:
        node = self.node(request)
        command = [executable("USER_SERVER", "user-server"), *request["arguments"]]
        return await self.run(command, request, node.environment(), node.folder)

    async def do_cli(self, request: dict[str, Any]) -> dict[str, Any]:
        command = [executable("USER_CLI", "user-cli"), *request["arguments"]]
        state = str(self.folder / "cli")
        environment = {**os.environ, "USER_CLI_STATE_DIR": state, **request.get("environment", {})}
        return await self.run(command, request, environment, self.folder)

    @staticmethod
    async def run(
        command: list[str], request: dict[str, Any], environment: dict[str, str], folder: Path
    ) -> dict[str, Any]:
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            input=request.get("stdin", ""),
            capture_output=True,
            text=True,
            env=environment,
            cwd=folder,
            timeout=RUN_TIMEOUT,
        )
        return {"exit_code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    async def do_tls(self, request: dict[str, Any]) -> dict[str, Any]:
        folder = self.folder / self.new_name("tls")
        await make_certificates(folder, request.get("names", []))
        return {
            "folder": str(folder),
            "ca": str(folder / "ca.pem"),
            "server_certificate": str(folder / "server.pem"),
            "server_key": str(folder / "server.key"),
            "client_certificate": str(folder / "client.pem"),
            "client_key": str(folder / "client.key"),
        }

    async def do_free_port(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {"port": free_port()}

    async def do_ping(self, _request: dict[str, Any]) -> dict[str, Any]:
        return {}

    async def answer(self, line: bytes) -> None:
        """Executes one command, and writes its answer."""
        answer: dict[str, Any] = {}
        try:
            request = json.loads(line)
            answer["id"] = request.get("id")
            command = getattr(self, f"do_{request['op']}", None)
            if command is None:
                raise Failed(f"unknown op {request['op']!r}")
            answer["ok"] = await command(request)
        except Missing as missing:
            answer["missing"] = str(missing)
        except Exception as error:
            text = str(error) if isinstance(error, Failed) else f"{type(error).__name__}: {error}"
            answer["error"] = text
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    def end(self) -> None:
        """Ends every server."""
        for node in self.nodes.values():
            node.end()
        if self.shared:
            self.shared.end()


async def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="user-clients-"))
    # PostgreSQL runs as another user, and has to reach its own folder.
    folder.chmod(0o711)
    bed = TestBed(folder)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, ended.set)
    reader = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    tasks: set[asyncio.Task[None]] = set()

    async def serve() -> None:
        while line := await reader.readline():
            if line.strip():
                task = asyncio.create_task(bed.answer(line))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        ended.set()

    serving = asyncio.create_task(serve())
    try:
        await ended.wait()
    finally:
        serving.cancel()
        for task in tasks:
            task.cancel()
        bed.end()
        shutil.rmtree(folder, ignore_errors=True)
        # A command that still runs in a thread must not delay the end.
        sys.stdout.flush()
        os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
