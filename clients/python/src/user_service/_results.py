"""The results of a request on one connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Union

from ._messages import ErrorReply
from .errors import TlsError


@dataclass(slots=True)
class Answered:
    """A reply, which may be an error."""

    kind: int
    # It may contain tokens.
    body: bytes = field(repr=False)


@dataclass(slots=True)
class NotSent:
    """The request was not written completely, so it was not executed."""


@dataclass(slots=True)
class Rejected:
    """The server rejected the client's certificate, so the request was not executed."""

    error: TlsError


@dataclass(slots=True)
class Closed:
    """The server sent an error about the connection."""

    reply: ErrorReply
    # `True` if nothing was answered before.
    is_first: bool


@dataclass(slots=True)
class Lost:
    """The connection ended after the request was written."""

    reason: str


Result = Union[Answered, NotSent, Rejected, Closed, Lost]


@dataclass(slots=True)
class Pending:
    """A request in flight. It stays until its reply arrives, even if its call was abandoned."""

    future: asyncio.Future[Result]
    end: int
    since: float
    hashes: bool
    is_own: bool = False
