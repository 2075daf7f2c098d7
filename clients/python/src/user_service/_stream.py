"""A non-blocking byte stream over TCP or TLS that knows which bytes were written.

The transports of asyncio forget what was written when a connection ends. This stream counts, so
that a request which was not written completely can be sent again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from typing import Callable, Optional

from ._loopback import split_address
from .errors import ConnectError, TlsError
from .tls import ALPN, Tls, handshake_error, no_alpn, rejection

_CHUNK = 65_536


class Stream:
    """A connected stream. Its functions are called from the event loop.

    `on_data` gets received bytes. `on_written` is called when everything was written. `on_end` is
    called once: with `None` at the end of the stream, or with the error.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        tls: Optional[_TlsState],
    ) -> None:
        self._loop, self._socket, self._tls = loop, sock, tls
        self._fd = sock.fileno()
        self._out = bytearray()
        # Offsets in the stream of bytes on the wire, with the plain text that ends there.
        self._marks: deque[tuple[int, int]] = deque()
        self._wire_queued = self._wire_sent = 0
        self._queued = 0
        self._is_writing = False
        self._is_open = False
        self.written = 0
        self.on_data: Callable[[bytes], None] = lambda _data: None
        self.on_written: Callable[[], None] = lambda: None
        self.on_end: Callable[[Optional[BaseException]], None] = lambda _error: None

    def start(self) -> None:
        """Begins to read."""
        self._is_open = True
        self._loop.add_reader(self._fd, self._readable)
        if self._tls is not None:
            # Data that arrived with the end of the handshake.
            self._loop.call_soon(self._readable_tls)

    @property
    def is_empty(self) -> bool:
        """`True` if everything was written."""
        return not self._out

    def write(self, data: bytes) -> None:
        """Writes bytes, or queues them. The caller bounds the queue, by `is_empty`."""
        if not self._is_open:
            return
        self._queued += len(data)
        if self._tls is None:
            self._append(data)
        else:
            try:
                self._append(self._tls.encrypt(data))
            except ssl.SSLError as error:
                self._end(error)
                return
        self._flush()

    def close(self) -> None:
        """Closes the stream. `on_end` is not called any more."""
        if not self._is_open:
            # It has ended, or was never started.
            self._socket.close()
            return
        self._is_open = False
        self._loop.remove_reader(self._fd)
        if self._is_writing:
            self._loop.remove_writer(self._fd)
        if self._tls is not None and not self._out:
            try:
                self._socket.send(self._tls.close_notify())
            except OSError:
                pass
        self._socket.close()
        self._out.clear()

    def forget(self) -> None:
        """Closes the socket only. Another process may still use the connection."""
        self._is_open = False
        self._socket.close()

    def _append(self, data: bytes) -> None:
        self._out += data
        if self._tls is not None:
            self._wire_queued += len(data)
            self._marks.append((self._wire_queued, self._queued))

    def _flush(self) -> None:
        while self._out and self._is_open:
            try:
                count = self._socket.send(self._out)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                # What the server has sent explains more than the error of the write.
                self._read_rest(error)
                return
            del self._out[:count]
            if self._tls is None:
                self.written = self._queued - len(self._out)
                continue
            self._wire_sent += count
            while self._marks and self._marks[0][0] <= self._wire_sent:
                self.written = self._marks.popleft()[1]
        if self._out and not self._is_writing:
            self._is_writing = True
            self._loop.add_writer(self._fd, self._writable)
        elif not self._out and self._is_writing:
            self._is_writing = False
            self._loop.remove_writer(self._fd)

    def _writable(self) -> None:
        self._flush()
        if self._is_open and not self._out:
            self.on_written()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(error)
            return
        if self._tls is not None:
            self._tls.receive(data)
            self._readable_tls()
        elif data:
            self.on_data(data)
        else:
            self._end(None)

    def _readable_tls(self) -> None:
        tls = self._tls
        while self._is_open and tls is not None:
            try:
                data = tls.decrypt()
            except ssl.SSLError as error:
                self._end(error)
                return
            # Answers of TLS itself, such as to an update of the keys.
            answer = tls.pending()
            if answer:
                self._append(answer)
                self._flush()
            if data is None:
                return
            if not data:
                self._end(None)
                return
            self.on_data(data)

    def _read_rest(self, error: OSError) -> None:
        """Reads what arrived before a write failed, and ends the stream."""
        for _ in range(64):
            if not self._is_open:
                return
            try:
                data = self._socket.recv(_CHUNK)
            except OSError:
                break
            if not data:
                break
            if self._tls is not None:
                self._tls.receive(data)
                self._readable_tls()
            else:
                self.on_data(data)
        self._end(error)

    def _end(self, error: Optional[BaseException]) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._fd)
            if self._is_writing:
                self._loop.remove_writer(self._fd)
            self._socket.close()
            self.on_end(error)


