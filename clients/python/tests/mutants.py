#!/usr/bin/env python3
"""The driver of a client with one of the faults that no vector reveals: mutants.py FAULT.

The cases of `user-cli conform` have to fail with each of them.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import driver

from user_service import ServerError
from user_service import _connection as connection
from user_service._attempt import Attempts
from user_service._base import Request
from user_service._connection import Connection
from user_service._link import Link


def patch(owner: Any, name: str, value: Any) -> None:
    """Replaces a function of the client."""
    setattr(owner, name, value)


def unknown_class_is_retried() -> None:
    """Retries a request five times after an unknown error class."""
    refused = Attempts._refused

    async def mutant(self: Any, node: Any, used: Any, body: bytes) -> None:
        try:
            await refused(self, node, used, body)
        except ServerError as error:
            self.__dict__["retries"] = self.__dict__.get("retries", 0) + 1
            if error.code >> 8 <= 6 or self.__dict__["retries"] > 5:
                raise

    patch(Attempts, "_refused", mutant)


def alert_is_unknown() -> None:
    """Takes a TLS alert for the loss of a connection."""
    patch(connection, "rejection", lambda _error: None)


def idle_timeout_is_ignored() -> None:
    """Ignores the idle timeout in Pong."""
    patch(Connection, "_ping_interval", lambda self: self._config.ping_after)


def no_window_of_hashing() -> None:
    """Sends any number of requests that hash."""
    patch(Request, "hashes", lambda _self: False)


def unreadable_error_is_ignored() -> None:
    """Ignores an error with id 0 that cannot be decoded."""
    close = Connection._close

    def mutant(self: Any, result: Any) -> None:
        if "cannot be read" not in getattr(result, "reason", ""):
            close(self, result)

    patch(Connection, "_close", mutant)


def shutdown_is_retried_at_once() -> None:
    """Connects to a single address again at once after SHUTTING_DOWN."""

    def mutant(self: Any) -> None:
        self._next_attempt = 0.0

    patch(Link, "_count_failure", mutant)


# The cases that are expected to fail.
FAULTS = {
    unknown_class_is_retried: "errors.unknown_class",
    alert_is_unknown: "tls.certificate_expired",
    idle_timeout_is_ignored: "idle.one_second",
    no_window_of_hashing: "window.hashing",
    unreadable_error_is_ignored: "connection.unreadable_error",
    shutdown_is_retried_at_once: "shutdown.one_address",
}

if __name__ == "__main__":
    next(fault for fault in FAULTS if fault.__name__ == sys.argv[1])()
    asyncio.run(driver.main())
