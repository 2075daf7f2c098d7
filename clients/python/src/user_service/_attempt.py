"""The attempts of one call, until there is a reply or an error that must not be retried."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any, Generic, Optional, TypeVar

from . import _codec as codec
from ._base import Reply, Request
from ._connection import Connection
from ._deadline import Deadline, Expired
from ._messages import MAX_DEADLINE_MS, REPLIES, ErrorCode, ErrorReply
from ._node import Node, Nodes
from ._results import Answered, Closed, Lost, NotSent, Rejected, Result
from .errors import BadReply, ConnectionLost, DeadlineExceeded, ServerError, UserServiceError

R = TypeVar("R", bound=Reply)

# Number of times that a request is sent if the server answers BUSY.
_MAX_BUSY = 3
# Seconds after the first sending of a RefreshToken in which it may be sent again: the 30 s that the
# service allows, less a margin for the network. Later, the token would count as stolen.
_REPEAT_REFRESH_WITHIN = 25.0
# Waits before sending again after a second connection was lost, and their maximum.
_LOSS_BACKOFF = (0.1, 5.0)
_FATAL_OF_CONNECTION = (
    ErrorCode.MALFORMED,
    ErrorCode.FRAME_TOO_LONG,
    ErrorCode.FRAME_TOO_SHORT,
)


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """A reply, with the connection that brought it and the time before the request was sent."""

    reply: R
    connection: Connection
    sent_ns: int


class Attempts(Generic[R]):
    """The attempts of one call."""

    def __init__(
        self,
        nodes: Nodes,
        request: Request[R],
        common: codec.Common,
        deadline: Deadline,
        *,
        preferred: Optional[Connection] = None,
        avoid: Optional[Node] = None,
        counts: bool = True,
    ) -> None:
        self._nodes, self._request, self._common = nodes, request, common
        self._deadline, self._preferred, self._counts = deadline, preferred, counts
        self._avoid: set[Node] = set() if avoid is None else {avoid}
        self._is_repeatable = common.idempotency_key is not None or request.RETRY == "safe"
        # The node that has not answered yet.
        self.node: Optional[Node] = None
        self._connection: Optional[Connection] = None
        self._end = 0
        self._first_sent: Optional[float] = None
        # The error of an attempt that may have been executed, and of the last other attempt.
        self._unknown: Optional[UserServiceError] = None
        self._last: Optional[UserServiceError] = None
        self._busy = self._losses = 0

    async def run(self) -> Answer[R]:
        """Sends the request until there is a reply. Raises UserServiceError."""
        try:
            while True:
                node, connection = await self._connect()
                sent_ns = time.monotonic_ns()
                pending = await connection.send(self._request, self._tags, self._deadline)
                if pending is None:
                    continue
                self.node, self._connection, self._end = node, connection, pending.end
                if self._first_sent is None:
                    self._first_sent = time.monotonic()
                node.in_flight += self._counts
                try:
                    result = await self._deadline.wait(pending.future)
                finally:
                    node.in_flight -= self._counts
                self.node = None
                reply = await self._handle(node, connection, result)
                if reply is not None:
                    return Answer(reply, connection, sent_ns)
        except Expired:
            raise self._at_deadline() from None

    async def _connect(self) -> tuple[Node, Connection]:
        preferred = self._nodes.of(self._preferred)
        if preferred is not None and preferred not in self._avoid and self._preferred is not None:
            return preferred, self._preferred

        def failed(error: UserServiceError) -> None:
            self._last = error

        return await self._nodes.connection(self._avoid, self._deadline, failed)

    def _tags(self) -> codec.Common:
        """Returns the common tags with the time that remains, a little less than the client has."""
        remaining = self._deadline.remaining()
        millis = int((remaining - min(0.05, remaining / 20)) * 1000)
        common = self._common
        return codec.Common(
            common.client_address,
            min(max(millis, 1), MAX_DEADLINE_MS),
            common.idempotency_key,
            common.traceparent,
        )

    async def _handle(self, node: Node, connection: Connection, result: Result) -> Optional[R]:
        """Returns the reply, or `None` if the request is to be sent again."""
        if isinstance(result, Answered):
            if result.kind == ErrorReply.TYPE:
                await self._refused(node, connection, result.body)
                return None
            return self._read(result)
        if isinstance(result, NotSent):
            return None
        if isinstance(result, Rejected):
            self._give_way(node, result.error)
            if not self._nodes.any_outside(self._avoid):
                # Another attempt would fail in the same way.
                raise self._final(result.error)
            return None
        if isinstance(result, Closed):
            await self._connection_refused(node, result)
            return None
        await self._lost(result)
        return None

    def _read(self, result: Answered) -> R:
        expected: Any = reply_type(self._request)
        if result.kind != expected.TYPE:
            raise BadReply(result.kind, f"expected {expected.NAME}")
        reason = ""
        try:
            reply: R = codec.decode_message(expected, result.body)
            return reply
        except codec.DecodeError as error:
            reason = str(error)
        # Here, so that the error does not lead to frames with the tokens of the reply.
        raise BadReply(result.kind, reason)

    async def _refused(self, node: Node, connection: Connection, body: bytes) -> None:
        try:
            error = ServerError(codec.decode_message(ErrorReply, body))
        except codec.DecodeError as reason:
            raise BadReply(ErrorReply.TYPE, str(reason)) from None
        if error.code == ErrorCode.SHUTTING_DOWN:
            connection.drain()
            self._give_way(node, error)
        elif error.code >> 8 == 5 and error.code != ErrorCode.RATE_LIMITED:
            self._avoid.add(node)
            await self._busy_again(error)
        elif self._may_ask_another(node, error):
            self._unknown = self._unknown or error
        else:
            raise self._final(error)

    def _may_ask_another(self, node: Node, error: ServerError) -> bool:
        """Returns `True` if another node may be able to answer what this one could not."""
        if error.code >> 8 != 6 or error.code == ErrorCode.DEADLINE_EXCEEDED:
            return False
        self._avoid.add(node)
        return self._may_repeat() and self._nodes.is_connected_outside(self._avoid)

    async def _busy_again(self, error: ServerError) -> None:
        """Waits before the request is sent again, or gives up."""
        self._busy += 1
        wait = (error.retry_after or 1.0) * (1 + random.random() / 2)
        if self._busy >= _MAX_BUSY or wait >= self._deadline.remaining():
            raise self._final(error)
        self._last = error
        await self._deadline.sleep(wait)

    async def _connection_refused(self, node: Node, result: Closed) -> None:
        code = result.reply.code
        if code == ErrorCode.BUSY and result.is_first:
            # The link waits before it connects again.
            error = ServerError(result.reply)
            self._give_way(node, error)
            self._busy += 1
            if self._busy >= _MAX_BUSY:
                raise self._final(error)
        elif code in _FATAL_OF_CONNECTION:
            raise ServerError(result.reply, "unknown")
        else:
            await self._repeat(ServerError(result.reply, "unknown"))

    async def _lost(self, result: Lost) -> None:
        await self._repeat(ConnectionLost(result.reason))

    async def _repeat(self, error: UserServiceError) -> None:
        """Prepares for sending the request again after an unknown outcome, or gives up."""
        self._unknown = error
        if not self._may_repeat():
            raise error
        self._losses += 1
        if self._losses > 1:
            await self._deadline.sleep(
                min(_LOSS_BACKOFF[0] * 2 ** (self._losses - 2), _LOSS_BACKOFF[1])
            )

    def _may_repeat(self) -> bool:
        if self._is_repeatable:
            return True
        if self._request.RETRY != "safe_within_30_s" or self._first_sent is None:
            return False
        return time.monotonic() - self._first_sent < _REPEAT_REFRESH_WITHIN

    def _give_way(self, node: Node, error: UserServiceError) -> None:
        self._avoid.add(node)
        self._last = error

    def _final(self, error: UserServiceError) -> UserServiceError:
        """Returns the error of the call. An earlier attempt may have been executed."""
        if self._unknown is not None and error.outcome == "not_done":
            error.outcome = "unknown"
        return error

    def _at_deadline(self) -> UserServiceError:
        connection = self._connection
        if self.node is not None and connection is not None and connection.has_written(self._end):
            return DeadlineExceeded("unknown")
        if self._unknown is not None:
            return self._unknown
        return self._last or DeadlineExceeded("not_done")


def reply_type(request: Request[R]) -> type[R]:
    """Returns the type of the reply to a request."""
    reply: Any = REPLIES[request.TYPE | 0x80]
    found: type[R] = reply
    return found