class _TlsState:
    """The TLS layer, in memory."""

    def __init__(self, context: ssl.SSLContext, server_name: str) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=False, server_hostname=server_name
        )

    async def handshake(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        while True:
            try:
                self._object.do_handshake()
                is_done = True
            except ssl.SSLWantReadError:
                is_done = False
            except ssl.SSLError as error:
                # Sends the alert that tells the server why.
                await loop.sock_sendall(sock, self._outgoing.read())
                raise handshake_error(error) from error
            await loop.sock_sendall(sock, self._outgoing.read())
            if is_done:
                break
            data = await loop.sock_recv(sock, _CHUNK)
            if not data:
                raise ConnectError("the server closed the connection during the TLS handshake")
            self._incoming.write(data)
        # A server without ALPN selects nothing, and may be any TLS server.
        if self._object.selected_alpn_protocol() != ALPN:
            raise no_alpn()

    def encrypt(self, data: bytes) -> bytes:
        self._object.write(data)
        return self._outgoing.read()

    def receive(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def decrypt(self) -> Optional[bytes]:
        """Returns received bytes; `None` if there are none yet, and b"" at the end."""
        try:
            return self._object.read(_CHUNK)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def pending(self) -> bytes:
        """Returns bytes that TLS itself has to send."""
        return self._outgoing.read()

    def close_notify(self) -> bytes:
        try:
            self._object.unwrap()
        except (ssl.SSLError, ValueError):
            pass
        return self._outgoing.read()


async def connect(address: str, tls: Optional[Tls]) -> Stream:
    """Connects to `host:port`, whose name is resolved anew. Raises ConnectError."""
    loop = asyncio.get_running_loop()
    host, port = split_address(address)
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectError(f"{host}: {error.strerror or error}") from None
    failure: ConnectError = ConnectError(f"{host} has no address")
    for family, kind, protocol, _, target in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            # Requests are small, and a caller waits for each.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(sock, target)
            return await _secure(loop, sock, host, tls)
        except TlsError:
            sock.close()
            raise
        except ConnectError as error:
            failure = error
            sock.close()
        except OSError as error:
            failure = ConnectError(f"{address}: {describe(error)}")
            sock.close()
        except BaseException:
            sock.close()
            raise
    raise failure


async def _secure(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, host: str, tls: Optional[Tls]
) -> Stream:
    if tls is None:
        return Stream(loop, sock, None)
    try:
        state = _TlsState(tls.context(), tls.server_name or host)
    except (OSError, ValueError) as error:
        raise TlsError(f"the TLS configuration is not valid: {error}") from None
    await state.handshake(loop, sock)
    return Stream(loop, sock, state)


def describe(error: Optional[BaseException]) -> str:
    """Describes the end of a stream."""
    if error is None:
        return "the server closed the connection"
    if isinstance(error, ssl.SSLError):
        rejected = rejection(error)
        return str(rejected) if rejected else f"TLS: {error.reason or 'error'}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
