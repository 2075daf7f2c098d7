"""A gateway's client of the user service, written from user-proto/PROTOCOL.md alone, and a tour that tests it.

It shows that the document and its vectors suffice to talk to the service from another language, and it is meant to be
copied: it needs Python 3.9 and nothing else. The first half is the client, the second the tour:

    python3 gateway.py HOST:PORT MAIL_FOLDER

The tour prints a line for each step and exits with 1 at the first that fails.
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

# Each line is a message: its type, its name, and its fields in the order of the wire. A number behind a field is its
# tag; a field without one is required.
TABLE = """
01 Register: username text, email text, password secret
02 Login: login text, password secret
03 VerifyToken: access_token secret
04 UpdateUser: access_token secret,
   username text 02, email text 04, new_password secret 06, current_password secret 08
05 DeleteUser: access_token secret, current_password secret
06 VerifyEmail: verification_id uuid, code secret, username text 02
07 ResendCode: verification_id uuid
08 RefreshToken: refresh_token secret
09 Logout: token secret, all_sessions flag 02
0A GetUser: access_token secret
0B RequestPasswordReset: email text
0C ResetPassword: verification_id uuid, code secret, new_password secret
0D ConfirmEmail: access_token secret, verification_id uuid, code secret
7F Ping:
80 ErrorReply: code code, message text, retry_after_ms u32 01, field text 03
81 Registered: verification_id uuid, code_expires_in u32, resend_after u32
82 LoggedIn: user_id uuid, session_id uuid,
   access_token secret, access_expires_in u32, refresh_token secret, refresh_expires_in u32
