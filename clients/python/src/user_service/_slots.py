"""Slots of requests in flight, with a limit that the server can change while they are in use."""

from __future__ import annotations

import asyncio
from collections import OrderedDict

from ._deadline import Deadline


class Slots:
    """A semaphore with an adjustable limit. The client bounds the number of calls that wait."""

    __slots__ = ("_closed", "_loop", "_waiting", "limit", "used")

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self._loop = loop
        self._waiting: OrderedDict[asyncio.Future[bool], None] = OrderedDict()
        self._closed = False

    async def acquire(self, deadline: Deadline) -> bool:
        """Waits for a slot. Returns `False` if there will be none."""
        if self._closed:
            return False
        if self.used < self.limit and not self._waiting:
            self.used += 1
            return True
        future: asyncio.Future[bool] = self._loop.create_future()
        self._waiting[future] = None
        try:
            return await deadline.wait(future)
        except BaseException:
            # The slot may have been granted in the same turn of the event loop.
            if future.done() and not future.cancelled() and future.exception() is None:
                if future.result():
                    self.release()
            else:
                self._waiting.pop(future, None)
            raise

    def release(self) -> None:
        """Frees a slot."""
        self.used -= 1
        self._grant()

    def set_limit(self, limit: int) -> None:
        """Changes the limit. Slots in use beyond a lower limit stay in use."""
        self.limit = limit
        self._grant()

    def close(self) -> None:
        """Ends every wait without a slot."""
        self._closed = True
        while self._waiting:
            future, _ = self._waiting.popitem(last=False)
            if not future.done():
                future.set_result(False)

    def _grant(self) -> None:
        while self._waiting and self.used < self.limit:
            future, _ = self._waiting.popitem(last=False)
            if not future.done():
                self.used += 1
                future.set_result(True)
