"""The encoding of messages and frames."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import Any, Optional, TypeVar
from uuid import UUID

from ._base import Field, Message, Request
from ._messages import COMMON, MAX_INSTANT, MAX_LENGTH, MIN_LENGTH, ErrorCode
from .secret import Secret

M = TypeVar("M", bound=Message)

_HEADER = struct.Struct(">IBI")
_U16 = struct.Struct(">H")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_MAX_U16 = 0xFFFF

# Sizes in bytes of the kinds with a fixed size.
SIZES = {
    "uuid": 16,
    "key": 16,
    "instant": 8,
    "instant_ms": 8,
    "seconds": 4,
    "millis": 4,
    "number": 4,
    "error_code": 2,
    "byte": 1,
    "flag": 0,
}


class DecodeError(Exception):
    """A body that is not valid, with the error that a server would answer."""

    def __init__(self, code: ErrorCode, field: str) -> None:
        super().__init__(f"{code.name} ({field})")
        self.code, self.field = code, field


class FrameError(Exception):
    """A length after which the start of the next frame is unknown."""

    def __init__(self, code: ErrorCode, length: int) -> None:
        super().__init__(f"a frame of {length} bytes")
        self.code = code


class EncodeError(ValueError):
    """A value that does not fit into a frame, or has the wrong type."""


@dataclass(frozen=True, slots=True)
class Common:
    """The tags that any request may have."""

    client_address: Optional[str] = None
    deadline_ms: Optional[int] = None
    idempotency_key: Optional[bytes] = None
    traceparent: Optional[str] = None


NO_COMMON = Common()


def split_frame(data: bytearray, start: int) -> Optional[tuple[int, int, int, int]]:
    """Finds the frame that begins at `start`.

    Returns its type, its request id, and the offsets at which its body begins and ends; `None` if
    it is incomplete. Raises FrameError as soon as the length is known to be invalid.
    """
    available = len(data) - start
    if available < 4:
        return None
    length = int.from_bytes(data[start : start + 4], "big")
    if length < MIN_LENGTH:
        raise FrameError(ErrorCode.FRAME_TOO_SHORT, length)
    if length > MAX_LENGTH:
        raise FrameError(ErrorCode.FRAME_TOO_LONG, length)
    if available < 4 + length:
        return None
    _, kind, request_id = _HEADER.unpack_from(data, start)
    return kind, request_id, start + 9, start + 4 + length


def encode_frame(kind: int, request_id: int, body: bytes) -> bytes:
    """Returns a frame. Raises EncodeError if it is too long."""
    length = MIN_LENGTH + len(body)
    if length > MAX_LENGTH:
        raise EncodeError(f"the message has {length} bytes; a frame has at most {MAX_LENGTH}")
    return _HEADER.pack(length, kind, request_id) + body


def encode_request(request: Request[Any], common: Common) -> bytes:
    """Returns the body of a request with its common tags."""
    parts = [encode_message(request)]
    _encode_tags(parts, common, COMMON)
    return b"".join(parts)


def encode_message(message: Message) -> bytes:
    """Returns the body of a message, without common tags."""
    parts: list[bytes] = []
    for field in message.FIELDS:
        if field.tag is None:
            value = _value(message, field)
            if field.kind == "list":
                parts.append(_encode_list(field, value))
                continue
            encoded = _encode(field, value)
            if field.kind not in SIZES:
                parts.append(_length(field, encoded))
            parts.append(encoded)
    _encode_tags(parts, message, message.FIELDS)
    return b"".join(parts)


def _encode_tags(parts: list[bytes], message: object, fields: tuple[Field, ...]) -> None:
    for field in fields:
        value = getattr(message, field.name) if field.tag is not None else None
        if value is None or value is False:
            continue
        encoded = _encode_list(field, value) if field.kind == "list" else _encode(field, value)
        parts += (bytes((field.tag or 0,)), _length(field, encoded), encoded)


def _value(message: Message, field: Field) -> Any:
    value = getattr(message, field.name)
    if value is None:
        raise EncodeError(f"{field.name} is missing")
    return value


def _length(field: Field, encoded: bytes) -> bytes:
    if len(encoded) > _MAX_U16:
        raise EncodeError(f"{field.name} has {len(encoded)} bytes; the maximum is {_MAX_U16}")
    return _U16.pack(len(encoded))


def _encode_list(field: Field, rows: Any) -> bytes:
    if len(rows) > _MAX_U16:
        raise EncodeError(f"{field.name} has {len(rows)} rows; the maximum is {_MAX_U16}")
    parts = [_U16.pack(len(rows))]
    for row in rows:
        encoded = encode_message(row)
        parts += (_length(field, encoded), encoded)
    return b"".join(parts)


def _encode(field: Field, value: Any) -> bytes:
    """Encodes a value other than a list, without a length."""
    kind = field.kind
    # No error contains the value, which may be a secret.
    if kind == "secret":
        if isinstance(value, Secret):
            return value.reveal_bytes()
    elif kind in ("text", "address"):
        if isinstance(value, str):
            try:
                encoded = value.encode()
            except UnicodeEncodeError:
                raise EncodeError(f"{field.name} is not valid Unicode") from None
            if kind == "address" and not is_address(value):
                raise EncodeError(f"{field.name} is not an IP address")
            return encoded
    elif kind == "uuid":
        if isinstance(value, UUID):
            return value.bytes
    elif kind in ("bytes", "key"):
        if isinstance(value, (bytes, bytearray)):
            if kind == "key" and len(value) != 16:
                raise EncodeError(f"{field.name} has {len(value)} bytes; expected 16")
            return bytes(value)
    elif kind == "flag":
        if value is True:
            return b""
    elif isinstance(value, int) and not isinstance(value, bool):
        size = SIZES[kind]
        maximum = MAX_INSTANT if size == 8 else (1 << (8 * size)) - 1
        if not 0 <= value <= maximum:
            raise EncodeError(f"{field.name} is out of range: expected 0 to {maximum}")
        return value.to_bytes(size, "big")
    raise EncodeError(f"{field.name} has the type {type(value).__name__}; expected {kind}")


def is_address(text: str) -> bool:
    """Returns `True` for an IPv4 or IPv6 address without brackets, port and zone."""
    if "%" in text or "/" in text:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def decode_message(message: type[M], body: bytes) -> M:
    """Decodes a body without common tags. Raises DecodeError."""
    values, end = _decode_required(message.FIELDS, body)
    _decode_tail(body, end, _tags(message.FIELDS), values)
    return message(**values)


def decode_request(message: type[M], body: bytes) -> tuple[M, Common]:
    """Decodes the body of a request with its common tags. Raises DecodeError."""
    values, end = _decode_required(message.FIELDS, body)
    common: dict[str, Any] = {}
    _decode_tail(body, end, _tags(message.FIELDS) | _tags(COMMON), values, common)
    return message(**values), Common(**common)


def _tags(fields: tuple[Field, ...]) -> dict[int, Field]:
    return {field.tag: field for field in fields if field.tag is not None}


def _malformed(field: str) -> DecodeError:
    return DecodeError(ErrorCode.MALFORMED, field)


def _decode_required(fields: tuple[Field, ...], body: bytes) -> tuple[dict[str, Any], int]:
    values: dict[str, Any] = {}
    at = 0
    for field in fields:
        if field.tag is not None:
            continue
        if field.kind == "list":
            values[field.name], at = _decode_list(field, body, at)
            continue
        size = SIZES.get(field.kind)
        if size is None:
            if at + 2 > len(body):
                raise _malformed(field.name)
            (size,) = _U16.unpack_from(body, at)
            at += 2
        if at + size > len(body):
            raise _malformed(field.name)
        values[field.name] = _decode(field, body[at : at + size])
        at += size
    return values, at


def _decode_tail(
    body: bytes,
    at: int,
    tags: dict[int, Field],
    values: dict[str, Any],
    common: Optional[dict[str, Any]] = None,
) -> None:
    last = -1
    while at < len(body):
        tag = body[at]
        if tag <= last or at + 3 > len(body):
            raise _malformed("tail")
        (size,) = _U16.unpack_from(body, at + 1)
        at += 3
        if at + size > len(body):
            raise _malformed("tail")
        last = tag
        field = tags.get(tag)
        if field is None:
            if tag % 2 == 0:
                raise DecodeError(ErrorCode.UNKNOWN_TAG, f"0x{tag:02X}")
        else:
            value = body[at : at + size]
            if field.kind == "list":
                rows, end = _decode_list(field, value, 0)
                if end != size:
                    raise _malformed(field.name)
                decoded: Any = rows
            else:
                if field.kind in SIZES and size != SIZES[field.kind]:
                    raise _malformed(field.name)
                decoded = _decode(field, value)
            target = common if common is not None and field in COMMON else values
            target[field.name] = decoded
        at += size


def _decode_list(field: Field, body: bytes, at: int) -> tuple[tuple[Any, ...], int]:
    row_type = field.row
    if row_type is None or at + 2 > len(body):
        raise _malformed(field.name)
    (count,) = _U16.unpack_from(body, at)
    at += 2
    rows = []
    for _ in range(count):
        if at + 2 > len(body):
            raise _malformed(field.name)
        (size,) = _U16.unpack_from(body, at)
        at += 2
        if at + size > len(body):
            raise _malformed(field.name)
        try:
            rows.append(decode_message(row_type, body[at : at + size]))
        except DecodeError:
            raise _malformed(field.name) from None
        at += size
    return tuple(rows), at


def _decode(field: Field, value: bytes) -> Any:
    """Decodes a value other than a list. A fixed size was checked."""
    kind = field.kind
    if kind == "secret":
        return Secret(value)
    if kind in ("text", "address"):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            # The error itself contains the value.
            raise _malformed(field.name) from None
        if kind == "address" and not is_address(text):
            raise _malformed(field.name)
        return text
    if kind == "uuid":
        return UUID(bytes=value)
    if kind in ("bytes", "key"):
        return value
    if kind == "flag":
        return True
    number = int.from_bytes(value, "big")
    if number > MAX_INSTANT:
        raise _malformed(field.name)
    return number
