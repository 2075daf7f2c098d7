"""The time of the service, derived from the monotonic clock."""

from __future__ import annotations

from typing import Literal, Optional

# Time in milliseconds by which `iat` may be ahead of the time of the service.
_MAX_AHEAD_MS = 60_000
_UNKNOWN = 1 << 62

Timing = Literal["current", "expired", "disputed"]


class ServiceTime:
    """The time of the service, as an offset in milliseconds from the monotonic clock.

    An answer with the time `now_ms`, requested at `sent` and received at `received`, was written in
    between. Tokens expire by the upper bound, counted from `sent`: a delay makes a token expire
    earlier, never later.

    If the service's clock is set back, tokens that had expired would become valid again, possibly
    after the revocations that concern them were removed. So the greatest lower bound is kept as a
    floor, and the service is asked about a token that has expired by only one of the two. The floor
    is dropped when every token that was issued before the change has expired by the new clock too,
    and also after the service's clock was behind it for the retention by the monotonic clock,
    without interruption. By then, the tokens of before the clock was ahead have expired. Those that
    were issued in the meantime are ahead of the new clock, and the service repeats their entries.
    """

    def __init__(self, start_ns: int) -> None:
        self._start = start_ns
        self._floor: Optional[int] = None
        # Times of the service and of the monotonic clock at which the floor is dropped; set while
        # the service's clock is behind the floor.
        self._floor_until: Optional[tuple[int, int]] = None
        # Before the first answer, every token appears expired.
        self._latest = self._bound = _UNKNOWN

    def observe(self, now_ms: int, sent_ns: int, received_ns: int, retention_ns: int) -> None:
        """Takes the time of an answer into account."""
        sent, received = self._millis(sent_ns), self._millis(received_ns)
        upper = now_ms - sent
        lower = now_ms - received - 1
        is_behind = self._floor is not None and upper < self._floor
        if self._floor_until is not None:
            service, local = self._floor_until
            if now_ms >= service or (is_behind and sent >= local):
                self._floor = self._floor_until = None
        if self._floor is not None and is_behind:
            if self._floor_until is None:
                until = received + retention_ns // 1_000_000
                self._floor_until = (self._floor + until, until)
        else:
            self._floor = lower if self._floor is None else max(self._floor, lower)
            self._floor_until = None
        self._latest = upper
        self._bound = max(upper, self._floor)

    def check(self, issued_at: int, expires_at: int, now_ns: int) -> Timing:
        """Compares the times of a token, in seconds, with the time of the service."""
        now = (now_ns - self._start) // 1_000_000 + 1
        latest, bound = now + self._latest, now + self._bound
        issued, expires = issued_at * 1000, expires_at * 1000
        if expires > bound and issued <= latest + _MAX_AHEAD_MS:
            return "current"
        if expires <= latest or issued > bound + _MAX_AHEAD_MS:
            return "expired"
        return "disputed"

    def _millis(self, time_ns: int) -> int:
        return (time_ns - self._start) // 1_000_000
