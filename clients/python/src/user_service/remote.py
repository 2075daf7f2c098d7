"""Checks access tokens by asking the service about each one."""

from __future__ import annotations

from typing import Optional

from ._checks import expect_number, expect_type, known_options
from ._messages import ErrorCode, TokenVerified
from ._outage import Outage
from .client import Client
from .errors import InvalidRequest, PlaintextRefused, ServerError, UserServiceError
from .secret import Secret
from .verdict import (
    TokenExpired,
    TokenInvalid,
    TokenLike,
    TokenRevoked,
    Verified,
    VerifyError,
    VerifyUnavailable,
    token_bytes,
)

# Longest token in bytes.
MAX_TOKEN = 2_048


@known_options
class RemoteVerifier:
    """Checks access tokens with VerifyToken. It needs no keys and no `cryptography`."""

    def __init__(
        self, client: Client, *, timeout: float = 3.0, max_stale: Optional[float] = None
    ) -> None:
        """Creates a verifier.

        `max_stale` is the greatest age in seconds of the revocations that the service considered,
        above which the result is VerifyUnavailable. By default, the operator of the service decides
        (STALE_LIMIT).
        """
        expect_type("RemoteVerifier", "client", client, Client)
        expect_number("RemoteVerifier", "timeout", timeout)
        if max_stale is not None:
            expect_number("RemoteVerifier", "max_stale", max_stale, minimum=0)
        self._client, self._timeout, self._max_stale = client, timeout, max_stale
        self._outage = Outage()

    async def verify(self, token: TokenLike, *, client_address: Optional[str] = None) -> Verified:
        """Checks a token. `client_address` is that of the end user. Raises VerifyError."""
        token = Secret(token_bytes(token))
        if len(token.reveal_bytes()) > MAX_TOKEN:
            raise TokenInvalid
        try:
            reply = await ask(self._client, token, self._timeout, client_address)
            found = verified(reply, self._max_stale)
        except VerifyUnavailable as error:
            self._outage.failed(error.__cause__ or error.reason)
            raise
        except VerifyError:
            if self._outage.since is not None:
                self._outage.succeeded()
            raise
        if self._outage.since is not None:
            self._outage.succeeded()
        return found

    async def close(self) -> None:
        """Does nothing: the client belongs to the caller."""


async def ask(
    client: Client, token: Secret, timeout: float, client_address: Optional[str]
) -> TokenVerified:
    """Asks the service about a token. Raises VerifyError, with the error of the call as cause."""
    try:
        return await client.verify_token(
            access_token=token, deadline=timeout, client_address=client_address
        )
    except (InvalidRequest, PlaintextRefused):
        # A mistake of the caller, and no statement about the token or the service.
        raise
    except UserServiceError as error:
        raise verdict_of(error) from error


def verified(reply: TokenVerified, max_stale: Optional[float]) -> Verified:
    """Returns the content of a token. Raises VerifyUnavailable if the answer is too old."""
    stale = None if reply.stale_ms is None else reply.stale_ms / 1000
    if stale is not None and max_stale is not None and stale > max_stale:
        raise VerifyUnavailable("the revocations that the service knows are too old")
    return Verified(reply.user_id, reply.session_id, reply.issued_at, reply.expires_at, stale)


def verdict_of(error: UserServiceError) -> VerifyError:
    """Returns the verdict that an error means. Few errors say something about the token."""
    if isinstance(error, ServerError) and error.outcome == "refused":
        if error.code == ErrorCode.TOKEN_EXPIRED:
            return TokenExpired()
        if error.code == ErrorCode.SESSION_REVOKED:
            return TokenRevoked()
        if error.code >> 8 == 3 and error.code != ErrorCode.NOT_PERMITTED:
            return TokenInvalid()
    return VerifyUnavailable()
