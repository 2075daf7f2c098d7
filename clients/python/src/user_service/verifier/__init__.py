"""Checks access tokens without a call for each token, and still notices a revocation within a
second.

It requires `cryptography`: install `user-service-client[verify]`.

A verifier follows the revocations of the service. While its keys and revocations are complete and
not older than the age limit, it checks tokens in memory. Otherwise, and with a service that signs
tokens with HS256, the same call asks the service. If that fails too, the result is
VerifyUnavailable: never invalid, and never a valid token.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import Optional

from .._checks import expect_type, known_options
from .._deadline import Deadline, Expired
from .._messages import TokenVerified
from .._outage import Outage
from .._slots import Slots
from ..client import Client
from ..remote import ask, verified
from ..secret import Secret
from ..verdict import (
    TokenExpired,
    TokenInvalid,
    TokenLike,
    TokenRevoked,
    Verified,
    VerifyError,
    VerifyUnavailable,
    token_bytes,
)

try:
    import cryptography as _cryptography  # noqa: F401
except ImportError:
    raise ImportError(
        "user_service.verifier requires cryptography: install user-service-client[verify], "
        "or use user_service.remote.RemoteVerifier"
    ) from None

from ._config import VerifierConfig
from ._follower import Follower
from ._local import Local
from ._task import Task
from ._token import Token

__all__ = [
    "Status",
    "TokenExpired",
    "TokenInvalid",
    "TokenRevoked",
    "Verified",
    "Verifier",
    "VerifierConfig",
    "VerifyError",
    "VerifyUnavailable",
]

# Number of tokens that wait until the service is asked about them.
_MAX_WAITING = 10_000


@dataclass(frozen=True)
class Status:
    """State and counters of a verifier. The counters start with 0 when it is created."""

    ready: bool
    """`True` if tokens are checked in memory."""
    age: Optional[float]
    """Age of the revocations in seconds; `None` before all of them have arrived."""
    keys: int
    """Number of public keys. It is 0 if the service signs tokens with HS256."""
    revocations: int
    """Number of revoked sessions and users."""
    cached_tokens: int
    valid: int
    invalid: int
    expired: int
    revoked: int
    cache_hits: int
    asked: int
    """Number of tokens about which the service was asked."""
    unavailable: int
    """Number of tokens about which the service was asked without an answer."""
    last_error: Optional[str]
    """Error of the last call for keys or revocations. If both succeeded, the reason why the last
    token could not be checked; `None` if that was possible again."""


@known_options
class Verifier:
    """Checks access tokens in memory.

    It starts with the first check, or with `start`. A server answers one watch per connection, so a
    client has one verifier at most.
    """

    # Has the options that are not arguments of the verifier itself.
    CONFIG = VerifierConfig

    def __init__(self, client: Client, config: Optional[VerifierConfig] = None) -> None:
        """Creates a verifier.

        Raises PlaintextRefused if a connection would cross a network in plain text: whoever can
        replace the keys can forge tokens. Raises ValueError if the client has a verifier that was
        not closed.
        """
        expect_type("Verifier", "client", client, Client)
        expect_type("Verifier", "config", config, VerifierConfig, type(None))
        if client.refuses_secrets:
            raise client.refusal()
        client.attach(self)
        self._client = client
        self._local = Local(config or VerifierConfig())
        self._outage = Outage()
        self._task: Optional[Task] = None
        self._asking: Optional[Slots] = None
        self._waiting = 0
        self._is_closed = False

    def start(self) -> None:
        """Begins to follow the service. Must be called in an event loop."""
        if self._is_closed:
            return
        loop = self._client.bind()
        if self._task is None or self._task.loop is not loop:
            self._waiting = 0
            self._asking = Slots(loop, self._local.config.max_asking)
            self._task = Task(loop, self._client, Follower(self._local))

    async def verify(self, token: TokenLike, *, client_address: Optional[str] = None) -> Verified:
        """Checks a token: in memory if possible, otherwise by asking the service.

        `client_address` is the IP address of the end user, which the service counts by. Raises
        TokenInvalid, TokenExpired, TokenRevoked, or VerifyUnavailable with the error of the call as
        its cause.
        """
        if self._task is None:
            self.start()
        try:
            found = self._local.check(token_bytes(token))
        except VerifyError:
            # This frame is part of the error.
            del token
            if self._outage.since is not None and self._local.is_ready:
                self._outage.succeeded()
            raise
        if found is None:
            token = Secret(token_bytes(token))
            found = await self._ask(token, client_address)
        if self._outage.since is not None:
            self._outage.succeeded()
        return found

    def verify_local(self, token: TokenLike) -> Optional[Verified]:
        """Checks a token in memory, without waiting. Raises VerifyError.

        Returns `None` if the service must be asked, with `verify`.
        """
        try:
            return self._local.check(token_bytes(token))
        except VerifyError:
            del token
            raise

    @property
    def ready(self) -> bool:
        """`True` if tokens are checked in memory."""
        return self._local.is_ready

    async def wait_until_complete(self, timeout: float) -> bool:
        """Waits until the keys and all revocations have arrived, and returns `True`.

        Returns `False` if the time has passed. A service that signs tokens with HS256 has no public
        keys, so the verifier is not `ready` even then.
        """
        self.start()
        if self._task is None:
            return False
        try:
            await asyncio.wait_for(self._task.wait_until_complete(), timeout)
        except asyncio.TimeoutError:
            return False
        return True

    def status(self) -> Status:
        """Returns the state and the counters."""
        local = self._local
        errors = [] if self._task is None else list(self._task.errors.values())
        # A check may fail before the next call for revocations does.
        errors.append(self._outage.reason)
        return Status(
            ready=local.is_ready,
            age=local.age(),
            keys=len(local.keys.current),
            revocations=len(local.revocations.ids),
            cached_tokens=len(local.cache),
            valid=local.valid,
            invalid=local.invalid,
            expired=local.expired,
            revoked=local.revoked,
            cache_hits=local.cache_hits,
            asked=local.asked,
            unavailable=local.unavailable,
            last_error=next((error for error in errors if error is not None), None),
        )

    async def _ask(self, token: Secret, client_address: Optional[str]) -> Verified:
        """Asks the service about a token. What this verifier knows counts too: the node that
        answers may be behind the one that is followed.
        """
        local = self._local
        kid = _kid(token)
        # Nothing that the service could accept, or that it may still accept.
        if kid is None or kid in local.keys.revoked:
            local.invalid += 1
            raise TokenInvalid
        # In another event loop, or after a fork, it follows the service again.
        self.start()
        local.asked += 1
        try:
            reply = await self._call(token, client_address)
            if kid in local.keys.revoked:
                raise TokenInvalid
            session_id, user_id = reply.session_id.bytes, reply.user_id.bytes
            if local.revocations.contain(reply.issued_at, session_id, user_id):
                raise TokenRevoked
            return verified(reply, None if local.is_left_to_service else local.config.age_limit)
        except VerifyUnavailable as error:
            local.unavailable += 1
            self._outage.failed(error.__cause__ or error.reason)
            raise
        except VerifyError:
            if self._outage.since is not None:
                self._outage.succeeded()
            raise

    async def _call(self, token: Secret, client_address: Optional[str]) -> TokenVerified:
        if self._asking is None:
            raise VerifyUnavailable("the verifier is closed")
        if self._waiting >= _MAX_WAITING:
            raise VerifyUnavailable("too many tokens wait until the service is asked")
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop, loop.time() + self._local.config.ask_timeout)
        slots = self._asking
        self._waiting += 1
        try:
            await slots.acquire(deadline)
        except Expired:
            raise VerifyUnavailable("too many tokens wait until the service is asked") from None
        finally:
            self._waiting -= 1
            deadline.cancel()
        try:
            return await ask(self._client, token, deadline.remaining(), client_address)
        finally:
            slots.release()

    async def close(self) -> None:
        """Ends what runs in the background. The client belongs to the caller."""
        self._is_closed = True
        self._client.detach(self)
        if self._task is not None:
            await self._task.stop()

    async def __aenter__(self) -> Verifier:
        self.start()
        return self

    async def __aexit__(
        self,
        _kind: Optional[type[BaseException]],
        _error: Optional[BaseException],
        _trace: Optional[TracebackType],
    ) -> None:
        await self.close()


def _kid(token: Secret) -> Optional[str]:
    """Returns the kid of a token, or `None` if it is not an access token."""
    parsed = Token.parse(token.reveal_bytes())
    return None if parsed is None else parsed.kid
