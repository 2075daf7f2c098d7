"""The nodes of the service: each with its connection, and what is known about its health."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Optional

from ._connection import Connection
from ._deadline import Deadline
from ._link import Link
from .config import Config
from .errors import ClientClosed, UserServiceError


@dataclass(frozen=True)
class NodeStatus:
    """State of one node, as a client sees it."""

    address: str
    connected: bool
    slow: bool
    in_flight: int


class Node:
    """One address of the service."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.in_flight = 0
        # `True` from a request without a reply in time until a ping is answered in time.
        self.slow = False

    def rank(self, connection: Connection) -> tuple[bool, bool, int]:
        """Returns a value by which nodes are chosen: the lowest is the best."""
        return self.slow, connection.is_full, self.in_flight


class Nodes:
    """All nodes of a client."""

    def __init__(self, addresses: Iterable[str], config: Config) -> None:
        self._config = config
        self._all = [Node(Link(address, config, self._changed)) for address in addresses]
        self._waiting: set[asyncio.Future[bool]] = set()
        self._turn = 0
        self.is_closed = False

    def __iter__(self) -> Iterator[Node]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def of(self, connection: Optional[Connection]) -> Optional[Node]:
        """Returns the node of a connection that accepts requests."""
        if connection is None or not connection.is_open:
            return None
        return next((node for node in self._all if node.link.current() is connection), None)

    def healthy(self, other_than: Optional[Node]) -> bool:
        """Returns `True` if another node is connected, fast and has capacity."""
        for node in self._all:
            connection = node.link.current()
            if node is not other_than and connection and not (node.slow or connection.is_full):
                return True
        return False

    def any_outside(self, avoid: set[Node]) -> bool:
        return any(node not in avoid for node in self._all)

    def is_connected_outside(self, avoid: set[Node]) -> bool:
        return any(node not in avoid and node.link.current() for node in self._all)

    async def connection(
        self, avoid: set[Node], deadline: Deadline, failed: Callable[[UserServiceError], None]
    ) -> tuple[Node, Connection]:
        """Returns a connection: the best one, and to a node to avoid only if there is no other.

        Waits for one until the deadline. `failed` gets the errors of the attempts to connect.
        """
        before = [node.link.failed_attempts for node in self._all]
        has_waited = False
        while True:
            if self.is_closed:
                raise ClientClosed
            found = self._best(avoid)
            if found is not None:
                return found
            error = next((node.link.error for node in self._all if node.link.error), None)
            if error is not None:
                failed(error.copy())
                if self._gives_up(before, has_waited):
                    raise error.copy()
            for node in self._all:
                node.link.ensure()
            has_waited = True
            waiter: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            self._waiting.add(waiter)
            try:
                await deadline.wait(waiter)
            finally:
                self._waiting.discard(waiter)

    def _gives_up(self, before: list[int], has_waited: bool) -> bool:
        """Returns `True` if a call does not wait for further attempts to connect."""
        links = [node.link for node in self._all]
        failed = all(link.failed_attempts > old for link, old in zip(links, before, strict=True))
        if failed and all(link.is_rejected for link in links):
            return True
        if self._config.wait_for_server:
            return False
        return failed or (not has_waited and all(link.is_backing_off for link in links))

    def _best(self, avoid: set[Node]) -> Optional[tuple[Node, Connection]]:
        self._turn += 1
        count = len(self._all)
        best: Optional[tuple[tuple[bool, bool, bool, int], Node, Connection]] = None
        for offset in range(count):
            # Equally good nodes are chosen alternately.
            node = self._all[(self._turn + offset) % count]
            connection = node.link.current()
            if connection is not None:
                rank = (node in avoid, *node.rank(connection))
                if best is None or rank < best[0]:
                    best = rank, node, connection
        return None if best is None else (best[1], best[2])

    def _changed(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(True)

    def status(self) -> list[NodeStatus]:
        """Returns the state of every node, in the order of the addresses."""
        return [
            NodeStatus(
                node.link.address, node.link.current() is not None, node.slow, node.in_flight
            )
            for node in self._all
        ]

    def forget(self) -> None:
        """Closes the sockets only. The event loop is closed, or belongs to another process."""
        for node in self._all:
            node.link.forget()

    async def close(self, timeout: float) -> None:
        """Waits for the replies to requests in flight, and closes every connection."""
        self.is_closed = True
        self._changed()
        connections = [connection for node in self._all for connection in node.link.close()]
        for connection in connections:
            connection.finish()
        try:
            closing = [connection.closed for connection in connections]
            if closing:
                await asyncio.wait(closing, timeout=timeout)
        finally:
            # Also if the caller is cancelled.
            for connection in connections:
                connection.abort()
