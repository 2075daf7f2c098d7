"""The calls of a verifier: at most one GetKeys and one WatchRevocations at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Optional

from .._connection import Connection
from .._messages import MAX_WAIT_MS, ErrorCode, GetKeys, WatchRevocations
from .._outage import logger
from ..client import Client
from ..errors import ClientClosed, ServerError, UserServiceError
from ._follower import Follower

# Seconds after the waiting time of a WatchRevocations in which one of the nodes must answer.
_WATCH_TIMEOUT = 2.0
# Seconds after the waiting time for which a node that answers late is still not slow, in addition
# to those of the client. Another node answers from the start, which may be much.
_LATE = 0.1
_KEYS_TIMEOUT = 5.0
# Shortest time in seconds between two calls of GetKeys because of tokens that do not fit the last
# answer.
_OUTDATED_INTERVAL = 10.0
# Shortest time in seconds between two calls of GetKeys because another node, or another run of it,
# is followed.
_MOVED_INTERVAL = 1.0
# Shortest and longest wait in seconds after a failed call.
_BACKOFF = (0.05, 0.5)
# Shortest time in seconds between two requests if the first brought nothing, so that a server that
# does not wait is not asked in a busy loop.
_MIN_INTERVAL = 0.01
# Seconds after which a loop that failed starts again.
_RESTART_AFTER = 1.0
# Interval in seconds at which entries that have expired are removed.
_EXPIRE_INTERVAL = 10.0


class Task:
    """Follows the keys and the revocations of the service."""

    def __init__(self, loop: asyncio.AbstractEventLoop, client: Client, follower: Follower) -> None:
        self.loop, self._client, self._follower = loop, client, follower
        self._wakeup = asyncio.Event()
        self._loaded = asyncio.Event()
        self._waiting: list[asyncio.Future[bool]] = []
        self._keys_due = 0.0
        self._keys_asked = self._outdated_at = float("-inf")
        # Connection of the last revocations, unless a call has failed since, and that of the keys.
        self._followed: Optional[Connection] = None
        self._keys_from: Optional[Connection] = None
        self._is_reported = self._has_failed = False
        self.errors: dict[str, Optional[str]] = {"keys": None, "revocations": None}
        follower.local.keys_outdated = self._keys_are_outdated
        self._tasks = [
            loop.create_task(self._run(self._follow_keys, "keys")),
            loop.create_task(self._run(self._follow_revocations, "revocations")),
        ]

    async def stop(self) -> None:
        """Ends both loops."""
        if self.loop is not asyncio.get_running_loop():
            # The loop has ended, and the tasks with it.
            return
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, follow: Callable[[], Awaitable[None]], call: str) -> None:
        """Follows the service until the client is closed, whatever happens."""
        while True:
            try:
                await follow()
            except ClientClosed as error:
                self._report(call, str(error))
                return
            except Exception as error:
                # The knowledge ages, and the service is asked.
                self._report(call, f"{type(error).__name__}: {error}")
                if not self._has_failed:
                    self._has_failed = True
                    logger.exception("the verifier of access tokens failed, and starts again")
            await asyncio.sleep(_RESTART_AFTER)

    async def wait_until_complete(self) -> None:
        """Waits until the keys and all revocations have arrived."""
        while self._follower.local.complete_at is None:
            waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter

    async def _follow_keys(self) -> None:
        failures = 0
        while True:
            self._keys_asked = time.monotonic()
            self._keys_due = float("inf")
            error: Optional[str] = None
            wait: Optional[float] = None
            try:
                answer = await self._client.poll(
                    GetKeys(), wait=0.0, deadline=_KEYS_TIMEOUT, last=self._followed
                )
                self._keys_from = answer.connection
                wait = self._follower.apply_keys(answer.reply, answer.sent_ns, time.monotonic_ns())
                if wait is None:
                    error = "the reply to GetKeys contains no JWK Set"
            except ClientClosed:
                raise
            except UserServiceError as failed:
                error = str(failed)
                if isinstance(failed, ServerError) and failed.code == ErrorCode.NOT_PERMITTED:
                    self._follower.apply_not_permitted()
                    self._report_untrusted()
            if wait is None:
                wait = backoff(failures)
                failures += 1
            else:
                failures = 0
                self._loaded.set()
            self._report("keys", error)
            # A key that was revoked in the meantime may have made the next call due.
            self._want_keys(time.monotonic() + wait)
            await self._wait_until_due()

    def _report_untrusted(self) -> None:
        if not self._is_reported:
            self._is_reported = True
            logger.warning(
                "the service does not trust this client (TRUSTED_PEERS), and is asked about every "
                "access token"
            )

    async def _wait_until_due(self) -> None:
        while True:
            left = self._keys_due - time.monotonic()
            if left <= 0:
                return
            self._wakeup.clear()
            try:
                await asyncio.wait_for(self._wakeup.wait(), left)
            except asyncio.TimeoutError:
                return

    def _want_keys(self, at: float) -> None:
        if at < self._keys_due:
            self._keys_due = at
            self._wakeup.set()

    def _keys_are_outdated(self) -> None:
        """Makes GetKeys due for a token that does not fit the last answer, once in a while."""
        now = time.monotonic()
        if self._outdated_at <= now:
            self._outdated_at = max(now, self._outdated_at + _OUTDATED_INTERVAL)
            self._want_keys(self._outdated_at)

    async def _follow_revocations(self) -> None:
        follower = self._follower
        # The first entries need the keys: a service without them is asked about each token.
        await self._loaded.wait()
        wait = min(follower.local.config.wait, MAX_WAIT_MS / 1000)
        failures, expired_at = 0, time.monotonic()
        while True:
            if time.monotonic() - expired_at >= _EXPIRE_INTERVAL:
                expired_at = time.monotonic()
                follower.expire()
            round_ = follower.round
            request = WatchRevocations(cursor=follower.cursor, wait_ms=int(wait * 1000))
            delay = 0.0
            try:
                answer = await self._client.poll(
                    request,
                    wait=wait + _LATE,
                    deadline=wait + _WATCH_TIMEOUT,
                    last=self._followed or self._keys_from,
                )
                received = time.monotonic_ns()
                reply = answer.reply
                if follower.apply_revocations(reply, round_, answer.sent_ns, received):
                    self._want_keys(time.monotonic())
                self._followed = answer.connection
                if self._followed is not self._keys_from:
                    # Another node, or the same one after a restart, may have other keys.
                    self._want_keys(self._keys_asked + _MOVED_INTERVAL)
                failures = 0
                took = (received - answer.sent_ns) / 1e9
                if not reply.entries and took < _MIN_INTERVAL:
                    delay = _MIN_INTERVAL
                self._report("revocations", None)
            except ClientClosed:
                raise
            except UserServiceError as error:
                # Nothing is wrong with a server that shuts down: the next attempt connects to
                # another one, or to the same one again.
                is_drain = isinstance(error, ServerError) and error.code == ErrorCode.SHUTTING_DOWN
                delay = 0.0 if is_drain and failures == 0 else backoff(failures)
                failures += 1
                self._followed = None
                self._report("revocations", str(error))
            if delay:
                await asyncio.sleep(delay)

    def _report(self, call: str, error: Optional[str]) -> None:
        self.errors[call] = error
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(True)


def backoff(failures: int) -> float:
    """Returns the seconds to wait after a failed call, which double with every further one."""
    return float(min(_BACKOFF[0] * 2 ** min(failures, 16), _BACKOFF[1]))
