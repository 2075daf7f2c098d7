"""The results of checking an access token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Protocol, Union
from uuid import UUID

from .secret import Secret

TokenLike = Union[str, bytes, Secret]


@dataclass(frozen=True, slots=True)
class Verified:
    """Content of a valid access token. Times are in seconds since 1970-01-01T00:00:00Z."""

    user_id: UUID
    session_id: UUID
    issued_at: int
    expires_at: int
    stale: Optional[float] = None
    """Age in seconds of the revocations that were considered, if it is over one second."""


class VerifyError(Exception):
    """An access token that was not accepted."""


class TokenInvalid(VerifyError):
    """The token is not an access token of the service."""

    def __init__(self) -> None:
        super().__init__("the token is not an access token of this service")


class TokenExpired(VerifyError):
    """The token has expired."""

    def __init__(self) -> None:
        super().__init__("the token has expired")


class TokenRevoked(VerifyError):
    """The session or the user of the token has ended."""

    def __init__(self) -> None:
        super().__init__("the session of the token has ended")


class VerifyUnavailable(VerifyError):
    """The token could not be checked: it is neither valid nor invalid.

    If a call to the service failed, its error is the cause (`__cause__`).
    """

    def __init__(self, reason: str = "the service is not available") -> None:
        super().__init__(f"the token could not be checked, because {reason}")
        self.reason = reason


def token_bytes(token: TokenLike) -> bytes:
    """Returns a token as bytes. Raises TypeError."""
    if isinstance(token, Secret):
        return token.reveal_bytes()
    if isinstance(token, bytes):
        return token
    if isinstance(token, str):
        # Every token is ASCII; anything else is not a token, whatever its encoding.
        return token.encode(errors="replace")
    raise TypeError(f"a token has the type {type(token).__name__}; expected str, bytes or Secret")


class TokenChecker(Protocol):
    """What checks access tokens: `Verifier` in memory, `RemoteVerifier` by a call for each."""

    async def verify(self, token: TokenLike, *, client_address: Optional[str] = None) -> Verified:
        """Checks a token. `client_address` is that of the end user. Raises VerifyError."""

    async def close(self) -> None:
        """Ends what runs in the background."""
