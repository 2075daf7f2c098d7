"""One connection: frames to be written, requests in flight, and pings."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import Any, Callable, Literal, Optional, Union

from . import _codec as codec
from ._base import Request
from ._deadline import Deadline
from ._messages import MAX_HASHING, MAX_IN_FLIGHT, ErrorCode, ErrorReply, Ping, Pong
from ._results import Answered, Closed, Lost, NotSent, Pending, Rejected
from ._slots import Slots
from ._stream import Stream, describe
from .config import Config
from .errors import TlsError
from .tls import rejection

# Bytes from which on no further frame is queued.
_FULL = 65_536
# Upper bound of the limits that a server may advertise.
_MAX_LIMIT = 65_536
# Age in seconds after which the reply to an abandoned request is no longer expected. It exceeds
# the longest deadline, within which a server answers.
_ABANDONED_AFTER = 60.0
# Shortest time between two pings, whatever idle timeout the server advertises.
_MIN_PING_INTERVAL = 0.1
# Longest wait in seconds for a server that is at its connection limit.
_MAX_RETRY_AFTER = 60.0
# Number of pings of the connection itself that may be without a reply.
_MAX_OWN_PINGS = 16
# Seconds after which a retired connection that no call waits for is closed with unsent bytes.
_FLUSH_TIMEOUT = 1.0
# Interval at which a retired connection checks for calls that still wait.
_CHECK_INTERVAL = 0.1


class Connection:
    """A connection that accepts requests until it is retired."""

    def __init__(
        self, stream: Stream, config: Config, on_change: Callable[[Connection], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream, self._config, self._on_change = stream, config, on_change
        self._phase: Literal["open", "retired", "closed"] = "open"
        self._in = bytearray()
        # Frames that were not passed to the stream, and the offset at which they begin.
        self._out: deque[bytes] = deque()
        self._out_size = self._taken = 0
        self._flush_is_due = False
        self._drained: list[asyncio.Future[bool]] = []
        self._pending: dict[int, Pending] = {}
        self._last_id = 0
        self._slots = Slots(self._loop, MAX_IN_FLIGHT)
        self._hashing = Slots(self._loop, MAX_HASHING)
        self._idle_timeout: Optional[float] = None
        now = self._loop.time()
        self._last_read = self._last_queued = now
        self._ping_sent: Optional[float] = None
        self._own_pings = 0
        self._retired_at = now
        self._timer: Optional[asyncio.TimerHandle] = None
        # Done after the connection was closed.
        self.closed = self._loop.create_future()
        # `True` once the server has answered anything except SHUTTING_DOWN.
        self.served = False
        self.is_draining = False
        # The alert by which the server rejected the client's certificate.
        self.rejection: Optional[TlsError] = None
        # Time in seconds that the server asked for before the next connection.
        self.retry_after: Optional[float] = None
        stream.on_data, stream.on_written, stream.on_end = self._data, self._flush, self._ended
        stream.start()
        self._tick()

    @property
    def is_open(self) -> bool:
        """`True` if the connection accepts requests."""
        return self._phase == "open"

    @property
    def is_closed(self) -> bool:
        """`True` after the connection was closed."""
        return self._phase == "closed"

    @property
    def is_full(self) -> bool:
        """`True` if as many requests are in flight as the server accepts."""
        return self._slots.used >= self._slots.limit

    def has_written(self, end: int) -> bool:
        """Returns `True` if the stream was written up to this offset."""
        return self._stream.written >= end

    async def send(
        self, request: Request[Any], common: Callable[[], codec.Common], deadline: Deadline
    ) -> Optional[Pending]:
        """Queues a request as soon as a slot is free. Returns `None` if there will be none."""
        hashes = request.hashes()
        # First, so that a request that waits for it holds up no other.
        if hashes and not await self._slot(self._hashing, deadline):
            return None
        is_queued = False
        has_slot = False
        try:
            has_slot = await self._slot(self._slots, deadline)
            if not has_slot:
                return None
            while self._out_size >= _FULL and self.is_open:
                waiter: asyncio.Future[bool] = self._loop.create_future()
                self._drained.append(waiter)
                await deadline.wait(waiter)
            if not self.is_open:
                return None
            pending = self._queue(request.TYPE, codec.encode_request(request, common()), hashes)
            is_queued = True
            return pending
        finally:
            if not is_queued:
                if has_slot:
                    self._slots.release()
                if hashes:
                    self._hashing.release()

    async def _slot(self, slots: Slots, deadline: Deadline) -> bool:
        if slots.used >= slots.limit:
            self._retire_if_stuck()
        return await slots.acquire(deadline)

    def _queue(self, kind: int, body: bytes, hashes: bool, is_own: bool = False) -> Pending:
        request_id = self._free_id()
        frame = codec.encode_frame(kind, request_id, body)
        self._last_id = request_id
        self._out.append(frame)
        self._out_size += len(frame)
        now = self._loop.time()
        self._last_queued = now
        end = self._taken + self._out_size
        pending = Pending(self._loop.create_future(), end, now, hashes, is_own)
        self._pending[request_id] = pending
        if not self._flush_is_due:
            # Other calls that are ready queue their frames first, so that one write carries all.
            self._flush_is_due = True
            self._loop.call_soon(self._flush)
        return pending

    def _free_id(self) -> int:
        request_id = self._last_id
        while True:
            request_id = request_id % 0xFFFF_FFFF + 1
            if request_id not in self._pending:
                return request_id

    def _ping(self) -> None:
        """Sends a ping. A server that does not even read what is queued counts as not answering."""
        if not self.is_open:
            return
        if self._out_size < _FULL and self._own_pings < _MAX_OWN_PINGS:
            self._own_pings += 1
            self._queue(Ping.TYPE, b"", False, is_own=True)
        if self._ping_sent is None:
            self._ping_sent = self._loop.time()

    def _flush(self) -> None:
        """Passes queued frames to the stream, if it has written the last ones."""
        self._flush_is_due = False
        if self._phase == "closed" or not self._stream.is_empty or not self._out:
            return
        data = b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        self._taken += len(data)
        self._stream.write(data)
        self._wake_drained()
        if self._out and self._stream.is_empty:
            self._loop.call_soon(self._flush)

    def _wake_drained(self) -> None:
        waiting, self._drained = self._drained, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(True)

    def _data(self, data: bytes) -> None:
        self._last_read = self._loop.time()
        self._ping_sent = None
        self._in += data
        used = 0
        try:
            while self._phase != "closed":
                found = codec.split_frame(self._in, used)
                if found is None:
                    break
                kind, request_id, begin, end = found
                used = end
                body = bytes(self._in[begin:end])
                if request_id == 0:
                    self._connection_error(kind, body)
                else:
                    self._deliver(kind, request_id, body)
        except codec.FrameError as error:
            self._close(Lost(f"the server sent an invalid frame: {error}"))
            return
        if used:
            del self._in[:used]
        self._close_if_done()

    def _connection_error(self, kind: int, body: bytes) -> None:
        """Handles a frame with request id 0, which concerns the connection."""
        if kind != ErrorReply.TYPE:
            return
        try:
            reply = codec.decode_message(ErrorReply, body)
        except codec.DecodeError as error:
            self._close(Lost(f"the server sent an error that cannot be read: {error}"))
            return
        if reply.code == ErrorCode.SHUTTING_DOWN:
            self.drain()
        else:
            if reply.code == ErrorCode.BUSY:
                self.retry_after = min((reply.retry_after_ms or 1_000) / 1000, _MAX_RETRY_AFTER)
            self._close(Closed(reply, not self.served))

    def _deliver(self, kind: int, request_id: int, body: bytes) -> None:
        pending = self._pending.pop(request_id, None)
        if pending is None:
            return
        self._release(pending)
        is_shutting_down = (
            kind == ErrorReply.TYPE and int.from_bytes(body[:2], "big") == ErrorCode.SHUTTING_DOWN
        )
        is_first = not (self.served or is_shutting_down)
        self.served = self.served or is_first
        if kind == Pong.TYPE:
            self._apply_limits(body)
        elif is_first:
            # Asks for the limits of the server, once it has shown that it accepts the connection.
            self._ping()
        # The call may have been abandoned.
        if not pending.future.done():
            pending.future.set_result(Answered(kind, body))

    def _release(self, pending: Pending) -> None:
        if pending.is_own:
            self._own_pings -= 1
        else:
            self._slots.release()
            if pending.hashes:
                self._hashing.release()

    def _apply_limits(self, body: bytes) -> None:
        try:
            pong = codec.decode_message(Pong, body)
        except codec.DecodeError:
            return
        if pong.idle_timeout is not None:
            self._idle_timeout = float(pong.idle_timeout)
        if pong.max_in_flight is not None:
            self._slots.set_limit(min(max(pong.max_in_flight, 1), _MAX_LIMIT))
        if pong.max_hashing is not None:
            self._hashing.set_limit(min(max(pong.max_hashing, 1), _MAX_LIMIT))
        self._tick()

    def _ping_interval(self) -> float:
        interval = self._config.ping_after
        if self._idle_timeout is not None:
            interval = min(interval, max(self._idle_timeout / 2, _MIN_PING_INTERVAL))
        return interval

    def _awaited(self) -> list[Pending]:
        """Returns the requests in flight of calls that still wait."""
        return [p for p in self._pending.values() if not p.future.done() and not p.is_own]

    def _tick(self) -> None:
        """Sends a ping if one is due, and sets the timer to the next time to look."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._phase == "closed":
            return
        if self._phase == "retired":
            self._close_if_done()
            if not self.closed.done():
                self._timer = self._loop.call_later(_CHECK_INTERVAL, self._tick)
            return
        now, config = self._loop.time(), self._config
        if self._ping_sent is not None and now >= self._ping_sent + config.pong_timeout:
            self._close(Lost("the server stopped responding"))
            return
        idle_at = self._last_queued + self._ping_interval()
        if now >= idle_at or (self._ping_sent is None and self._is_silent(now)):
            self._ping()
            idle_at = now + self._ping_interval()
        due = min(idle_at - now, config.ping_pending_after)
        if self._ping_sent is not None:
            due = min(due, self._ping_sent + config.pong_timeout - now)
        self._timer = self._loop.call_later(max(due, _MIN_PING_INTERVAL / 2), self._tick)

    def _is_silent(self, now: float) -> bool:
        """Returns `True` if a reply is late. A server at its limit would not read a ping either."""
        awaited = self._awaited()
        if not awaited or self.is_full:
            return False
        since = max(self._last_read, min(pending.since for pending in awaited))
        return now - since >= self._config.ping_pending_after

    def drain(self) -> None:
        """Stops accepting requests, because the server executes no further ones."""
        self.is_draining = True
        self.retire()

    def retire(self) -> None:
        """Stops accepting requests. Those that were not passed to the stream are not sent."""
        if self._phase != "open":
            return
        self._phase = "retired"
        self._retired_at = self._loop.time()
        self._slots.close()
        self._hashing.close()
        unsent = [key for key, pending in self._pending.items() if pending.end > self._taken]
        self._out.clear()
        self._out_size = 0
        for key in unsent:
            pending = self._pending.pop(key)
            if not pending.future.done():
                pending.future.set_result(NotSent())
        self._wake_drained()
        self._on_change(self)
        self._loop.call_soon(self._tick)

    def _retire_if_stuck(self) -> None:
        """Retires the connection if the reply to an abandoned request is overdue."""
        now = self._loop.time()
        for pending in self._pending.values():
            if pending.future.done() and now - pending.since > _ABANDONED_AFTER:
                self.retire()
                return

    def _close_if_done(self) -> None:
        """Closes a retired connection that owes no call a reply."""
        if self._phase != "retired" or self._awaited():
            return
        # A server that does not read must not keep it open.
        if self._stream.is_empty or self._loop.time() - self._retired_at > _FLUSH_TIMEOUT:
            self._close(Lost("the client closed the connection"))

    def _ended(self, error: Optional[BaseException]) -> None:
        rejected = rejection(error) if isinstance(error, ssl.SSLError) else None
        # A server reads no request before it has accepted the client's certificate.
        if rejected is not None and not self.served:
            self._close(Rejected(rejected))
        else:
            self._close(Lost(describe(error)))

    def _close(self, result: Union[Rejected, Closed, Lost]) -> None:
        if self._phase == "closed":
            return
        if isinstance(result, Rejected):
            self.rejection = result.error
            for entry in self._pending.values():
                if not entry.future.done():
                    entry.future.set_result(result)
        self.retire()
        self._phase = "closed"
        if self._timer is not None:
            self._timer.cancel()
        self._stream.close()
        pending, self._pending = self._pending, {}
        for entry in pending.values():
            if entry.future.done():
                continue
            if entry.end > self._stream.written:
                entry.future.set_result(NotSent())
            else:
                entry.future.set_result(result)
        self._in.clear()
        if not self.closed.done():
            self.closed.set_result(None)
        self._on_change(self)

    def finish(self) -> None:
        """Sends what is queued, accepts no further requests, and closes after the last reply."""
        self._flush()
        self.retire()

    def abort(self) -> None:
        """Closes the connection without waiting for replies."""
        self._close(Lost("the client closed the connection"))

    def forget(self) -> None:
        """Closes the socket only."""
        self._phase = "closed"
        self._stream.forget()
