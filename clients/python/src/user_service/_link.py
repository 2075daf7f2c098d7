"""The connection to one address: established on demand, and again after it was lost."""

from __future__ import annotations

import asyncio
import random
from typing import Callable, Optional

from ._connection import Connection
from ._stream import connect
from .config import Config
from .errors import ConnectError


class Link:
    """A connection to one address, with at most one attempt to connect at a time."""

    def __init__(self, address: str, config: Config, on_change: Callable[[], None]) -> None:
        self.address, self._config, self._on_change = address, config, on_change
        self._connection: Optional[Connection] = None
        # Connections that accept no further requests and are not closed yet.
        self._retired: set[Connection] = set()
        self._task: Optional[asyncio.Task[None]] = None
        self._failures = 0
        self._next_attempt = 0.0
        self._is_closed = False
        # Error of the last attempt to connect, and the number of attempts that failed.
        self.error: Optional[ConnectError] = None
        self.failed_attempts = 0
        # `True` if the server rejected the client's certificate on the last connection. Another
        # attempt would fail in the same way.
        self.is_rejected = False

    def current(self) -> Optional[Connection]:
        """Returns the connection if it accepts requests."""
        connection = self._connection
        return connection if connection is not None and connection.is_open else None

    def ensure(self) -> None:
        """Begins to connect if there is no connection."""
        if self._is_closed or self._task is not None or self.current() is not None:
            return
        self._task = asyncio.get_running_loop().create_task(self._attempt())

    @property
    def is_backing_off(self) -> bool:
        """`True` if the last attempt failed and the next one has to wait."""
        return self.error is not None and self._next_attempt > asyncio.get_running_loop().time()

    async def _attempt(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            wait = self._next_attempt - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            stream = await asyncio.wait_for(
                connect(self.address, self._config.tls), self._config.connect_timeout
            )
            if self._is_closed:
                # asyncio.wait_for may lose a cancellation before Python 3.12.
                stream.close()
                return
            self.error, self.is_rejected = None, False
            self._connection = Connection(stream, self._config, self._changed)
        except Exception as error:
            if isinstance(error, ConnectError):
                self.error = error
            else:
                is_late = isinstance(error, asyncio.TimeoutError)
                reason = "timed out" if is_late else str(error) or type(error).__name__
                self.error = ConnectError(f"{self.address}: {reason}")
            self.failed_attempts += 1
            self._count_failure()
        finally:
            self._task = None
            self._on_change()

    def _changed(self, connection: Connection) -> None:
        """Handles the retirement and the end of a connection."""
        if not connection.is_open:
            if connection is self._connection:
                self._connection = None
                self._retired.add(connection)
                self._plan(connection)
            if connection.is_closed:
                self._retired.discard(connection)
        self._on_change()

    def _plan(self, connection: Connection) -> None:
        """Sets the time of the next attempt, after a connection that accepts no more requests."""
        if connection.served:
            self._failures = 0
        if connection.rejection is not None:
            self.error, self.is_rejected = connection.rejection, True
            self.failed_attempts += 1
        if connection.retry_after is not None:
            wait = connection.retry_after * (1 + random.random() / 2)
            self._next_attempt = asyncio.get_running_loop().time() + wait
        elif connection.served and not connection.is_draining:
            self._next_attempt = 0.0
        else:
            self._count_failure()

    def _count_failure(self) -> None:
        """Doubles the wait before the next attempt, and reduces it at random by up to half."""
        full = self._config.initial_backoff * 2 ** min(self._failures, 16)
        wait = min(full, self._config.max_backoff) * (1 - random.random() / 2)
        self._next_attempt = asyncio.get_running_loop().time() + wait
        self._failures += 1

    def forget(self) -> None:
        """Closes the sockets only."""
        for connection in (*self._retired, *([self._connection] if self._connection else [])):
            connection.forget()

    def close(self) -> list[Connection]:
        """Stops connecting, and returns the connections that remain to be closed."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
        remaining = list(self._retired)
        if self._connection is not None:
            remaining.append(self._connection)
        return remaining
