"""A client for API gateways, written from user-proto/PROTOCOL.md alone, and its test.

It shows that the document and the vectors suffice to write a client in another language. It may be
copied: it needs Python 3.9 and no other packages. The first half is the client, the second half is
the test, which runs a list of steps against a server:

    python3 gateway.py HOST:PORT MAIL_FOLDER

The test prints a line for each step and exits with 1 after the first step that fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import ipaddress
import json
import pathlib
import random
import re
import secrets
import struct
import sys
import time
import traceback
import uuid
from dataclasses import dataclass
from typing import Any, AsyncIterator, Awaitable, Callable, Iterator, Optional, Union

# Each entry is a message: its type, its name, and its fields in the order of the wire. The number
# after a field is its tag; a field without a number is required. A request marked "safe" may be
# sent again when its outcome is unknown. An entry "row NAME" declares the rows of a field of kind
# "list/NAME". A new message needs one entry here and nothing else.
TABLE = """
01 Register: username text, email text, password secret
02 Login: login text, password secret, device text 01
03 VerifyToken safe: access_token secret
04 UpdateUser: access_token secret,
   username text 02, email text 04, new_password secret 06, current_password secret 08
05 DeleteUser: access_token secret, current_password secret
06 VerifyEmail: verification_id uuid, code secret, device text 01, username text 02
07 ResendCode: verification_id uuid
08 RefreshToken safe: refresh_token secret
09 Logout: token secret, all_sessions flag 02
0A GetUser safe: access_token secret
0B RequestPasswordReset: email text
0C ResetPassword: verification_id uuid, code secret, new_password secret
0D ConfirmEmail: access_token secret, verification_id uuid, code secret
0E ListSessions safe: access_token secret
0F EndSession: access_token secret, session_id uuid
20 GetKeys safe:
21 WatchRevocations safe: cursor bytes, wait_ms u32
7F Ping safe:
80 ErrorReply: code code, message text, retry_after_ms u32 01, field text 03
81 Registered: verification_id uuid, code_expires_in u32, resend_after u32
82 LoggedIn: user_id uuid, session_id uuid,
   access_token secret, access_expires_in u32, refresh_token secret, refresh_expires_in u32
83 TokenVerified: user_id uuid, session_id uuid, issued_at instant, expires_at instant,
   stale_ms u32 01
84 UserUpdated: user_id uuid, username text, email text, verification_id uuid 01
85 UserDeleted: user_id uuid
86 EmailVerified: user_id uuid, session_id uuid,
   access_token secret, access_expires_in u32, refresh_token secret, refresh_expires_in u32
87 CodeResent: code_expires_in u32, resend_after u32
88 TokenRefreshed: user_id uuid, session_id uuid,
   access_token secret, access_expires_in u32, refresh_token secret, refresh_expires_in u32
89 LoggedOut: sessions_ended u32
8A User: user_id uuid, username text, email text, created_at instant
8B PasswordResetRequested: verification_id uuid, code_expires_in u32, resend_after u32
8C PasswordReset: sessions_ended u32
8D EmailConfirmed: user_id uuid, username text, email text, verification_id uuid 01
8E Sessions: sessions list/SessionRow
8F SessionEnded: sessions_ended u32
A0 Keys: jwks text, access_life u32, refresh_after u32, now_ms instant 01
A1 Revocations: cursor bytes, stale_ms u32, more u8, now_ms instant,
   entries list/RevocationRow
FF Pong: max_in_flight u32 01, idle_timeout u32 03, max_hashing u32 05
row SessionRow: session_id uuid, created_at instant, last_used_at instant,
   device text 01, network text 03, current flag 05