83 TokenVerified: user_id uuid, session_id uuid, issued_at instant, expires_at instant, stale_ms u32 01
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
FF Pong: max_in_flight u32 01, idle_timeout u32 03
"""
COMMON = "client_address address E1, deadline_ms u32 E3, idempotency_key key E6, traceparent text E7"

REPLY_BIT = 0x80
ERROR_REPLY = 0x80
SHORTEST, LONGEST = 5, 65_535
LATEST_INSTANT = 2**53 - 1

UNKNOWN_TYPE, MALFORMED, UNKNOWN_TAG, FRAME_TOO_LONG, FRAME_TOO_SHORT = 0x0101, 0x0102, 0x0103, 0x0104, 0x0105
INVALID_USERNAME, INVALID_EMAIL, INVALID_PASSWORD, NOTHING_TO_UPDATE = 0x0201, 0x0202, 0x0203, 0x0204
INVALID_CREDENTIALS, INVALID_TOKEN, SESSION_REVOKED = 0x0301, 0x0303, 0x0305
INVALID_CODE, CODE_EXPIRED = 0x0306, 0x0307
USERNAME_TAKEN = 0x0401
IDEMPOTENCY_CONFLICT = 0x0402
RATE_LIMITED = 0x0501
SHUTTING_DOWN, DEADLINE_EXCEEDED = 0x0603, 0x0604


class Secret(bytes):
    """A password, token or code: its bytes, which no log and no traceback shows."""

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__


@dataclass(frozen=True)
class Field:
    name: str
    kind: str
    tag: Optional[int] = None


@dataclass(frozen=True)
class Message:
    type: int
    name: str
    required: tuple[Field, ...]
    tagged: dict[int, Field]

    @property
    def is_reply(self) -> bool:
        return bool(self.type & REPLY_BIT)


def _fields(line: str) -> list[Field]:
    parts = [part.split() for part in line.split(",") if part.strip()]
    return [Field(part[0], part[1], int(part[2], 16) if len(part) > 2 else None) for part in parts]


def _messages() -> Iterator[Message]:
    common = _fields(COMMON)
    for line in TABLE.replace("\n   ", " ").strip().splitlines():
        head, _, tail = line.partition(":")
        number, name = head.split()
        own = _fields(tail)
        tagged = own if int(number, 16) & REPLY_BIT else own + common
        yield Message(
            int(number, 16),
            name,
            tuple(field for field in own if field.tag is None),
            {field.tag: field for field in tagged if field.tag is not None},
        )


BY_TYPE = {message.type: message for message in _messages()}
BY_NAME = {message.name: message for message in BY_TYPE.values()}
COMMON_NAMES = {field.name for field in _fields(COMMON)}


class Fault(Exception):
    """Bytes that are no message: which code a server answers, and which field it names."""

    def __init__(self, code: int, field: Optional[str] = None) -> None:
        super().__init__(f"{code:04x}" + (f" in {field}" if field else ""))
        self.code = code
        self.field = field


class FrameFault(Fault):
    """Nobody knows where the next frame starts, or whose it is: the connection is at its end."""


def _to_text(value: bytes) -> str:
    # Python's decoder is strict by default: neither overlong forms nor surrogates pass.
    return value.decode("utf-8")


def _to_address(value: bytes) -> str:
    # The text is kept as it came, so that writing it again gives the same bytes. Early releases of Python 3.9 take
    # leading zeros in IPv4, and all take a zone in IPv6; an address here has neither.
    text = value.decode("ascii")
    if "%" in text or re.search(r"(^|[.:])0\d+\.|\.0\d", text):
        raise ValueError("not an address")
    ipaddress.ip_address(text)
    return text


def _to_instant(value: bytes) -> int:
    seconds = int.from_bytes(value, "big")
    if seconds > LATEST_INSTANT:
        raise ValueError("an instant past 2^53-1")
    return seconds


def _from_secret(value: Union[str, bytes]) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _number(size: int) -> tuple[int, Callable[[bytes], Any], Callable[[Any], bytes]]:
    return size, lambda value: int.from_bytes(value, "big"), lambda number: number.to_bytes(size, "big")


# Of each kind of field: its size in bytes where it is fixed, how it is read and how it is written.
KINDS: dict[str, tuple[Optional[int], Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "text": (None, _to_text, str.encode),
    "secret": (None, Secret, _from_secret),
    "address": (None, _to_address, str.encode),
    "uuid": (16, lambda value: str(uuid.UUID(bytes=value)), lambda text: uuid.UUID(text).bytes),
    "instant": (8, _to_instant, lambda seconds: seconds.to_bytes(8, "big")),
    "u32": _number(4),
    "code": _number(2),
    "key": (16, bytes, bytes),
    "flag": (0, lambda value: True, lambda flag: b""),
}


def _read(field: Field, value: bytes) -> Any:
    size, read, _ = KINDS[field.kind]
    if size is not None and len(value) != size:
        raise Fault(MALFORMED, field.name)
    try:
        return read(value)
    except ValueError:
        raise Fault(MALFORMED, field.name) from None


def encode(name: str, request_id: int, values: dict[str, Any]) -> bytes:
    """The frame of a message. A tag whose value is None, or a flag that is False, is left out."""
    message = BY_NAME[name]
    names = {field.name for field in (*message.required, *message.tagged.values())}
    if values.keys() - names:
        raise TypeError(f"{name} has no {', '.join(sorted(values.keys() - names))}")
    body = bytearray()
    for field in message.required:
        size, _, write = KINDS[field.kind]
        value = write(values[field.name])
        body += (struct.pack(">H", len(value)) if size is None else b"") + value
    for tag, field in sorted(message.tagged.items()):
        if values.get(field.name) is not None and values[field.name] is not False:
            value = KINDS[field.kind][2](values[field.name])
            body += struct.pack(">BH", tag, len(value)) + value
    if len(body) + SHORTEST > LONGEST:
        raise ValueError(f"{name} is longer than a frame may be")
    return struct.pack(">IBI", len(body) + SHORTEST, message.type, request_id) + body


def frame_length(head: bytes) -> int:
    """What the first four bytes of a frame say of its length, which is to be checked before the rest is awaited."""
    length = int.from_bytes(head, "big")
    if length < SHORTEST:
        raise FrameFault(FRAME_TOO_SHORT)
    if length > LONGEST:
        raise FrameFault(FRAME_TOO_LONG)
    return length


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """The next frame without its length. asyncio.IncompleteReadError stands for one whose rest did not come."""
    return await reader.readexactly(frame_length(await reader.readexactly(4)))


def decode(frame: bytes, reply: bool) -> tuple[Message, int, dict[str, Any]]:
    """Reads a frame as read_frame gives it: as a client does where `reply` is true, else as a server does."""
    number, request_id = struct.unpack_from(">BI", frame)
    if request_id == 0 and not reply:
        raise FrameFault(MALFORMED)
    message = BY_TYPE.get(number)
    if message is None or message.is_reply != reply:
        raise Fault(UNKNOWN_TYPE)
    return message, request_id, _decode_body(message, frame[SHORTEST:])


def _decode_body(message: Message, body: bytes) -> dict[str, Any]:
    values: dict[str, Any] = {}
    at = 0
    for field in message.required:
        size = KINDS[field.kind][0]
        if size is None:
            if at + 2 > len(body):
                raise Fault(MALFORMED, field.name)
            size = int.from_bytes(body[at : at + 2], "big")
            at += 2
        if at + size > len(body):
            raise Fault(MALFORMED, field.name)
        values[field.name] = _read(field, body[at : at + size])
        at += size
    last = -1
    while at < len(body):
        tag = body[at]
        size = int.from_bytes(body[at + 1 : at + 3], "big")
        if at + 3 > len(body) or tag <= last or at + 3 + size > len(body):
            raise Fault(MALFORMED, "tail")
        if tag in message.tagged:
            field = message.tagged[tag]
            values[field.name] = _read(field, body[at + 3 : at + 3 + size])
        elif tag % 2 == 0:
            raise Fault(UNKNOWN_TAG)
        last = tag
        at += 3 + size
    return values


class ServiceError(Exception):
    """The service refused a request. What to do follows from the code's class; a class of its own stands for each."""

    def __init__(self, code: int, message: str, retry_after_ms: Optional[int] = None, field: Optional[str] = None):
        super().__init__(f"{code:04x}: {message}" + (f" ({field})" if field else ""))
        self.code = code
        self.field = field
        self.retry_after = None if retry_after_ms is None else retry_after_ms / 1000


class ProtocolBroken(ServiceError):
    """01: this client has a fault, or is newer than the server."""


class InvalidValue(ServiceError):
    """02: the end user is told which value can't be accepted."""


