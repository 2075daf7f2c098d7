"""Applies the answers to GetKeys and WatchRevocations."""

from __future__ import annotations

import time
from typing import Optional

from .._messages import Keys, Revocation, Revocations
from ._keys import parse_jwks
from ._local import Local
from ._token import MAX_KID

_SECOND = 1_000_000_000
# Time after which all revocations are requested again after there were too many.
_RETRY_ALL_AFTER = 60 * _SECOND
# Longest accepted cursor in bytes.
_MAX_CURSOR = 1_024
# Shortest and longest time in seconds after which the keys are read again.
_REFRESH_AFTER = (10, 24 * 60 * 60)
# Time in seconds for which the keys are used after they should have been read again.
_KEYS_OVERDUE = 10
# Longest lifetime of an access token in seconds that the protocol allows.
_MAX_LIFE = 60 * 60
# Time in nanoseconds for which an entry is kept: the longest lifetime, and the time by which the
# clock of the node that issued the token may have been ahead.
RETENTION = (_MAX_LIFE + 60) * _SECOND


class Follower:
    """The only writer of the state of a verifier."""

    def __init__(self, local: Local) -> None:
        self.local = local
        # Cursor of the last answer, for the next request.
        self.cursor = b""
        # Number of times that all revocations were requested again. The answer to a request from
        # before the last time is not complete.
        self.round = 0
        self._missed_at: Optional[int] = None

    def apply_keys(self, answer: Keys, sent: int, received: int) -> Optional[float]:
        """Applies an answer to GetKeys.

        Returns the seconds after which to call it again, or `None` if the answer is malformed.
        """
        keys = parse_jwks(answer.jwks)
        if keys is None:
            return None
        if answer.now_ms is not None:
            self.local.time.observe(answer.now_ms, sent, received, RETENTION)
        # The entries are kept for long enough for this lifetime at most.
        self.local.access_life = min(answer.access_life, _MAX_LIFE)
        self.local.is_left_to_service = not keys
        if self.local.keys.replace(keys):
            self.local.cache.clear()
        refresh_after = min(max(answer.refresh_after, _REFRESH_AFTER[0]), _REFRESH_AFTER[1])
        # After the keys above: checks rely on this order.
        self.local.keys_until = sent + (refresh_after + _KEYS_OVERDUE) * _SECOND
        return float(refresh_after)

    def apply_not_permitted(self) -> None:
        """Applies a refusal of GetKeys to a client that is not trusted."""
        if not self.local.keys.are_loaded:
            self.local.is_left_to_service = True

    def apply_revocations(self, answer: Revocations, round_: int, sent: int, received: int) -> bool:
        """Applies an answer to the WatchRevocations of this round.

        Returns `True` if a key was revoked that was not revoked before.
        """
        self.local.time.observe(answer.now_ms, sent, received, RETENTION)
        key_revoked = False
        for row in answer.entries:
            revoked = self._apply_row(row, received + RETENTION)
            if revoked is None:
                self.local.has_unknown_entry = True
            key_revoked = key_revoked or revoked is True
        if key_revoked:
            self.local.cache.clear()
        if round_ != self.round:
            return key_revoked
        if self._missed_at is not None:
            self.local.complete_at = None
        elif answer.more == 0:
            # After the entries above: checks rely on this order.
            self.local.set_complete(sent - answer.stale_ms * 1_000_000)
        self.cursor = answer.cursor if len(answer.cursor) <= _MAX_CURSOR else b""
        return key_revoked

    def _apply_row(self, row: Revocation, expiry: int) -> Optional[bool]:
        """Returns `True` if the row revokes a key, and `None` if it is not understood."""
        revocations = self.local.revocations
        if row.kind in (1, 2):
            if len(row.id) != 16:
                return None
            if not revocations.add(row.id, expiry) and self._missed_at is None:
                self._missed_at = time.monotonic_ns()
            return False
        if row.kind == 3:
            if row.id:
                return None
            revocations.add_all(row.before, expiry)
            return False
        if row.kind == 4 and row.id:
            if len(row.id) > MAX_KID:
                # It names no key that this verifier accepts.
                return False
            try:
                return self.local.keys.revoke(row.id.decode())
            except UnicodeDecodeError:
                return None
        return None

    def expire(self) -> None:
        """Removes what has expired, and requests everything again if entries were left out."""
        now = time.monotonic_ns()
        has_space = self.local.revocations.expire(now)
        if has_space and self._missed_at is not None and now - self._missed_at >= _RETRY_ALL_AFTER:
            self._missed_at = None
            self._start_over()

    def _start_over(self) -> None:
        self.local.complete_at = None
        self.cursor = b""
        self.round += 1