row RevocationRow: kind u8, id bytes, before instant
"""
COMMON = """
client_address address E1, deadline_ms u32 E3, idempotency_key key E6, traceparent text E7
"""

REPLY_BIT = 0x80
ERROR_REPLY = 0x80
MIN_LENGTH, MAX_LENGTH = 5, 65_535
MAX_INSTANT = 2**53 - 1
# The server returns the same successor of a refresh token for 30 s.
REPEAT_REFRESH_WITHIN = 30

UNKNOWN_TYPE, MALFORMED, UNKNOWN_TAG = 0x0101, 0x0102, 0x0103
FRAME_TOO_LONG, FRAME_TOO_SHORT = 0x0104, 0x0105
INVALID_USERNAME, INVALID_EMAIL, INVALID_PASSWORD = 0x0201, 0x0202, 0x0203
NOTHING_TO_UPDATE, INVALID_VALUE = 0x0204, 0x0205
INVALID_CREDENTIALS, INVALID_TOKEN, SESSION_REVOKED = 0x0301, 0x0303, 0x0305
INVALID_CODE, CODE_EXPIRED = 0x0306, 0x0307
USERNAME_TAKEN = 0x0401
IDEMPOTENCY_CONFLICT = 0x0402
RATE_LIMITED = 0x0501
SHUTTING_DOWN, DEADLINE_EXCEEDED = 0x0603, 0x0604


class Secret(bytes):
    """A password, token or code. Logs and tracebacks do not show its bytes."""

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__


@dataclass(frozen=True)
class Field:
    name: str
    kind: str
    tag: Optional[int] = None


@dataclass(frozen=True)
class Layout:
    """The fields of a message or of a row."""

    required: tuple[Field, ...]
    tagged: dict[int, Field]

    @classmethod
    def of(cls, fields: list[Field]) -> "Layout":
        return cls(
            tuple(field for field in fields if field.tag is None),
            {field.tag: field for field in fields if field.tag is not None},
        )

    def fields(self) -> dict[str, Field]:
        return {field.name: field for field in (*self.required, *self.tagged.values())}


@dataclass(frozen=True)
class Message:
    type: int
    name: str
    safe: bool
    layout: Layout

    @property
    def is_reply(self) -> bool:
        return bool(self.type & REPLY_BIT)


def _fields(line: str) -> list[Field]:
    parts = [part.split() for part in line.split(",") if part.strip()]
    return [Field(part[0], part[1], int(part[2], 16) if len(part) > 2 else None) for part in parts]


def _entries() -> Iterator[tuple[str, str, list[str], list[Field]]]:
    for line in TABLE.replace("\n   ", " ").strip().splitlines():
        head, _, tail = line.partition(":")
        number, name, *marks = head.split()
        yield number, name, marks, _fields(tail)


def _messages() -> Iterator[Message]:
    common = _fields(COMMON)
    for number, name, marks, fields in _entries():
        if number != "row":
            is_reply = int(number, 16) & REPLY_BIT
            layout = Layout.of(fields if is_reply else fields + common)
            yield Message(int(number, 16), name, "safe" in marks, layout)


BY_TYPE = {message.type: message for message in _messages()}
BY_NAME = {message.name: message for message in BY_TYPE.values()}
ROWS = {name: Layout.of(fields) for number, name, _, fields in _entries() if number == "row"}


class ProtocolError(Exception):
    """Bytes that are not a valid message: the error code of a server, and the name of the field."""

    def __init__(self, code: int, field: Optional[str] = None) -> None:
        super().__init__(f"{code:04x}" + (f" in {field}" if field else ""))
        self.code = code
        self.field = field


class FrameError(ProtocolError):
    """An error after which the connection must be closed, because framing or ids are unreliable."""


def _to_text(value: bytes) -> str:
    # The decoder of Python rejects overlong forms and surrogates.
    return value.decode("utf-8")


def _to_address(value: bytes) -> str:
    # Returns the text unchanged, so that encoding it again yields the same bytes. Early releases of
    # Python 3.9 accept leading zeros in IPv4, and all accept a zone in IPv6; the protocol does not.
    text = value.decode("ascii")
    if "%" in text or re.search(r"(^|[.:])0\d+\.|\.0\d", text):
        raise ValueError("not an address")
    ipaddress.ip_address(text)
    return text


def _to_instant(value: bytes) -> int:
    seconds = int.from_bytes(value, "big")
    if seconds > MAX_INSTANT:
        raise ValueError("an instant greater than 2^53-1")
    return seconds


def _from_secret(value: Union[str, bytes]) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _number(size: int) -> tuple[int, Callable[[bytes], Any], Callable[[Any], bytes]]:
    return (
        size,
        lambda value: int.from_bytes(value, "big"),
        lambda number: number.to_bytes(size, "big"),
    )


# For each kind of field: the size in bytes if it is fixed, the decoder and the encoder.
KINDS: dict[str, tuple[Optional[int], Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "text": (None, _to_text, str.encode),
    "secret": (None, Secret, _from_secret),
    "bytes": (None, bytes, bytes),
    "address": (None, _to_address, str.encode),
    "uuid": (16, lambda value: str(uuid.UUID(bytes=value)), lambda text: uuid.UUID(text).bytes),
    "instant": (8, _to_instant, lambda seconds: seconds.to_bytes(8, "big")),
    "u32": _number(4),
    "u8": _number(1),
    "code": _number(2),
    "key": (16, bytes, bytes),
    "flag": (0, lambda value: True, lambda flag: b""),
}


def _rows(field: Field) -> Optional[Layout]:
    """Returns the layout of the rows if the field is a list."""
    kind, _, row = field.kind.partition("/")
    return ROWS[row] if kind == "list" else None


def _read(field: Field, value: bytes) -> Any:
    size, read, _ = KINDS[field.kind]
    if size is not None and len(value) != size:
        raise ProtocolError(MALFORMED, field.name)
    try:
        return read(value)
    except ValueError:
        raise ProtocolError(MALFORMED, field.name) from None


def encode(name: str, request_id: int, values: dict[str, Any]) -> bytes:
    """Encodes a message as a frame. Tags with the value None and flags with False are omitted."""
    message = BY_NAME[name]
    unknown = values.keys() - message.layout.fields().keys()
    if unknown:
        raise TypeError(f"{name} has no field {', '.join(sorted(unknown))}")
    body = _encode_body(message.layout, values)
    if len(body) + MIN_LENGTH > MAX_LENGTH:
        raise ValueError(f"{name} exceeds the maximum length of a frame")
    return struct.pack(">IBI", len(body) + MIN_LENGTH, message.type, request_id) + body


def _length_prefixed(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def _encode_body(layout: Layout, values: dict[str, Any]) -> bytes:
    """Encodes a body, or a row of a list."""
    body = bytearray()
    for field in layout.required:
        rows = _rows(field)
        if rows:
            body += struct.pack(">H", len(values[field.name]))
            for row in values[field.name]:
                body += _length_prefixed(_encode_body(rows, row))
            continue
        size, _, write = KINDS[field.kind]
        value = write(values[field.name])
        body += _length_prefixed(value) if size is None else value
    for tag, field in sorted(layout.tagged.items()):
        if values.get(field.name) is not None and values[field.name] is not False:
            value = KINDS[field.kind][2](values[field.name])
            body += bytes([tag]) + _length_prefixed(value)
    return bytes(body)


def frame_length(head: bytes) -> int:
    """Returns the length of a frame from its first four bytes, or raises FrameError."""
    length = int.from_bytes(head, "big")
    if length < MIN_LENGTH:
        raise FrameError(FRAME_TOO_SHORT)
    if length > MAX_LENGTH:
        raise FrameError(FRAME_TOO_LONG)
    return length


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Returns the next frame without its length field.

    Raises asyncio.IncompleteReadError if the stream ends before the frame is complete.
    """
    return await reader.readexactly(frame_length(await reader.readexactly(4)))


def decode(frame: bytes, reply: bool) -> tuple[Message, int, dict[str, Any]]:
    """Decodes a frame from read_frame: as a client if `reply` is true, otherwise as a server.

    Returns the message type, the request id and the values of the fields by name.
    """
    number, request_id = struct.unpack_from(">BI", frame)
    if request_id == 0 and not reply:
        raise FrameError(MALFORMED, "request_id")
    message = BY_TYPE.get(number)
    if message is None or message.is_reply != reply:
        raise ProtocolError(UNKNOWN_TYPE)
    return message, request_id, _decode_body(message.layout, frame[MIN_LENGTH:])


def _take(field: Field, body: bytes, at: int, size: Optional[int]) -> tuple[bytes, int]:
    """Returns the value at an offset and the offset of its end. A size of None precedes it."""
    if size is None:
        length, at = _take(field, body, at, 2)
        size = int.from_bytes(length, "big")
    if at + size > len(body):
        raise ProtocolError(MALFORMED, field.name)
    return body[at : at + size], at + size