class ProofNeeded(ServiceError):
    """03: the end user has to prove who they are."""


class Taken(ServiceError):
    """04: somebody else has it."""


class NotNow(ServiceError):
    """05: nothing was done, and the same may be sent again later."""


class ServerFailed(ServiceError):
    """06: the server failed."""


CLASSES = {1: ProtocolBroken, 2: InvalidValue, 3: ProofNeeded, 4: Taken, 5: NotNow, 6: ServerFailed}


class ConnectionLost(Exception):
    """The connection ended before the reply: whether the request was executed is not known."""


class NotSent(Exception):
    """The request did not leave: the connection is closed or going down, and another one may be asked at once."""


def service_error(values: dict[str, Any]) -> ServiceError:
    return CLASSES.get(values["code"] >> 8, ServiceError)(**values)


def retry_in(name: str, failure: Exception, since_first: float = 0.0) -> Optional[float]:
    """After how many seconds the same request may be sent again, on a new connection if need be; None: it must not."""
    if isinstance(failure, NotSent):
        return 0.0
    if isinstance(failure, ServiceError) and failure.code == SHUTTING_DOWN:
        return 0.0
    if isinstance(failure, NotNow):
        return (1.0 if failure.retry_after is None else failure.retry_after) * random.uniform(1.0, 1.25)
    if isinstance(failure, (ServerFailed, ConnectionLost, asyncio.TimeoutError)):
        safe = name in ("VerifyToken", "GetUser", "Ping") or (name == "RefreshToken" and since_first < 30)
        return 0.0 if safe else None
    return None


class Connection:
    """One connection, which many callers share. Replies come in any order."""

    DEADLINE = 10.0
    # The server counts its deadline from the arrival of the request, so its answer comes a little after.
    PATIENCE = 1.0

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        # An id stays here until its reply has come, though the call was given up; then None stands for it.
        self._in_flight: dict[int, Optional[tuple[str, asyncio.Future]]] = {}
        self._room = asyncio.Semaphore(256)
        self._last_sent = time.monotonic()
        self._ping_after = 60.0
        self._failure: Optional[Exception] = None
        self.going_down = False
        self._tasks = [asyncio.ensure_future(self._read_replies()), asyncio.ensure_future(self._stay())]

    @classmethod
    async def open(cls, host: str, port: int) -> "Connection":
        return cls(*await asyncio.wait_for(asyncio.open_connection(host, port), 10))

    async def call(self, name: str, deadline: float = DEADLINE, **values: Any) -> dict[str, Any]:
        """Sends a request and awaits its reply's fields. Raises ServiceError where the service refuses it."""
        values.setdefault("deadline_ms", int(deadline * 1000))
        return await asyncio.wait_for(self._call(name, values), deadline + self.PATIENCE)

    async def close(self) -> None:
        """Sends no more, lets the server answer what it was asked, and closes."""
        if not self._writer.is_closing():
            self._writer.write_eof()
            await asyncio.wait([self._tasks[0]], timeout=self.DEADLINE)
        self._end(ConnectionLost("closed"))

    async def _call(self, name: str, values: dict[str, Any]) -> dict[str, Any]:
        await self._room.acquire()
        try:
            if self.going_down or self._failure:
                raise NotSent(str(self._failure or "the server is going down"))
            request_id = self._free_id()
            frame = encode(name, request_id, values)
        except BaseException:
            self._room.release()
            raise
        answered: asyncio.Future = asyncio.get_running_loop().create_future()
        self._in_flight[request_id] = (name, answered)
        self._last_sent = time.monotonic()
        try:
            self._writer.write(frame)
            await self._writer.drain()
            return await answered
        except OSError as failure:
            raise ConnectionLost(str(failure)) from failure
        finally:
            # Also where the call was given up: the id is free again once the reply has come, and not before.
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
                self._take(await read_frame(self._reader))
        except asyncio.IncompleteReadError:
            self._end(ConnectionLost("the server closed the connection"))
        except (OSError, Fault, ServiceError) as failure:
            self._end(ConnectionLost(str(failure)))

    def _take(self, frame: bytes) -> None:
        number, request_id = struct.unpack_from(">BI", frame)
        if request_id == 0:
            if number == ERROR_REPLY:
                self._take_error_of_connection(frame)
            return
        if request_id not in self._in_flight:
            return
        call = self._in_flight.pop(request_id)
        self._room.release()
        if call is None or call[1].done():
            return
        name, answered = call
        try:
            message, _, values = decode(frame, reply=True)
            if message.type == ERROR_REPLY:
                raise service_error(values)
            if message.type != BY_NAME[name].type | REPLY_BIT:
                raise Fault(UNKNOWN_TYPE)
            if message.name == "Pong":
                self._ping_after = min(60.0, values.get("idle_timeout", 300) / 2)
            answered.set_result(values)
        except (Fault, ServiceError) as failure:
            answered.set_exception(failure)

    def _take_error_of_connection(self, frame: bytes) -> None:
        error = service_error(decode(frame, reply=True)[2])
        if error.code != SHUTTING_DOWN:
            raise error
        self.going_down = True

    async def _stay(self) -> None:
        while not self.going_down:
            silent = time.monotonic() - self._last_sent
            if silent < self._ping_after:
                await asyncio.sleep(self._ping_after - silent)
                continue
            try:
                await self.call("Ping")
            except (Fault, ServiceError, asyncio.TimeoutError):
                # The reader tells those who wait when the connection ends; a single Ping that fails says nothing.
                continue
            except (ConnectionLost, NotSent):
                return

    def _end(self, failure: Exception) -> None:
        self._failure = self._failure or failure
        for call in self._in_flight.values():
            if call and not call[1].done():
                call[1].set_exception(failure)
            self._room.release()
        self._in_flight.clear()
        self._tasks[1].cancel()
        self._writer.close()


