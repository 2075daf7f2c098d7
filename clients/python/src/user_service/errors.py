"""The errors of calls."""

from __future__ import annotations

from typing import Literal, Optional

from ._messages import OUTCOME, OUTCOME_OF_CLASS, OUTCOME_OF_OTHERS, ErrorCode, ErrorReply

Outcome = Literal["not_done", "refused", "unknown"]

# Time in milliseconds to wait after an error of class 05 that states none.
DEFAULT_RETRY_AFTER_MS = 1_000


class UserServiceError(Exception):
    """An error of a call.

    `outcome` is what it says about the request:

    - `"not_done"`: the service has not executed it and will not;
    - `"refused"`: the service has decided against it;
    - `"unknown"`: the service may have executed it, or may still do so.
    """

    outcome: Outcome

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome

    def __str__(self) -> str:
        text = super().__str__()
        if self.outcome == "unknown":
            return f"{text}; it is unknown whether the request was executed"
        return text


class ServerError(UserServiceError):
    """An error that the service answered.

    `code` is its code, one of `ErrorCode` if this version knows it. `message` is a description for
    developers. `retry_after_ms` and `field` are `None` if the service stated none.
    """

    def __init__(self, reply: ErrorReply, outcome: Optional[Outcome] = None) -> None:
        super().__init__(
            f"{code_name(reply.code)} ({reply.code:04X}): {reply.message}",
            outcome or outcome_of(reply.code),
        )
        self.code: int = reply.code
        self.message: str = reply.message
        self.retry_after_ms: Optional[int] = reply.retry_after_ms
        self.field: Optional[str] = reply.field

    @property
    def name(self) -> str:
        """Name of the code, such as INVALID_CREDENTIALS."""
        return code_name(self.code)

    @property
    def retry_after(self) -> Optional[float]:
        """Seconds after which the request may be sent again; `None` if it must not be."""
        if self.retry_after_ms is not None:
            return self.retry_after_ms / 1000
        return DEFAULT_RETRY_AFTER_MS / 1000 if self.code >> 8 == 5 else None


class DeadlineExceeded(UserServiceError):
    """No reply within the deadline."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("no reply within the deadline", outcome)


class ConnectionLost(UserServiceError):
    """The connection ended after the request was sent, and it must not be sent again."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the connection was lost: {reason}", "unknown")


class ConnectError(UserServiceError):
    """No connection to the service could be established."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"cannot connect: {reason}", "not_done")
        self._reason = reason

    def copy(self) -> ConnectError:
        """Returns an equal error, with a traceback of its own."""
        return type(self)(self._reason)


class TlsError(ConnectError):
    """The TLS handshake failed, or the service rejected the client's certificate."""


class BadReply(UserServiceError):
    """A reply that cannot be decoded, or that does not belong to the request."""

    def __init__(self, kind: int, reason: str) -> None:
        super().__init__(f"invalid reply of type 0x{kind:02X}: {reason}", "unknown")


class InvalidRequest(UserServiceError, ValueError):
    """A request that does not fit into a frame, or a field of the wrong type."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"invalid request: {reason}", "not_done")


class PlaintextRefused(UserServiceError):
    """A secret would be sent without TLS to an address that is not loopback."""

    def __init__(self, address: Optional[str] = None) -> None:
        super().__init__(
            f"refusing to send a secret without TLS to {address or 'an address'}, which is not "
            "loopback: expected Config(tls=Tls(...)), or Config(allow_plaintext=True) for a "
            "network that nobody else can read or change",
            "not_done",
        )


class TooManyCalls(UserServiceError):
    """More calls are in progress than the option `max_calls` allows."""

    def __init__(self) -> None:
        super().__init__("too many calls are in progress", "not_done")


class ClientClosed(UserServiceError):
    """The client was closed."""

    def __init__(self) -> None:
        super().__init__("the client is closed", "not_done")


def code_name(code: int) -> str:
    """Returns the name of an error code."""
    try:
        return ErrorCode(code).name
    except ValueError:
        return f"error {code:04X}"


def outcome_of(code: int) -> Outcome:
    """Returns the outcome of a request that was answered with this code."""
    outcome = OUTCOME.get(code) or OUTCOME_OF_CLASS.get(code >> 8) or OUTCOME_OF_OTHERS
    return outcome  # type: ignore[return-value]