def _decode_list(field: Field, rows: Layout, body: bytes, at: int) -> tuple[list[Any], int]:
    count, at = _take(field, body, at, 2)
    values = []
    for _ in range(int.from_bytes(count, "big")):
        row, at = _take(field, body, at, None)
        try:
            values.append(_decode_body(rows, row))
        except ProtocolError:
            raise ProtocolError(MALFORMED, field.name) from None
    return values, at


def _decode_body(layout: Layout, body: bytes) -> dict[str, Any]:
    """Decodes a body, or a row of a list."""
    values: dict[str, Any] = {}
    at = 0
    for field in layout.required:
        rows = _rows(field)
        if rows:
            values[field.name], at = _decode_list(field, rows, body, at)
            continue
        value, at = _take(field, body, at, KINDS[field.kind][0])
        values[field.name] = _read(field, value)
    last = -1
    while at < len(body):
        tag = body[at]
        size = int.from_bytes(body[at + 1 : at + 3], "big")
        if at + 3 > len(body) or tag <= last or at + 3 + size > len(body):
            raise ProtocolError(MALFORMED, "tail")
        if tag in layout.tagged:
            field = layout.tagged[tag]
            values[field.name] = _read(field, body[at + 3 : at + 3 + size])
        elif tag % 2 == 0:
            raise ProtocolError(UNKNOWN_TAG, f"0x{tag:02X}")
        last = tag
        at += 3 + size
    return values


class ServiceError(Exception):
    """An error reply of the service. There is a subclass for each class of error codes."""

    def __init__(
        self,
        code: int,
        message: str,
        retry_after_ms: Optional[int] = None,
        field: Optional[str] = None,
    ) -> None:
        super().__init__(f"{code:04x}: {message}" + (f" ({field})" if field else ""))
        self.code = code
        self.field = field
        self.retry_after = None if retry_after_ms is None else retry_after_ms / 1000


class ProtocolViolation(ServiceError):
    """Class 01: this client has a bug, or is newer than the server."""


class InvalidValue(ServiceError):
    """Class 02: a value is not valid. Tell the end user which one."""


class NotAuthenticated(ServiceError):
    """Class 03: the end user has to prove their identity."""


class Conflict(ServiceError):
    """Class 04: a value is already taken."""


class TryLater(ServiceError):
    """Class 05: nothing was done. The same request may be sent again later."""


class ServerFailed(ServiceError):
    """Class 06: the server failed."""


CLASSES = {
    1: ProtocolViolation,
    2: InvalidValue,
    3: NotAuthenticated,
    4: Conflict,
    5: TryLater,
    6: ServerFailed,
}


class ConnectionLost(Exception):
    """The connection ended before the reply. It is unknown whether the request was executed."""


class NotSent(Exception):
    """The request was not sent, because the connection is closed or the server is shutting down."""


def service_error(values: dict[str, Any]) -> ServiceError:
    return CLASSES.get(values["code"] >> 8, ServiceError)(**values)


def retry_in(name: str, error: Exception, since_first: float = 0.0) -> Optional[float]:
    """Returns the time in seconds after which the same request may be sent again.

    Returns None if the request must not be sent again. `since_first` is the time in seconds since
    the request was first sent.
    """
    if isinstance(error, NotSent):
        return 0.0
    if isinstance(error, ServiceError) and error.code == SHUTTING_DOWN:
        return 0.0
    if isinstance(error, TryLater):
        wait = 1.0 if error.retry_after is None else error.retry_after
        return wait * random.uniform(1.0, 1.25)
    if isinstance(error, (ServerFailed, ConnectionLost, asyncio.TimeoutError)):
        expired = name == "RefreshToken" and since_first >= REPEAT_REFRESH_WITHIN
        return 0.0 if BY_NAME[name].safe and not expired else None
    return None


