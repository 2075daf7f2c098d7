"""Reports of times in which access tokens cannot be checked."""

from __future__ import annotations

import logging
import time
from typing import Optional

logger = logging.getLogger("user_service")

# Seconds without a failure after which an outage has ended, so that one with an occasional success
# is reported once.
_QUIET = 1.0


class Outage:
    """Logs one line when an outage begins, and one when it has ended. Neither has a token in it."""

    __slots__ = ("_failures", "_last", "reason", "since")

    def __init__(self) -> None:
        # Time at which the outage began, and the reason of its last failure, or `None`.
        self.since: Optional[float] = None
        self.reason: Optional[str] = None
        self._last = 0.0
        self._failures = 0

    def failed(self, reason: object) -> None:
        """Counts a token that could not be checked."""
        now = self._last = time.monotonic()
        self._failures += 1
        self.reason = one_line(reason)
        if self.since is None:
            self.since = now
            logger.warning("access tokens cannot be checked: %s", self.reason)

    def succeeded(self) -> None:
        """Ends an outage. To be called for a checked token, if `since` is set."""
        now = time.monotonic()
        if self.since is not None and now - self._last >= _QUIET:
            logger.warning(
                "access tokens are checked again after %.1f s, in which %d were not checked",
                now - self.since,
                self._failures,
            )
            self.since, self.reason, self._failures = None, None, 0


def one_line(text: object) -> str:
    """Returns a text, part of which may come from the service, without line breaks."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