Vector = dict[str, Any]
VECTORS = pathlib.Path(__file__).resolve().parents[3] / "user-proto" / "vectors"


class Failed(Exception):
    """A step of the tour did not go as the document says."""


def check(right: bool, what: str) -> None:
    if not right:
        raise Failed(what)


async def refused(code: int, call: Awaitable[Any], field: Optional[str] = None) -> ServiceError:
    try:
        await call
    except ServiceError as error:
        check(error.code == code, f"{code:04x} was to come, and it was {error}")
        check(field is None or error.field == field, f"the field {field} was to be named, and it was {error.field}")
        return error
    raise Failed(f"{code:04x} was to come, and the request was executed")


def _vectors(file: str) -> Vector:
    return json.loads((VECTORS / file).read_text(encoding="utf-8"))


def _values_of(vector: Vector) -> dict[str, Any]:
    message = BY_NAME[vector["message"]]
    kinds = {field.name: field.kind for field in (*message.required, *message.tagged.values())}

    def value(name: str, written: Any) -> Any:
        if kinds[name] == "code":
            return int(written, 16)
        if kinds[name] == "key":
            return bytes.fromhex(written)
        if kinds[name] == "secret":
            return bytes.fromhex(written["hex"]) if isinstance(written, dict) else written.encode()
        return written

    return {name: value(name, written) for name, written in {**vector["fields"], **vector.get("common", {})}.items()}


async def _read_all(data: bytes, reply: bool) -> tuple[Message, int, dict[str, Any]]:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    return decode(await read_frame(reader), reply)


async def _verdict(data: bytes, reply: bool) -> tuple[str, Optional[int], Optional[str]]:
    """What invalid.json calls level, code and field."""
    try:
        await _read_all(data, reply)
    except asyncio.IncompleteReadError:
        return "incomplete", None, None
    except FrameFault as fault:
        return "frame", fault.code, fault.field
    except Fault as fault:
        return "message", fault.code, fault.field
    return "valid", None, None


async def valid_vectors() -> None:
    for vector in _vectors("valid.json")["vectors"]:
        name, values, frame = vector["name"], _values_of(vector), bytes.fromhex(vector["hex"])
        message, request_id, read = await _read_all(frame, vector["direction"] == "reply")
        check((message.name, request_id) == (vector["message"], vector["id"]), f"{name} is read as {message.name}")
        check(f"{message.type:02x}" == vector["type"], f"{name} has another type")
        check(read == values, f"{name} is read with other values")
        canonical = bytes.fromhex(vector.get("canonical_hex", vector["hex"]))
        check(encode(message.name, request_id, values) == canonical, f"{name} is written otherwise")


async def invalid_vectors() -> None:
    file = _vectors("invalid.json")
    for vector in file["vectors"]:
        verdict = await _verdict(bytes.fromhex(vector["hex"]), vector["direction"] == "reply")
        code = int(vector["code"], 16) if "code" in vector else None
        wanted = (vector["level"], code, vector.get("field"))
        check(verdict == wanted, f"{vector['name']} is {verdict} and was to be {wanted}")
    valid = {vector["name"]: vector for vector in _vectors("valid.json")["vectors"]}
    for entry in file["truncations"]:
        vector = valid[entry["of"]]
        frame, reply = bytes.fromhex(vector["hex"]), vector["direction"] == "reply"
        for end in range(len(frame)):
            verdict = await _verdict(frame[:end], reply)
            check(verdict[0] == "incomplete", f"{entry['of']}, of which {end} bytes came, is {verdict}")
        for end in range(len(frame) - 9):
            verdict = await _verdict(struct.pack(">I", end + SHORTEST) + frame[4 : 9 + end], reply)
            wanted = ("valid", None) if end in entry["valid_at"] else ("message", MALFORMED)
            check(verdict[:2] == wanted, f"{entry['of']}, its body cut at {end}, is {verdict}")


