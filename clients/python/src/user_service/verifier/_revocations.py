"""The set of revocations."""

from __future__ import annotations

from collections import OrderedDict
from typing import Optional


class Revocations:
    """The revocations that were received and have not expired. Times are in nanoseconds."""

    def __init__(self, maximum: int) -> None:
        # Ids of sessions and users with the time at which they expire, in the order of this time.
        self.ids: OrderedDict[bytes, int] = OrderedDict()
        # 0, or one more than the latest `iat` of the tokens that are all revoked.
        self.first_valid = 0
        self._maximum = maximum
        self._all_until: Optional[int] = None

    def contain(self, issued_at: int, session_id: bytes, user_id: bytes) -> bool:
        """Returns `True` if a token with these claims is revoked."""
        ids = self.ids
        return issued_at < self.first_valid or session_id in ids or user_id in ids

    def add(self, identifier: bytes, expiry: int) -> bool:
        """Adds a session or user. Returns `False` if there are too many.

        An id that is already in the set stays until the later time, even if the set is full: an
        entry arrives again if some of the tokens that it concerns become valid later, or were
        issued after it arrived for the first time.
        """
        known = self.ids.get(identifier)
        if known is None and len(self.ids) >= self._maximum:
            return False
        if known is None or expiry > known:
            self.ids[identifier] = expiry
            self.ids.move_to_end(identifier)
        return True

    def add_all(self, before: int, expiry: int) -> None:
        """Revokes every token that was issued at `before` (in seconds) or earlier."""
        self.first_valid = max(self.first_valid, before + 1)
        # An earlier `before` may arrive last, and is then covered by the later one.
        self._all_until = max(self._all_until or expiry, expiry)

    def expire(self, now: int) -> bool:
        """Removes the entries that have expired. Returns `True` if there is space for more."""
        while self.ids:
            identifier, expiry = next(iter(self.ids.items()))
            if expiry > now:
                break
            del self.ids[identifier]
        if self._all_until is not None and self._all_until <= now:
            self._all_until = None
            self.first_valid = 0
        return len(self.ids) < self._maximum
