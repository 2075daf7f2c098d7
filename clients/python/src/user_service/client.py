"""The client of the service."""

from __future__ import annotations

import asyncio
import os
import random
from types import TracebackType
from typing import Any, Optional, TypeVar, Union

from . import _codec as codec
from ._attempt import Answer, Attempts
from ._base import Reply, Request
from ._checks import expect_number, expect_type, known_options
from ._codec import Common
from ._connection import Connection
from ._deadline import Deadline
from ._loopback import addresses_of, is_loopback, split_address
from ._messages import MAX_DEADLINE_MS, ErrorCode, Ping
from ._methods import Methods
from ._node import Node, Nodes, NodeStatus
from ._options import AUTO, Key
from .config import Config
from .errors import (
    ClientClosed,
    DeadlineExceeded,
    InvalidRequest,
    PlaintextRefused,
    ServerError,
    TooManyCalls,
    UserServiceError,
)

R = TypeVar("R", bound=Reply)

# Seconds for which `close` waits for the replies to requests in flight.
_CLOSE_TIMEOUT = 10.0
# Types of requests for services and administrators.
_FOR_SERVICES = range(0x20, 0x30)
# Interval in seconds at which the nodes are pinged, if there are several.
_PROBE_INTERVAL = 1.0


@known_options
class Client(Methods):
    """A client of one node or several nodes of the service.

    It connects with the first call, and connects again after a connection was lost. It may be
    shared by any number of tasks of one event loop.

        async with Client("127.0.0.1:3001") as client:
            user = await client.get_user(access_token=token)
    """

    __slots__ = (
        "_active",
        "_addresses",
        "_config",
        "_loop",
        "_nodes",
        "_pid",
        "_probing",
        "_remote",
        "_tasks",
        "_verifier",
    )

    # Has the options that are not arguments of the client itself.
    CONFIG = Config

    def __init__(
        self, addresses: Union[str, list[str], tuple[str, ...]], config: Optional[Config] = None
    ) -> None:
        """Creates a client of the nodes at these addresses (`host:port` each)."""
        expect_type("Client", "config", config, Config, type(None))
        self._config = config or Config()
        all_addresses = addresses_of(addresses)
        remote = (one for one in all_addresses if not is_loopback(split_address(one)[0]))
        self._remote = next(remote, None)
        self._addresses = all_addresses
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._verifier: Optional[object] = None
        self._begin()

    def _begin(self) -> None:
        self._nodes = Nodes(self._addresses, self._config)
        self._pid = os.getpid()
        self._active = 0
        self._probing: Optional[asyncio.Task[None]] = None
        self._tasks: set[asyncio.Task[Any]] = set()

    def bind(self) -> asyncio.AbstractEventLoop:
        """Returns the event loop, to which the client belongs from now on.

        After its event loop was closed, and in a process that was forked, a client connects anew.
        Raises RuntimeError if it belongs to another event loop.
        """
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._pid == os.getpid():
            return loop
        if self._loop is not None:
            is_forked = self._pid != os.getpid()
            if not is_forked and not self._loop.is_closed():
                raise RuntimeError(
                    "the client belongs to another event loop, which is not closed: "
                    "expected one client for each event loop"
                )
            was_closed = self._nodes.is_closed
            self._nodes.forget()
            self._begin()
            self._nodes.is_closed = was_closed
        self._loop = loop
        return loop

    def attach(self, verifier: object) -> None:
        """Makes this the verifier of the client. Raises ValueError if there is another one."""
        if self._verifier is not None:
            raise ValueError(
                "the client has a verifier already: share that one, close it first, or create "
                "another client"
            )
        self._verifier = verifier

    def detach(self, verifier: object) -> None:
        """Ends `attach`."""
        if self._verifier is verifier:
            self._verifier = None

    @property
    def refuses_secrets(self) -> bool:
        """`True` if secrets would cross a network in plain text."""
        config = self._config
        return config.tls is None and not config.allow_plaintext and self._remote is not None

    def refusal(self) -> PlaintextRefused:
        """Returns the error about a secret that would cross a network in plain text."""
        return PlaintextRefused(self._remote)

    async def call(
        self,
        request: Request[R],
        *,
        deadline: Optional[float] = None,
        idempotency_key: Key = AUTO,
        client_address: Optional[str] = None,
        traceparent: Optional[str] = None,
    ) -> R:
        """Sends a request, and returns its reply. Raises UserServiceError.

        It is sent again where the protocol permits it. If the caller is cancelled, the service may
        still execute a request that was sent.
        """
        if idempotency_key is AUTO:
            idempotency_key = os.urandom(16) if request.CHANGES else None
        elif idempotency_key == bytes(16):
            raise InvalidRequest("idempotency_key consists of zeros; expected 16 random bytes")
        common = Common(client_address, None, idempotency_key, traceparent)
        answer = await self._call(request, common, deadline)
        return answer.reply

    async def poll(
        self,
        request: Request[R],
        *,
        wait: float,
        deadline: float,
        last: Optional[Connection] = None,
    ) -> Answer[R]:
        """Sends a request that a node may answer only after `wait` seconds.

        Prefers the connection `last`. For the verifier of access tokens.
        """
        return await self._call(request, Common(), deadline, wait, last, counts=False)

    async def _call(
        self,
        request: Request[R],
        common: Common,
        seconds: Optional[float],
        wait: float = 0.0,
        last: Optional[Connection] = None,
        counts: bool = True,
    ) -> Answer[R]:
        loop = self.bind()
        if self._nodes.is_closed:
            raise ClientClosed
        if self.refuses_secrets and _is_confidential(request):
            raise self.refusal()
        if self._active >= self._config.max_calls:
            raise TooManyCalls
        _validate(request, common)
        seconds = self._config.deadline if seconds is None else _checked(seconds)
        seconds = min(seconds, MAX_DEADLINE_MS / 1000)
        if seconds <= 0:
            raise DeadlineExceeded("not_done")
        at = loop.time() + seconds
        self._active += 1
        try:
            if len(self._nodes) > 1:
                self._probe()
                # A refresh that is executed twice at the same time is no theft, but a risk.
                if request.RETRY == "safe":
                    return await self._race(request, common, at, wait, last, counts)
            deadline = Deadline(loop, at)
            try:
                attempts = Attempts(
                    self._nodes, request, common, deadline, preferred=last, counts=counts
                )
                return await attempts.run()
            finally:
                deadline.cancel()
        finally:
            self._active -= 1

    async def _race(
        self,
        request: Request[R],
        common: Common,
        at: float,
        wait: float,
        last: Optional[Connection],
        counts: bool,
    ) -> Answer[R]:
        """Sends a safe request also to a second node, if the first does not answer in time."""
        loop = asyncio.get_running_loop()
        deadlines: list[Deadline] = []
        running: dict[asyncio.Task[Answer[R]], Attempts[R]] = {}
        failure: Optional[UserServiceError] = None

        def start(avoid: Optional[Node], preferred: Optional[Connection]) -> None:
            deadline = Deadline(loop, at)
            deadlines.append(deadline)
            attempts = Attempts(
                self._nodes,
                request,
                common,
                deadline,
                preferred=preferred,
                avoid=avoid,
                counts=counts,
            )
            task = loop.create_task(attempts.run())
            task.add_done_callback(_retrieve)
            running[task] = attempts

        start(None, last)
        try:
            may_hedge = True
            patience = self._config.slow_after + wait
            while running:
                timeout = patience if may_hedge else None
                done, _ = await asyncio.wait(
                    running, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    running.pop(task)
                    error = task.exception()
                    if error is None:
                        return task.result()
                    if not isinstance(error, UserServiceError) or _is_decision(error):
                        raise error
                    failure = failure or error
                if not done:
                    patience = self._config.slow_after
                    # At most one more attempt: with all nodes slow, nothing is sent twice.
                    slow = next(iter(running.values())).node
                    if slow is not None and self._nodes.healthy(slow):
                        slow.slow = True
                        may_hedge = False
                        start(slow, None)
            raise failure or ClientClosed()
        finally:
            for task in running:
                task.cancel()
            for deadline in deadlines:
                deadline.cancel()

    def _probe(self) -> None:
        """Begins to ping the nodes, which also keeps them connected."""
        if self._probing is None:
            self._probing = asyncio.get_running_loop().create_task(self._probe_all())

    async def _probe_all(self) -> None:
        while not self._nodes.is_closed:
            for node in self._nodes:
                node.link.ensure()
                connection = node.link.current()
                if connection is not None:
                    task = asyncio.get_running_loop().create_task(self._probe_one(node, connection))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(_PROBE_INTERVAL * (1 - random.random() / 5))

    async def _probe_one(self, node: Node, connection: Connection) -> None:
        """Pings a node: it is slow if it does not answer in time, and recovered if it does."""
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop, loop.time() + self._config.connect_timeout)
        try:
            pending = await connection.send(Ping(), Common, deadline)
            if pending is None:
                return
            began = loop.time()
            late = loop.call_later(self._config.slow_after, setattr, node, "slow", True)
            try:
                await deadline.wait(pending.future)
            finally:
                late.cancel()
            if loop.time() - began < self._config.slow_after:
                node.slow = False
        except Exception:
            # The connection itself reports a server that does not respond.
            return
        finally:
            deadline.cancel()

    def status(self) -> list[NodeStatus]:
        """Returns the state of every node, in the order of the addresses."""
        return self._nodes.status()

    async def close(self) -> None:
        """Waits up to 10 s for the replies to requests in flight, and closes the connections.

        Further calls fail with ClientClosed.
        """
        self.bind()
        background = [*self._tasks, *([self._probing] if self._probing is not None else [])]
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        await self._nodes.close(_CLOSE_TIMEOUT)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        _kind: Optional[type[BaseException]],
        _error: Optional[BaseException],
        _trace: Optional[TracebackType],
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        nodes = ", ".join(node.address for node in self.status())
        return f"Client({nodes})"