class Fake:
    """A server whose replies a test writes by hand, since a right one does not err on demand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def request(self) -> tuple[str, int, dict[str, Any]]:
        message, request_id, values = decode(await read_frame(self._reader), reply=False)
        return message.name, request_id, values

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    def reply(self, name: str, request_id: int, **values: Any) -> None:
        self.send(encode(name, request_id, values))


@contextlib.asynccontextmanager
async def _against(script: Callable[[Fake], Awaitable[None]]) -> AsyncIterator[Connection]:
    scripts: list[asyncio.Task] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        scripts.append(asyncio.ensure_future(script(Fake(reader, writer))))
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


async def replies_in_any_order() -> None:
    async def script(fake: Fake) -> None:
        asked = [await fake.request() for _ in range(3)]
        for name, request_id, values in reversed(asked):
            fake.reply("LoggedOut", request_id, sessions_ended=int(values["token"].decode()))
        fake.reply("LoggedOut", 77, sessions_ended=9)

    async with _against(script) as connection:
        ended = await asyncio.gather(*(connection.call("Logout", token=f"{number}") for number in (5, 6, 7)))
        check([reply["sessions_ended"] for reply in ended] == [5, 6, 7], "a reply went to another call")


async def a_bad_reply_fails_one_call() -> None:
    async def script(fake: Fake) -> None:
        fake.send(bytes.fromhex("000000058e") + struct.pack(">I", (await fake.request())[1]))
        fake.reply("LoggedOut", (await fake.request())[1], sessions_ended=1)
        fake.send(bytes.fromhex("00000006ff") + struct.pack(">I", (await fake.request())[1]) + b"\x0b")
        fake.send(bytes.fromhex("00000008ff") + struct.pack(">I", (await fake.request())[1]) + b"\x0c\x00\x00")
        fake.send(bytes.fromhex("00000008ff") + struct.pack(">I", (await fake.request())[1]) + b"\x0d\x00\x00")

    async with _against(script) as connection:
        for code in (UNKNOWN_TYPE, UNKNOWN_TYPE, MALFORMED, UNKNOWN_TAG):
            try:
                await connection.call("Ping")
            except Fault as fault:
                check(fault.code == code, f"{fault} was to be {code:04x}")
            else:
                raise Failed("a reply that is none was taken for one")
        check(await connection.call("Ping") == {}, "a Pong with an odd tag that nobody knows is a Pong")


async def a_call_is_given_up() -> None:
    async def script(fake: Fake) -> None:
        (_, late, _), (_, next_one, _) = await fake.request(), await fake.request()
        check(late != next_one, "an id was used again before its reply had come")
        fake.reply("LoggedOut", late, sessions_ended=1)
        fake.reply("LoggedOut", next_one, sessions_ended=2)

    async with _against(script) as connection:
        try:
            await asyncio.wait_for(connection.call("Logout", token="1"), 0.5)
            raise Failed("nobody answered, and the call came back")
        except asyncio.TimeoutError as failure:
            check(retry_in("Logout", failure) is None, "a Logout whose outcome is unknown must not be sent again")
        ended = await connection.call("Logout", token="2")
        check(ended["sessions_ended"] == 2, "the late reply went to the next call")


async def errors_by_class() -> None:
    codes = [0x0501, 0x05FE, 0x0601, 0x0301, 0x7F01]
    kinds = [NotNow, NotNow, ServerFailed, ProofNeeded, ServiceError]

    async def script(fake: Fake) -> None:
        for code in codes:
            fake.reply("ErrorReply", (await fake.request())[1], code=code, message="no", retry_after_ms=4000)

    async with _against(script) as connection:
        for code, kind in zip(codes, kinds):
            error = await refused(code, connection.call("Login", login="ada", password="analytical engine"))
            check(type(error) is kind, f"{error} is a {type(error).__name__}")
            wait = retry_in("Login", error)
            check(wait is not None and wait >= 4 if kind is NotNow else wait is None, f"{error}: again in {wait} s")
            safe = retry_in("GetUser", error) == 0
            check(safe == (kind is ServerFailed), f"{error}: a GetUser may {'' if safe else 'not '}be sent again")


async def the_server_goes_down() -> None:
    async def script(fake: Fake) -> None:
        (_, first, _), (_, second, _) = await fake.request(), await fake.request()
        fake.reply("ErrorReply", 0, code=SHUTTING_DOWN, message="the server is going down")
        fake.reply("ErrorReply", second, code=SHUTTING_DOWN, message="the server is going down")
        fake.reply("LoggedOut", first, sessions_ended=1)

    async with _against(script) as connection:
        first = asyncio.ensure_future(connection.call("Logout", token="1"))
        await asyncio.sleep(0)
        error = await refused(SHUTTING_DOWN, connection.call("Logout", token="2"))
        check(retry_in("Logout", error) == 0, "what was not executed may be sent to another node at once")
        check((await first)["sessions_ended"] == 1, "the reply to what was sent before still comes")
        try:
            await connection.call("Ping")
            raise Failed("a request was sent to a server that goes down")
        except NotSent as failure:
            check(retry_in("Logout", failure) == 0, "what did not leave may be sent elsewhere")


async def the_connection_ends() -> None:
    too_long = bytes.fromhex("00010000")
    malformed = encode("ErrorReply", 0, {"code": MALFORMED, "message": "the id is in flight"})
    for last_words in (too_long, malformed, b"\x00\x00"):

        async def script(fake: Fake, last_words: bytes = last_words) -> None:
            await fake.request()
            fake.send(last_words)

        async with _against(script) as connection:
            try:
                await connection.call("Logout", token="1")
                raise Failed("the connection ended without a reply, and the call came back")
            except ConnectionLost as failure:
                check(retry_in("Logout", failure) is None, "whether the Logout was executed is unknown")
                check(retry_in("RefreshToken", failure, since_first=1) == 0, "a refresh has 30 s of grace")
                check(retry_in("RefreshToken", failure, since_first=31) is None, "a refresh has 30 s of grace")


class Mails:
    """The folder into which the server under test writes its mails."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        self._seen: set[pathlib.Path] = set()

    async def code(self, address: str, pattern: str = r"\d{6}") -> str:
        """The code in the first mail to this address that was not read yet: a line of its own in the plain text."""
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
        raise Failed(f"no mail to {address} brought a code")


