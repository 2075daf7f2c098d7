"""The configuration of a client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ._checks import expect_count, expect_number, expect_type, known_options
from ._messages import DEADLINE_MS, PING_AFTER_MS
from .tls import Tls


@known_options
@dataclass(frozen=True)
class Config:
    """Configuration of a client. Times are in seconds; the defaults are those of the protocol."""

    tls: Optional[Tls] = None
    """TLS; `None` connects without it."""
    allow_plaintext: bool = False
    """If true, secrets are also sent without TLS to an address that is not loopback."""
    deadline: float = DEADLINE_MS / 1000
    """Deadline of calls that do not set their own; the service allows at most 30 s."""
    wait_for_server: bool = True
    """If false, a call fails at once if no node can be reached, instead of at its deadline."""
    connect_timeout: float = 5.0
    """Time limit of one attempt to connect, with the TLS handshake."""
    initial_backoff: float = 0.1
    """Wait after the first attempt to connect that failed. It doubles with each further one."""
    max_backoff: float = 5.0
    """Longest wait between two attempts to connect."""
    ping_after: float = PING_AFTER_MS / 1000
    """Time without a sent frame after which a ping is sent; less if the service advertises it."""
    ping_pending_after: float = 2.0
    """Time without a received frame after which a ping is sent while a reply is pending."""
    pong_timeout: float = 10.0
    """Time limit of the reply to a ping, after which the connection counts as lost."""
    slow_after: float = 0.1
    """With several nodes: time without a reply after which a safe request goes to another one."""
    max_calls: int = 10_000
    """Number of calls in progress, above which further ones fail with TooManyCalls."""

    def __post_init__(self) -> None:
        expect_type("Config", "tls", self.tls, Tls, type(None))
        for name in ("allow_plaintext", "wait_for_server"):
            expect_type("Config", name, getattr(self, name), bool)
        for name in _TIMES:
            expect_number("Config", name, getattr(self, name))
        expect_count("Config", "max_calls", self.max_calls)


_TIMES = (
    "deadline",
    "connect_timeout",
    "initial_backoff",
    "max_backoff",
    "ping_after",
    "ping_pending_after",
    "pong_timeout",
    "slow_after",
)