class Connection:
    """A connection that many callers share. Replies arrive in any order."""

    DEADLINE = 10.0
    # The server measures the deadline from the arrival of the request, so its reply arrives a
    # little later than the deadline of the client.
    GRACE = 1.0

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        # The name and the future of each request in flight. An abandoned request remains, with the
        # value None, because its id is in use until the reply arrives.
        self._in_flight: dict[int, Optional[tuple[str, asyncio.Future]]] = {}
        self._slots = asyncio.Semaphore(256)
        self._last_sent = time.monotonic()
        self._ping_after = 60.0
        self._failure: Optional[Exception] = None
        self.shutting_down = False
        self._tasks = [
            asyncio.ensure_future(self._read_replies()),
            asyncio.ensure_future(self._send_pings()),
        ]

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        return cls(*await asyncio.wait_for(asyncio.open_connection(host, port), 10))

    async def call(self, name: str, deadline: float = DEADLINE, **values: Any) -> dict[str, Any]:
        """Sends a request and returns the fields of its reply. Raises ServiceError if refused."""
        values.setdefault("deadline_ms", int(deadline * 1000))
        return await asyncio.wait_for(self._call(name, values), deadline + self.GRACE)

    async def close(self) -> None:
        """Stops sending, waits for the pending replies, and closes the connection."""
        if not self._writer.is_closing():
            self._writer.write_eof()
            await asyncio.wait([self._tasks[0]], timeout=self.DEADLINE)
        self._end(ConnectionLost("closed"))

    async def _call(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        await self._slots.acquire()
        try:
            if self.shutting_down or self._failure:
                raise NotSent(str(self._failure or "the server is shutting down"))
            request_id = self._free_id()
            frame = encode(name, request_id, values)
        except BaseException:
            self._slots.release()
            raise
        reply: asyncio.Future = asyncio.get_running_loop().create_future()
        self._in_flight[request_id] = (name, reply)
        self._last_sent = time.monotonic()
        try:
            self._writer.write(frame)
            await self._writer.drain()
            return await reply
        except OSError as error:
            raise ConnectionLost(str(error)) from error
        finally:
            # The id of an abandoned request stays in use until its reply arrives.
            if request_id in self._in_flight:
                self._in_flight[request_id] = None

    def _free_id(self) -> int:
        while True:
            self._last_id = self._last_id % (2**32 - 1) + 1
            if self._last_id not in self._in_flight:
                return self._last_id

    async def _read_replies(self) -> None:
        try:
            while True:
                self._deliver(await read_frame(self._reader))
        except asyncio.IncompleteReadError:
            self._end(ConnectionLost("the server closed the connection"))
        except (OSError, ProtocolError, ServiceError) as error:
            self._end(ConnectionLost(str(error)))

    def _deliver(self, frame: bytes) -> None:
        number, request_id = struct.unpack_from(">BI", frame)
        if request_id == 0:
            if number == ERROR_REPLY:
                self._handle_connection_error(frame)
            return
        if request_id not in self._in_flight:
            return
        call = self._in_flight.pop(request_id)
        self._slots.release()
        if call is None or call[1].done():
            return
        name, reply = call
        try:
            message, _, values = decode(frame, reply=True)
            if message.type == ERROR_REPLY:
                raise service_error(values)
            if message.type != BY_NAME[name].type | REPLY_BIT:
                raise ProtocolError(UNKNOWN_TYPE)
            if message.name == "Pong":
                self._ping_after = min(60.0, values.get("idle_timeout", 300) / 2)
            reply.set_result(values)
        except (ProtocolError, ServiceError) as error:
            reply.set_exception(error)

    def _handle_connection_error(self, frame: bytes) -> None:
        error = service_error(decode(frame, reply=True)[2])
        if error.code != SHUTTING_DOWN:
            raise error
        self.shutting_down = True

    async def _send_pings(self) -> None:
        while not self.shutting_down:
            idle = time.monotonic() - self._last_sent
            if idle < self._ping_after:
                await asyncio.sleep(self._ping_after - idle)
                continue
            try:
                await self.call("Ping")
            except (ProtocolError, ServiceError, asyncio.TimeoutError):
                # The reader detects the end of the connection; one failed Ping is ignored.
                continue
            except (ConnectionLost, NotSent):
                return

    def _end(self, error: Exception) -> None:
        self._failure = self._failure or error
        for call in self._in_flight.values():
            if call and not call[1].done():
                call[1].set_exception(error)
            self._slots.release()
        self._in_flight.clear()
        self._tasks[1].cancel()
        self._writer.close()


Vector = dict[str, Any]
VECTORS = pathlib.Path(__file__).resolve().parents[3] / "user-proto" / "vectors"


class Failed(Exception):
    """A step did not go as the document specifies."""


def check(condition: bool, message: str) -> None:
    if not condition:
        raise Failed(message)


async def refused(code: int, call: Awaitable[Any], field: Optional[str] = None) -> ServiceError:
    """Awaits a call that must be refused with this code and, if given, this field."""
    try:
        await call
    except ServiceError as error:
        check(error.code == code, f"expected the error {code:04x}, got {error}")
        check(field is None or error.field == field, f"expected the field {field}, got {error}")
        return error
    raise Failed(f"expected the error {code:04x}, but the request was executed")


Step = Callable[..., Awaitable[None]]
STEPS: list[Step] = []


def step(function: Step) -> Step:
    """Adds a function, or a method of Tour, to the steps, which run in the order of this file."""
    STEPS.append(function)
    return function


def _vectors(file: str) -> Vector:
    return json.loads((VECTORS / file).read_text(encoding="utf-8"))


def _values_of(vector: Vector) -> dict[str, Any]:
    layout = BY_NAME[vector["message"]].layout
    return _values(layout, {**vector["fields"], **vector.get("common", {})})


def _values(layout: Layout, written: dict[str, Any]) -> dict[str, Any]:
    """Converts the JSON form of field values to the form that `decode` returns."""
    fields = layout.fields()
    return {name: _value(fields[name], value) for name, value in written.items()}


def _value(field: Field, written: Any) -> Any:
    rows = _rows(field)
    if rows:
        return [_values(rows, row) for row in written]
    if field.kind == "code":
        return int(written, 16)
    if field.kind in ("key", "bytes"):
        return bytes.fromhex(written)
    if field.kind == "secret":
        return bytes.fromhex(written["hex"]) if isinstance(written, dict) else written.encode()
    return written


async def _read_all(data: bytes, reply: bool) -> tuple[Message, int, dict[str, Any]]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return decode(await read_frame(reader), reply)


async def _verdict(data: bytes, reply: bool) -> tuple[str, Optional[int], Optional[str]]:
    """Returns the level, the code and the field, as in invalid.json."""
    try:
        await _read_all(data, reply)
    except asyncio.IncompleteReadError:
        return "incomplete", None, None
    except FrameError as error:
        return "frame", error.code, error.field
    except ProtocolError as error:
        return "message", error.code, error.field
    return "valid", None, None


@step
async def valid_vectors() -> None:
    for vector in _vectors("valid.json")["vectors"]:
        name, values = vector["name"], _values_of(vector)
        frame = bytes.fromhex(vector["hex"])
        message, request_id, decoded = await _read_all(frame, vector["direction"] == "reply")
        actual = (message.name, request_id)
        check(actual == (vector["message"], vector["id"]), f"{name} is decoded as {message.name}")
        check(f"{message.type:02x}" == vector["type"], f"{name} has another type")
        check(decoded == values, f"{name} is decoded with other values")
        canonical = bytes.fromhex(vector.get("canonical_hex", vector["hex"]))
        encoded = encode(message.name, request_id, values)
        check(encoded == canonical, f"{name} is encoded differently")


@step
async def invalid_vectors() -> None:
    file = _vectors("invalid.json")
    for vector in file["vectors"]:
        verdict = await _verdict(bytes.fromhex(vector["hex"]), vector["direction"] == "reply")
        code = int(vector["code"], 16) if "code" in vector else None
        expected = (vector["level"], code, vector.get("field"))
        check(verdict == expected, f"{vector['name']}: expected {expected}, got {verdict}")
    valid = {vector["name"]: vector for vector in _vectors("valid.json")["vectors"]}
    for entry in file["truncations"]:
        vector = valid[entry["of"]]
        frame, reply = bytes.fromhex(vector["hex"]), vector["direction"] == "reply"
        for end in range(len(frame)):
            verdict = await _verdict(frame[:end], reply)
            check(verdict[0] == "incomplete", f"{entry['of']}, first {end} bytes: got {verdict}")
        for end in range(len(frame) - 9):
            data = struct.pack(">I", end + MIN_LENGTH) + frame[4 : 9 + end]
            verdict = await _verdict(data, reply)
            valid_here = end in entry["valid_at"]
            expected = ("valid", None) if valid_here else ("message", MALFORMED)
            check(verdict[:2] == expected, f"{entry['of']}, body of {end} bytes: got {verdict}")


class FakeServer:
    """A server with scripted replies, including invalid ones."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[str, int, dict[str, Any]]:
        message, request_id, values = decode(await read_frame(self._reader), reply=False)
        return message.name, request_id, values

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def send_frame(self, type: int, request_id: int, body: bytes = b"") -> None:
        self.send(struct.pack(">IBI", len(body) + MIN_LENGTH, type, request_id) + body)

    def reply(self, name: str, request_id: int, **values: Any) -> None:
        self.send(encode(name, request_id, values))


@contextlib.asynccontextmanager
async def _against(
    script: Callable[[FakeServer], Awaitable[None]],
) -> AsyncIterator[Connection]:
    scripts: list[asyncio.Task] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scripts.append(asyncio.ensure_future(script(FakeServer(reader, writer))))
        await asyncio.wait(scripts)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = await Connection.open(host, port)
    try:
        yield connection
    finally:
        await connection.close()
        server.close()
    for done in scripts:
        await asyncio.wait_for(done, 10)


@step
async def replies_in_any_order() -> None:
    async def script(fake: FakeServer) -> None:
        requests = [await fake.request() for _ in range(3)]
        for _, request_id, values in reversed(requests):
            sessions_ended = int(values["token"].decode())
            fake.reply("LoggedOut", request_id, sessions_ended=sessions_ended)
        fake.reply("LoggedOut", 77, sessions_ended=9)

    async with _against(script) as connection:
        calls = (connection.call("Logout", token=f"{number}") for number in (5, 6, 7))
        ended = [reply["sessions_ended"] for reply in await asyncio.gather(*calls)]
        check(ended == [5, 6, 7], "a reply was assigned to another call")


@step
async def an_invalid_reply_fails_one_call() -> None:
    async def script(fake: FakeServer) -> None:
        # A type that no version assigns, and the type of the reply to another request.
        fake.send_frame(0xC0, (await fake.request())[1])
        fake.reply("LoggedOut", (await fake.request())[1], sessions_ended=1)
        # A truncated tag, an unknown even tag and an unknown odd tag.
        fake.send_frame(0xFF, (await fake.request())[1], b"\x0b")
        fake.send_frame(0xFF, (await fake.request())[1], b"\x0c\x00\x00")
        fake.send_frame(0xFF, (await fake.request())[1], b"\x0d\x00\x00")

    async with _against(script) as connection:
        for code in (UNKNOWN_TYPE, UNKNOWN_TYPE, MALFORMED, UNKNOWN_TAG):
            try:
                await connection.call("Ping")
            except ProtocolError as error:
                check(error.code == code, f"expected {code:04x}, got {error}")
            else:
                raise Failed("an invalid reply was accepted")
        check(await connection.call("Ping") == {}, "an unknown odd tag was not skipped")


@step
async def an_abandoned_call() -> None:
    async def script(fake: FakeServer) -> None:
        (_, abandoned, _), (_, following, _) = await fake.request(), await fake.request()
        check(abandoned != following, "an id was reused before its reply had arrived")
        fake.reply("LoggedOut", abandoned, sessions_ended=1)
        fake.reply("LoggedOut", following, sessions_ended=2)

    async with _against(script) as connection:
        try:
            await asyncio.wait_for(connection.call("Logout", token="1"), 0.5)
            raise Failed("a call returned without a reply")
        except asyncio.TimeoutError as error:
            check(retry_in("Logout", error) is None, "a Logout would be sent a second time")
        ended = await connection.call("Logout", token="2")
        check(ended["sessions_ended"] == 2, "the late reply was assigned to the next call")


@step
async def errors_by_class() -> None:
    codes = [0x0501, 0x05FE, 0x0601, 0x0301, 0x7F01]
    classes = [TryLater, TryLater, ServerFailed, NotAuthenticated, ServiceError]

    async def script(fake: FakeServer) -> None:
        for code in codes:
            request_id = (await fake.request())[1]
            fake.reply("ErrorReply", request_id, code=code, message="no", retry_after_ms=4000)

    async with _against(script) as connection:
        for code, expected in zip(codes, classes):
            login = connection.call("Login", login="ada", password="analytical engine")
            error = await refused(code, login)
            check(type(error) is expected, f"{error} is a {type(error).__name__}")
            wait = retry_in("Login", error)
            right = wait is not None and wait >= 4 if expected is TryLater else wait is None
            check(right, f"{error}: a Login would be sent again after {wait} s")
            safe = retry_in("GetUser", error) == 0
            check(safe == (expected is ServerFailed), f"{error}: GetUser is safe: {safe}")


@step
async def a_server_that_shuts_down() -> None:
    shutting_down = {"code": SHUTTING_DOWN, "message": "the server is shutting down"}

    async def script(fake: FakeServer) -> None:
        (_, first, _), (_, second, _) = await fake.request(), await fake.request()
        fake.reply("ErrorReply", 0, **shutting_down)
        fake.reply("ErrorReply", second, **shutting_down)
        fake.reply("LoggedOut", first, sessions_ended=1)

    async with _against(script) as connection:
        first = asyncio.ensure_future(connection.call("Logout", token="1"))
        await asyncio.sleep(0)
        error = await refused(SHUTTING_DOWN, connection.call("Logout", token="2"))
        check(retry_in("Logout", error) == 0, "a request that was not executed is not repeated")
        ended = await first
        check(ended["sessions_ended"] == 1, "the reply to an earlier request did not arrive")
        try:
            await connection.call("Ping")
            raise Failed("a request was sent to a server that shuts down")
        except NotSent as failure:
            check(retry_in("Logout", failure) == 0, "a request that was not sent is not repeated")


@step
async def a_connection_that_ends() -> None:
    too_long = bytes.fromhex("00010000")
    malformed = encode("ErrorReply", 0, {"code": MALFORMED, "message": "the id is in flight"})
    for last_bytes in (too_long, malformed, b"\x00\x00"):

        async def script(fake: FakeServer, last_bytes: bytes = last_bytes) -> None:
            await fake.request()
            fake.send(last_bytes)

        async with _against(script) as connection:
            try:
                await connection.call("Logout", token="1")
                raise Failed("a call returned without a reply")
            except ConnectionLost as error:
                check(retry_in("Logout", error) is None, "a Logout would be sent a second time")
                for since_first, expected in ((1, 0.0), (31, None)):
                    wait = retry_in("RefreshToken", error, since_first)
                    check(wait == expected, f"RefreshToken after {since_first} s: got {wait}")


class Mailbox:
    """The folder into which the server under test writes its emails."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._seen: set[pathlib.Path] = set()

    async def code(self, address: str, pattern: str = r"\d{6}") -> str:
        """Returns the code in the next email to an address: a line of the plain text."""
        for _ in range(300):
            for path in sorted(set(self._folder.glob("*.eml")) - self._seen):
                mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
                if mail["To"] != address:
                    continue
                self._seen.add(path)
                lines = mail.get_body(("plain",)).get_content().splitlines()
                found = [line.strip() for line in lines if re.fullmatch(pattern, line.strip())]
                if found:
                    return found[0]
            await asyncio.sleep(0.1)
        raise Failed(f"no email to {address} contains a code")


class Tour:
    """The life of one account. The steps run in order and use the results of earlier steps."""

    def __init__(self, host: str, port: int, mailbox: Mailbox) -> None:
        self._at = (host, port)
        self._mailbox = mailbox
        name = secrets.token_hex(5)
        self.username = f"ada-{name}"
        self.email = f"ada-{name}@example.org"
        self.password = "correct horse battery staple"
        self.device = "Firefox on Linux"
        # A network that no earlier run has used, so that rate limits do not carry over.
        network = (0x20010DB8 << 96) + (secrets.randbits(32) << 64)
        self.client_address = str(ipaddress.IPv6Address(network + 1))
        self.connection: Connection

    async def call(self, name: str, **values: Any) -> dict[str, Any]:
        return await self.connection.call(name, client_address=self.client_address, **values)

    async def login(
        self, login: Optional[str] = None, password: Optional[str] = None
    ) -> dict[str, Any]:
        login, password = login or self.username, password or self.password
        return await self.call("Login", login=login, password=password, device=self.device)

    async def check_valid(self, session: dict[str, Any]) -> None:
        verified = await self.call("VerifyToken", access_token=session["access_token"])
        right = verified["session_id"] == session["session_id"]
        check(right, "the token belongs to another session")

    async def check_revoked(self, session: dict[str, Any]) -> None:
        token = session["access_token"]
        await refused(SESSION_REVOKED, self.call("VerifyToken", access_token=token))

    async def raw(self, *frames: bytes) -> list[tuple[Message, int, dict[str, Any]]]:
        """Sends bytes on a new connection, shuts down writing, and returns the replies."""
        reader, writer = await asyncio.open_connection(*self._at)
        replies = []
        writer.write(b"".join(frames))
        writer.write_eof()
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                replies.append(decode(await asyncio.wait_for(read_frame(reader), 20), reply=True))
        writer.close()
        return replies

    @step
    async def ping(self) -> None:
        self.connection = await Connection.open(*self._at)
        pong = await self.call("Ping")
        check(pong.get("max_in_flight", 256) >= 1, "the limit of requests in flight is 0")
        await asyncio.gather(*(self.call("Ping") for _ in range(100)))

    @step
    async def replies_after_shutting_down_writing(self) -> None:
        pings = [encode("Ping", number, {}) for number in (1, 2**32 - 1)]
        replies = await self.raw(*pings)
        check({reply[1] for reply in replies} == {1, 2**32 - 1}, "a reply is missing")

    @step
    async def frames_of_the_vectors(self) -> None:
        vectors = _vectors("invalid.json")["vectors"] + _vectors("valid.json")["vectors"]
        for vector in vectors:
            name, is_ping = vector["name"], vector.get("message") == "Ping"
            if vector["direction"] == "reply" or ("code" not in vector and not is_ping):
                continue
            replies = await self.raw(bytes.fromhex(vector["hex"]))
            check(len(replies) == 1, f"{name}: expected one reply, got {len(replies)}")
            message, request_id, values = replies[0]
            if is_ping:
                check(message.name == "Pong", f"{name}: expected a Pong, got {message.name}")
                continue
            code, field = int(vector["code"], 16), vector.get("field")
            check(values.get("code") == code, f"{name}: got {values}")
            check(field in (None, values.get("field")), f"{name}: got {values}")
            expected_id = 0 if vector.get("level") == "frame" else 6699
            check(request_id == expected_id, f"{name}: the reply has the id {request_id}")

    @step
    async def an_invalid_message_leaves_the_connection_open(self) -> None:
        # A type that no version assigns, and later a frame that is too short.
        unknown = bytes.fromhex("000000054000001a2b")
        too_short = b"\x00\x00\x00\x04"
        pings = [encode("Ping", number, {}) for number in (1, 2)]
        replies = await self.raw(unknown, pings[0], too_short, pings[1])
        actual = {(reply[1], reply[2].get("code")) for reply in replies}
        expected = {(6699, UNKNOWN_TYPE), (1, None), (0, FRAME_TOO_SHORT)}
        check(actual == expected, f"the replies are {actual}")

    @step
    async def an_id_in_flight_ends_the_connection(self) -> None:
        # Hashing the password takes long enough for the id to be in flight when the Ping arrives.
        login = {"login": "nobody" + self.username, "password": self.password}
        login["client_address"] = self.client_address
        pings = [encode("Ping", number, {}) for number in (5, 6)]
        replies = await self.raw(encode("Login", 5, login), *pings)
        actual = [(reply[1], reply[2].get("code"), reply[2].get("field")) for reply in replies]
        expected = [(5, INVALID_CREDENTIALS, None), (0, MALFORMED, "request_id")]
        check(actual == expected, f"the replies are {actual}")

    @step
    async def an_expired_deadline(self) -> None:
        await refused(DEADLINE_EXCEEDED, self.call("Ping", deadline_ms=0))

    @step
    async def register(self) -> None:
        valid = {"username": self.username, "email": self.email, "password": self.password}
        for field, value, code in (
            ("username", "a@b", INVALID_USERNAME),
            ("username", "", INVALID_USERNAME),
            ("email", "nobody", INVALID_EMAIL),
            ("password", "short", INVALID_PASSWORD),
            ("password", b"\xff\x00\x80\xc3 is not UTF-8", INVALID_PASSWORD),
        ):
            await refused(code, self.call("Register", **{**valid, field: value}), field)
        key = secrets.token_bytes(16)
        self.registered = await self.call("Register", idempotency_key=key, **valid)
        repeated = await self.call("Register", idempotency_key=key, **valid)
        check(repeated == self.registered, "a repeated request started another registration")
        other = {**valid, "username": self.username + "x"}
        await refused(IDEMPOTENCY_CONFLICT, self.call("Register", idempotency_key=key, **other))
        check(self.registered["code_expires_in"] > 0, "the code has no lifetime")

    @step
    async def resend_too_early(self) -> None:
        registration = self.registered["verification_id"]
        error = await refused(RATE_LIMITED, self.call("ResendCode", verification_id=registration))
        has_wait = error.retry_after is not None and error.retry_after > 0
        check(has_wait, "the error does not contain the time to wait")
        unknown = str(uuid.uuid4())
        await refused(CODE_EXPIRED, self.call("ResendCode", verification_id=unknown))

    @step
    async def no_login_before_the_code(self) -> None:
        await refused(INVALID_CREDENTIALS, self.login())

    @step
    async def verify_email(self) -> None:
        code = await self._mailbox.code(self.email)
        wrong = f"{(int(code) + 1) % 10**6:06}"
        verification = {"verification_id": self.registered["verification_id"]}
        await refused(INVALID_CODE, self.call("VerifyEmail", **verification, code=wrong))
        self.session = await self.call("VerifyEmail", **verification, code=code)
        await self.check_valid(self.session)
        await refused(CODE_EXPIRED, self.call("VerifyEmail", **verification, code=code))

    @step
    async def log_in(self) -> None:
        same = (await self.login())["user_id"] == self.session["user_id"]
        check(same, "the login returned another user")
        self.session = await self.login(self.email.upper())
        too_long = {"login": self.username, "password": self.password, "device": "x" * 129}
        await refused(INVALID_VALUE, self.call("Login", **too_long), "device")
        await refused(INVALID_CREDENTIALS, self.login(password="wrong"))
        await refused(INVALID_CREDENTIALS, self.login(login="nobody" + self.username))

    @step
    async def verify_token(self) -> None:
        access_token = self.session["access_token"]
        verified = await self.call("VerifyToken", access_token=access_token)
        check(verified["user_id"] == self.session["user_id"], "the token is of another user")
        lifetime = verified["expires_at"] - verified["issued_at"]
        right = abs(lifetime - self.session["access_expires_in"]) <= 1
        check(right, "the lifetime of the token differs from access_expires_in")
        refresh_token = self.session["refresh_token"]
        for token in (b"", b"a.b.c", access_token[:-1], refresh_token, b"x" * 3000):
            await refused(INVALID_TOKEN, self.call("VerifyToken", access_token=token))

    @step
    async def refresh(self) -> None:
        old = self.session
        calls = [self.call("RefreshToken", refresh_token=old["refresh_token"]) for _ in range(2)]
        first, repeated = await asyncio.gather(*calls)
        same = first["refresh_token"] == repeated["refresh_token"]
        check(same, "a repeated refresh returned another successor")
        check(first["refresh_token"] != old["refresh_token"], "the refresh token did not change")
        for session in (old, first, repeated):
            await self.check_valid(session)
        self.session = repeated

    @step
    async def refresh_with_a_stolen_token(self) -> None:
        session = await self.login()
        stolen = session["refresh_token"]
        for _ in range(2):
            session = await self.call("RefreshToken", refresh_token=session["refresh_token"])
        await refused(SESSION_REVOKED, self.call("RefreshToken", refresh_token=stolen))
        await self.check_revoked(session)
        latest = session["refresh_token"]
        await refused(SESSION_REVOKED, self.call("RefreshToken", refresh_token=latest))
        await self.check_valid(self.session)

    @step
    async def get_user(self) -> None:
        user = await self.call("GetUser", access_token=self.session["access_token"])
        actual = (user["username"], user["email"])
        check(actual == (self.username, self.email), "another user was returned")
        check(abs(user["created_at"] - time.time()) < 3600, "the time of creation is wrong")

    @step
    async def list_sessions(self) -> None:
        other = await self.login()
        listed = await self.call("ListSessions", access_token=self.session["access_token"])
        by_id = {row["session_id"]: row for row in listed["sessions"]}
        check(len(by_id) == len(listed["sessions"]) >= 2, f"the sessions are {list(by_id)}")
        current = [row["session_id"] for row in by_id.values() if row.get("current")]
        check(current == [self.session["session_id"]], f"the current session is {current}")
        row = by_id[other["session_id"]]
        check(row["device"] == self.device, f"the device is {row['device']}")
        check(row["network"].endswith("/48"), f"the network is {row['network']}")
        check(row["created_at"] <= row["last_used_at"], "a session was used before it was opened")

    @step
    async def end_session(self) -> None:
        caller, other = await self.login(), await self.login()
        for session, expected in ((other, 1), (other, 0), (caller, 1)):
            token, session_id = caller["access_token"], session["session_id"]
            ended = await self.call("EndSession", access_token=token, session_id=session_id)
            check(ended["sessions_ended"] == expected, f"{ended['sessions_ended']} sessions ended")
            await self.check_revoked(session)
        await self.check_valid(self.session)

    @step
    async def watch_revocations(self) -> None:
        keys = await self.call("GetKeys")
        check(json.loads(keys["jwks"])["keys"] is not None, f"the keys are {keys['jwks']}")
        cursor, more = b"", 1
        while more:
            page = await self.call("WatchRevocations", cursor=cursor, wait_ms=0)
            cursor, more = page["cursor"], page["more"]
        session = await self.login()
        waiting = asyncio.ensure_future(
            self.call("WatchRevocations", cursor=cursor, wait_ms=5000)
        )
        await self.call("Logout", token=session["access_token"])
        ended = [(row["kind"], str(uuid.UUID(bytes=row["id"]))) for row in (await waiting)["entries"]]
        check((1, session["session_id"]) in ended, f"the entries are {ended}")

    @step
    async def update_username(self) -> None:
        token = {"access_token": self.session["access_token"]}
        await refused(NOTHING_TO_UPDATE, self.call("UpdateUser", **token))
        invalid = self.call("UpdateUser", **token, username="x")
        await refused(INVALID_USERNAME, invalid, "username")
        old, self.username = self.username, self.username.replace("ada", "grace")
        updated = await self.call("UpdateUser", **token, username=self.username)
        actual = (updated["username"], updated["email"])
        check(actual == (self.username, self.email), "the update had no effect")
        await refused(INVALID_CREDENTIALS, self.login(login=old))
        taken = {"username": self.username, "email": "x" + self.email, "password": self.password}
        await refused(USERNAME_TAKEN, self.call("Register", **taken))

    @step
    async def update_email(self) -> None:
        token = {"access_token": self.session["access_token"]}
        new = "new-" + self.email
        without = self.call("UpdateUser", **token, email=new)
        await refused(INVALID_CREDENTIALS, without, "current_password")
        wrong = self.call("UpdateUser", **token, email=new, current_password="wrong")
        await refused(INVALID_CREDENTIALS, wrong, "current_password")
        change = {**token, "email": new, "current_password": self.password}
        updated = await self.call("UpdateUser", **change)
        check(updated["email"] == self.email, "a new address took effect without its code")
        confirm = {**token, "verification_id": updated["verification_id"]}
        code = await self._mailbox.code(new)
        await refused(INVALID_CODE, self.call("ConfirmEmail", **confirm, code="x"))
        confirmed = await self.call("ConfirmEmail", **confirm, code=code)
        check(confirmed["email"] == new, "the new address did not take effect")
        await refused(INVALID_CREDENTIALS, self.login(login=self.email))
        self.email = new
        await self.login(login=new)

    @step
    async def update_password(self) -> None:
        other = await self.login()
        token = {"access_token": self.session["access_token"]}
        change = {**token, "current_password": self.password}
        short = self.call("UpdateUser", **change, new_password="short")
        await refused(INVALID_PASSWORD, short, "new_password")
        await self.call("UpdateUser", **change, new_password="analytical engine no. 1")
        await self.check_revoked(other)
        await self.check_valid(self.session)
        await refused(INVALID_CREDENTIALS, self.login())
        self.password = "analytical engine no. 1"
        await self.login()

    @step
    async def log_out(self) -> None:
        one, two, three = [await self.login() for _ in range(3)]
        ended = await self.call("Logout", token=one["refresh_token"])
        check(ended["sessions_ended"] == 1, f"{ended['sessions_ended']} sessions ended")
        await self.check_revoked(one)
        await self.check_valid(two)
        ended = await self.call("Logout", token=two["access_token"], all_sessions=True)
        check(ended["sessions_ended"] >= 3, f"{ended['sessions_ended']} sessions ended")
        for session in (two, three, self.session):
            await self.check_revoked(session)

    @step
    async def reset_password(self) -> None:
        session = await self.login()
        invalid = self.call("RequestPasswordReset", email="nobody")
        await refused(INVALID_EMAIL, invalid, "email")
        unknown = await self.call("RequestPasswordReset", email="nobody-" + self.email)
        requested = await self.call("RequestPasswordReset", email=self.email)
        same = {**unknown, **requested} == requested
        check(same, "the reply reveals whether the address has an account")
        code = await self._mailbox.code(self.email, r"[0-9A-Z]{5}-[0-9A-Z]{5}")
        reset = {"verification_id": requested["verification_id"]}
        new = {**reset, "new_password": "another engine altogether"}
        short = self.call("ResetPassword", **reset, code=code, new_password="short")
        await refused(INVALID_PASSWORD, short)
        await refused(INVALID_CODE, self.call("ResetPassword", **new, code="00000-00000"))
        without_hyphen = code.lower().replace("-", "")
        ended = await self.call("ResetPassword", **new, code=without_hyphen)
        check(ended["sessions_ended"] >= 1, "no session ended")
        await self.check_revoked(session)
        await refused(INVALID_CREDENTIALS, self.login())
        self.password = new["new_password"]
        self.session = await self.login()

    @step
    async def delete(self) -> None:
        token = {"access_token": self.session["access_token"]}
        wrong = self.call("DeleteUser", **token, current_password="x")
        await refused(INVALID_CREDENTIALS, wrong, "current_password")
        deleted = await self.call("DeleteUser", **token, current_password=self.password)
        check(deleted["user_id"] == self.session["user_id"], "another user was deleted")
        await self.check_revoked(self.session)
        await refused(INVALID_CREDENTIALS, self.login())

    @step
    async def close(self) -> None:
        await self.connection.close()
        try:
            await self.call("Ping")
            raise Failed("a request was sent on a closed connection")
        except NotSent:
            pass


async def run(host: str, port: int, folder: pathlib.Path) -> bool:
    tour = Tour(host, port, Mailbox(folder))
    for function in STEPS:
        name = function.__name__.replace("_", " ")
        is_method = getattr(Tour, function.__name__, None) is function
        started = time.monotonic()
        try:
            await (function(tour) if is_method else function())
        except Exception as error:
            print(f"FAILED  {name}: {type(error).__name__}: {error}")
            if not isinstance(error, Failed):
                traceback.print_exc(file=sys.stdout)
            return False
        print(f"ok      {name} ({time.monotonic() - started:.2f} s)", flush=True)
    return True


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: gateway.py HOST:PORT MAIL_FOLDER", file=sys.stderr)
        return 2
    host, _, port = sys.argv[1].rpartition(":")
    passed = asyncio.run(run(host.strip("[]"), int(port), pathlib.Path(sys.argv[2])))
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