class Tour:
    """One end user's life, in the order in which the steps are written. What one step learns, the next ones use."""

    def __init__(self, host: str, port: int, mails: Mails) -> None:
        self._at = (host, port)
        self._mails = mails
        name = secrets.token_hex(5)
        self.username = f"ada-{name}"
        self.email = f"ada-{name}@example.org"
        self.password = "correct horse battery staple"
        # A network of the tour's own, so that limits which an earlier tour used up do not count against this one.
        self.client_address = str(ipaddress.IPv6Address((0x20010DB8 << 96) + (secrets.randbits(32) << 64) + 1))
        self.connection: Connection

    async def call(self, name: str, **values: Any) -> dict[str, Any]:
        return await self.connection.call(name, client_address=self.client_address, **values)

    async def login(self, login: Optional[str] = None, password: Optional[str] = None) -> dict[str, Any]:
        return await self.call("Login", login=login or self.username, password=password or self.password)

    async def valid(self, session: dict[str, Any]) -> None:
        checked = await self.call("VerifyToken", access_token=session["access_token"])
        check(checked["session_id"] == session["session_id"], "the token is of another session")

    async def raw(self, *frames: bytes) -> list[tuple[Message, int, dict[str, Any]]]:
        """Sends these bytes on a connection of their own, half-closes it, and reads until the server closes."""
        reader, writer = await asyncio.open_connection(*self._at)
        replies = []
        writer.write(b"".join(frames))
        writer.write_eof()
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                replies.append(decode(await asyncio.wait_for(read_frame(reader), 20), reply=True))
        writer.close()
        return replies

    async def ping(self) -> None:
        self.connection = await Connection.open(*self._at)
        pong = await self.call("Ping")
        check(pong.get("max_in_flight", 256) >= 1, "no request may be in flight")
        await asyncio.gather(*(self.call("Ping") for _ in range(100)))

    async def half_close(self) -> None:
        pings = [encode("Ping", number, {}) for number in (1, 2**32 - 1)]
        replies = await self.raw(*pings)
        check({reply[1] for reply in replies} == {1, 2**32 - 1}, "a half-closed connection still gets its replies")

    async def frames_of_the_vectors(self) -> None:
        vectors = _vectors("invalid.json")["vectors"] + _vectors("valid.json")["vectors"]
        for vector in vectors:
            name, frame = vector["name"], bytes.fromhex(vector["hex"])
            if vector["direction"] == "reply" or ("code" not in vector and "Ping" != vector["message"]):
                continue
            replies = await self.raw(frame)
            check(len(replies) == 1, f"{name} is answered with {len(replies)} frames")
            message, request_id, values = replies[0]
            if vector.get("message") == "Ping":
                check(message.name == "Pong", f"{name} is answered with {message.name}")
                continue
            code = int(vector["code"], 16)
            check(values.get("code") == code, f"{name} is answered with {values}")
            check(vector.get("field") in (None, values.get("field")), f"{name} is answered with {values}")
            check(request_id == (0 if vector.get("level") == "frame" else 6699), f"{name} is answered to {request_id}")

    async def a_bad_message_leaves_the_connection(self) -> None:
        bad = bytes.fromhex("000000050e00001a2b")
        replies = await self.raw(bad, encode("Ping", 1, {}), b"\x00\x00\x00\x04", encode("Ping", 2, {}))
        answers = {(reply[1], reply[2].get("code")) for reply in replies}
        wanted = {(6699, UNKNOWN_TYPE), (1, None), (0, FRAME_TOO_SHORT)}
        check(answers == wanted, f"the answers are {answers}")

    async def an_id_in_flight_ends_the_connection(self) -> None:
        # A password hash takes long enough for the second frame to find the first one in flight.
        login = {"login": "nobody" + self.username, "password": self.password, "client_address": self.client_address}
        replies = await self.raw(encode("Login", 5, login), encode("Ping", 5, {}), encode("Ping", 6, {}))
        answers = [(reply[1], reply[2].get("code"), reply[2].get("field")) for reply in replies]
        wanted = [(5, INVALID_CREDENTIALS, None), (0, MALFORMED, "request_id")]
        check(answers == wanted, f"the answers are {answers}")

    async def a_spent_deadline(self) -> None:
        await refused(DEADLINE_EXCEEDED, self.call("Ping", deadline_ms=0))

    async def register(self) -> None:
        good = {"username": self.username, "email": self.email, "password": self.password}
        for field, value, code in (
            ("username", "a@b", INVALID_USERNAME),
            ("username", "", INVALID_USERNAME),
            ("email", "nobody", INVALID_EMAIL),
            ("password", "short", INVALID_PASSWORD),
            ("password", b"\xff\x00\x80\xc3 is no text", INVALID_PASSWORD),
        ):
            await refused(code, self.call("Register", **{**good, field: value}), field)
        key = secrets.token_bytes(16)
        self.registered = await self.call("Register", idempotency_key=key, **good)
        again = await self.call("Register", idempotency_key=key, **good)
        check(again == self.registered, "the same request under the same key is another registration")
        other = {**good, "username": self.username + "x"}
        await refused(IDEMPOTENCY_CONFLICT, self.call("Register", idempotency_key=key, **other))
        check(self.registered["code_expires_in"] > 0, "the code lasts no time")

    async def resend_too_early(self) -> None:
        error = await refused(
            RATE_LIMITED, self.call("ResendCode", verification_id=self.registered["verification_id"])
        )
        check(error.retry_after is not None and error.retry_after > 0, "it is not said when to come back")
        await refused(CODE_EXPIRED, self.call("ResendCode", verification_id=str(uuid.uuid4())))

    async def no_login_before_the_code(self) -> None:
        await refused(INVALID_CREDENTIALS, self.login())

    async def verify_email(self) -> None:
        code = await self._mails.code(self.email)
        verification = {"verification_id": self.registered["verification_id"]}
        await refused(INVALID_CODE, self.call("VerifyEmail", **verification, code=f"{(int(code) + 1) % 10**6:06}"))
        self.session = await self.call("VerifyEmail", **verification, code=code)
        await self.valid(self.session)
        await refused(CODE_EXPIRED, self.call("VerifyEmail", **verification, code=code))

    async def log_in(self) -> None:
        check((await self.login())["user_id"] == self.session["user_id"], "another user logged in")
        self.session = await self.login(self.email.upper())
        await refused(INVALID_CREDENTIALS, self.login(password="wrong"))
        await refused(INVALID_CREDENTIALS, self.login(login="nobody" + self.username))

    async def verify_token(self) -> None:
        checked = await self.call("VerifyToken", access_token=self.session["access_token"])
        check(checked["user_id"] == self.session["user_id"], "the token is of another user")
        lifetime = checked["expires_at"] - checked["issued_at"]
        check(abs(lifetime - self.session["access_expires_in"]) <= 1, "the token lasts another time than was said")
        for token in (b"", b"a.b.c", self.session["access_token"][:-1], self.session["refresh_token"], b"x" * 3000):
            await refused(INVALID_TOKEN, self.call("VerifyToken", access_token=token))

    async def refresh(self) -> None:
        old = self.session
        trade = {"refresh_token": old["refresh_token"]}
        first, again = await asyncio.gather(self.call("RefreshToken", **trade), self.call("RefreshToken", **trade))
        check(first["refresh_token"] == again["refresh_token"], "a refresh within the grace has another successor")
        check(first["refresh_token"] != old["refresh_token"], "a refresh token is its own successor")
        for session in (old, first, again):
            await self.valid(session)
        self.session = again

    async def refresh_with_a_stolen_token(self) -> None:
        session = await self.login()
        stolen = session["refresh_token"]
        for _ in range(2):
            session = await self.call("RefreshToken", refresh_token=session["refresh_token"])
        await refused(SESSION_REVOKED, self.call("RefreshToken", refresh_token=stolen))
        await refused(SESSION_REVOKED, self.call("VerifyToken", access_token=session["access_token"]))
        await refused(SESSION_REVOKED, self.call("RefreshToken", refresh_token=session["refresh_token"]))
        await self.valid(self.session)

    async def get_user(self) -> None:
        user = await self.call("GetUser", access_token=self.session["access_token"])
        check((user["username"], user["email"]) == (self.username, self.email), "it is another user")
        check(abs(user["created_at"] - time.time()) < 3600, "the account is of another time")

    async def update_username(self) -> None:
        token = {"access_token": self.session["access_token"]}
        await refused(NOTHING_TO_UPDATE, self.call("UpdateUser", **token))
        await refused(INVALID_USERNAME, self.call("UpdateUser", **token, username="x"), "username")
        old, self.username = self.username, self.username.replace("ada", "grace")
        updated = await self.call("UpdateUser", **token, username=self.username)
        check((updated["username"], updated["email"]) == (self.username, self.email), "the update has not come through")
        await refused(INVALID_CREDENTIALS, self.login(login=old))
        again = {"username": self.username, "email": "x" + self.email, "password": self.password}
        await refused(USERNAME_TAKEN, self.call("Register", **again))

    async def update_email(self) -> None:
        token = {"access_token": self.session["access_token"]}
        new = "new-" + self.email
        await refused(INVALID_CREDENTIALS, self.call("UpdateUser", **token, email=new), "current_password")
        wrong = {"email": new, "current_password": "wrong"}
        await refused(INVALID_CREDENTIALS, self.call("UpdateUser", **token, **wrong), "current_password")
        updated = await self.call("UpdateUser", **token, email=new, current_password=self.password)
        check(updated["email"] == self.email, "a new address counts before its code came")
        change = {**token, "verification_id": updated["verification_id"]}
        code = await self._mails.code(new)
        await refused(INVALID_CODE, self.call("ConfirmEmail", **change, code="x"))
        confirmed = await self.call("ConfirmEmail", **change, code=code)
        check(confirmed["email"] == new, "the new address does not count")
        await refused(INVALID_CREDENTIALS, self.login(login=self.email))
        self.email = new
        await self.login(login=new)

    async def update_password(self) -> None:
        other = await self.login()
        change = {"access_token": self.session["access_token"], "current_password": self.password}
        await refused(INVALID_PASSWORD, self.call("UpdateUser", **change, new_password="short"), "new_password")
        await self.call("UpdateUser", **change, new_password="analytical engine no. 1")
        await refused(SESSION_REVOKED, self.call("VerifyToken", access_token=other["access_token"]))
        await self.valid(self.session)
        await refused(INVALID_CREDENTIALS, self.login())
        self.password = "analytical engine no. 1"
        await self.login()

    async def log_out(self) -> None:
        one, two, three = [await self.login() for _ in range(3)]
        ended = await self.call("Logout", token=one["refresh_token"])
        check(ended["sessions_ended"] == 1, f"{ended['sessions_ended']} sessions ended")
        await refused(SESSION_REVOKED, self.call("VerifyToken", access_token=one["access_token"]))
        await self.valid(two)
        ended = await self.call("Logout", token=two["access_token"], all_sessions=True)
        check(ended["sessions_ended"] >= 3, f"{ended['sessions_ended']} sessions ended")
        for session in (two, three, self.session):
            await refused(SESSION_REVOKED, self.call("VerifyToken", access_token=session["access_token"]))

    async def reset_password(self) -> None:
        session = await self.login()
        await refused(INVALID_EMAIL, self.call("RequestPasswordReset", email="nobody"), "email")
        unknown = await self.call("RequestPasswordReset", email="nobody-" + self.email)
        asked = await self.call("RequestPasswordReset", email=self.email)
        check({**unknown, **asked} == asked, "the replies tell an account from none")
        code = await self._mails.code(self.email, r"[0-9A-Z]{5}-[0-9A-Z]{5}")
        reset = {"verification_id": asked["verification_id"]}
        new = "another engine altogether"
        await refused(INVALID_PASSWORD, self.call("ResetPassword", **reset, code=code, new_password="short"))
        await refused(INVALID_CODE, self.call("ResetPassword", **reset, code="00000-00000", new_password=new))
        ended = await self.call("ResetPassword", **reset, code=code.lower().replace("-", ""), new_password=new)
        check(ended["sessions_ended"] >= 1, "no session ended")
        await refused(SESSION_REVOKED, self.call("VerifyToken", access_token=session["access_token"]))
        await refused(INVALID_CREDENTIALS, self.login())
        self.password = new
        self.session = await self.login()

    async def delete(self) -> None:
        token = {"access_token": self.session["access_token"]}
        await refused(INVALID_CREDENTIALS, self.call("DeleteUser", **token, current_password="x"), "current_password")
        deleted = await self.call("DeleteUser", **token, current_password=self.password)
        check(deleted["user_id"] == self.session["user_id"], "another user was deleted")
        await refused(SESSION_REVOKED, self.call("VerifyToken", **token))
        await refused(INVALID_CREDENTIALS, self.login())

    async def goodbye(self) -> None:
        await self.connection.close()
        try:
            await self.call("Ping")
            raise Failed("a closed connection took a request")
        except NotSent:
            pass