def _validate(request: Request[Any], common: Common) -> None:
    """Raises InvalidRequest if a request cannot be encoded."""
    try:
        codec.encode_frame(request.TYPE, 0, codec.encode_request(request, common))
        return
    except codec.EncodeError as error:
        reason = str(error)
    # Here, so that the error does not lead to frames with the encoded secrets.
    raise InvalidRequest(reason)


def _checked(deadline: float) -> float:
    """Returns the deadline of a call. 0 is a deadline that has passed."""
    try:
        expect_number("the call", "deadline", deadline, minimum=0)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(str(error)) from None
    return deadline


def _is_confidential(request: Request[Any]) -> bool:
    """Returns `True` for a request that must not be sent in plain text to another machine.

    It contains a secret, or its reply decides which tokens are accepted.
    """
    return request.TYPE in _FOR_SERVICES or any(field.kind == "secret" for field in request.FIELDS)


def _is_decision(error: UserServiceError) -> bool:
    """Returns `True` for an answer that no other node would improve.

    A call does not wait for a node that may never answer then.
    """
    return error.outcome == "refused" or (
        isinstance(error, ServerError) and error.code == ErrorCode.RATE_LIMITED
    )


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Keeps asyncio from reporting the error of an attempt that lost the race."""
    if not task.cancelled():
        task.exception()
