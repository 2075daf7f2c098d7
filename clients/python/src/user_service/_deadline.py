"""The deadline of one call, which ends whatever the call waits for."""

from __future__ import annotations

import asyncio
from typing import Any, Optional, TypeVar

T = TypeVar("T")


class Expired(Exception):
    """The deadline of a call has passed."""


class Deadline:
    """A point in time on the clock of the event loop, at which a wait ends with `Expired`."""

    __slots__ = ("_handle", "_loop", "_waits_for", "at", "expired")

    def __init__(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self.at = at
        self.expired = False
        self._loop = loop
        self._waits_for: Optional[asyncio.Future[Any]] = None
        self._handle = loop.call_at(at, self._expire)

    def remaining(self) -> float:
        """Returns the seconds that are left; 0 if none are."""
        return max(0.0, self.at - self._loop.time())

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Waits for a future, which only this call waits for."""
        if self.expired:
            if not future.done():
                future.cancel()
            raise Expired
        self._waits_for = future
        try:
            return await future
        finally:
            self._waits_for = None

    async def sleep(self, seconds: float) -> None:
        """Waits for this time."""
        future: asyncio.Future[None] = self._loop.create_future()
        handle = self._loop.call_later(seconds, _finish, future)
        try:
            await self.wait(future)
        finally:
            handle.cancel()

    def cancel(self) -> None:
        """Ends the timer, after the call."""
        self._handle.cancel()

    def _expire(self) -> None:
        self.expired = True
        if self._waits_for is not None and not self._waits_for.done():
            self._waits_for.set_exception(Expired())


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