async def run(host: str, port: int, mails: pathlib.Path) -> bool:
    tour = Tour(host, port, Mails(mails))
    steps: tuple[Callable[[], Awaitable[None]], ...] = (
        valid_vectors,
        invalid_vectors,
        replies_in_any_order,
        a_bad_reply_fails_one_call,
        a_call_is_given_up,
        errors_by_class,
        the_server_goes_down,
        the_connection_ends,
        tour.ping,
        tour.half_close,
        tour.frames_of_the_vectors,
        tour.a_bad_message_leaves_the_connection,
        tour.an_id_in_flight_ends_the_connection,
        tour.a_spent_deadline,
        tour.register,
        tour.resend_too_early,
        tour.no_login_before_the_code,
        tour.verify_email,
        tour.log_in,
        tour.verify_token,
        tour.refresh,
        tour.refresh_with_a_stolen_token,
        tour.get_user,
        tour.update_username,
        tour.update_email,
        tour.update_password,
        tour.log_out,
        tour.reset_password,
        tour.delete,
        tour.goodbye,
    )
    for step in steps:
        name = step.__name__.replace("_", " ")
        began = time.monotonic()
        try:
            await step()
        except Exception as failure:
            print(f"FAILED  {name}: {type(failure).__name__}: {failure}")
            if not isinstance(failure, Failed):
                traceback.print_exc(file=sys.stdout)
            return False
        print(f"ok      {name} ({time.monotonic() - began:.2f} s)", flush=True)
    return True


def main() -> int:
    if len(sys.argv) != 3:
        print("usage: gateway.py HOST:PORT MAIL_FOLDER", file=sys.stderr)
        return 2
    host, _, port = sys.argv[1].rpartition(":")
    return 0 if asyncio.run(run(host.strip("[]"), int(port), pathlib.Path(sys.argv[2]))) else 1


if __name__ == "__main__":
    sys.exit(main())
