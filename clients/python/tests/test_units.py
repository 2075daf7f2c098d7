"""Secrets, errors in terms of HTTP, addresses and slots."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import json
import pickle
import traceback
import unittest
from typing import Any

from support import VECTORS

from user_service import (
    Client,
    ClientClosed,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    Secret,
    ServerError,
    Tls,
    messages,
)
from user_service._deadline import Deadline, Expired
from user_service._loopback import is_loopback, split_address
from user_service._slots import Slots
from user_service.http import to_http
from user_service.verdict import TokenExpired, VerifyUnavailable

VALUE = "a secret value"


class Secrets(unittest.TestCase):
    def test_a_secret_does_not_print(self) -> None:
        secret = Secret(VALUE)
        login = messages.Login(login="ada", password=secret)
        # A request hides the secret even if it was passed as text.
        careless = messages.Login(login="ada", password=VALUE)  # type: ignore[arg-type]
        for value in (secret, login, careless, [secret], dataclasses.asdict(login)):
            for text in (repr(value), str(value), f"{value}", "%s %r" % (value, value)):
                self.assertNotIn(VALUE, text)
        self.assertEqual(f"{secret:>5}", "  ***")
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for value in (secret, login):
                with self.assertRaises(TypeError):
                    pickle.dumps(value, protocol)
        with self.assertRaises(TypeError):
            json.dumps(secret)
        self.assertNotIn(VALUE, json.dumps(dataclasses.asdict(login), default=str))
        with self.assertRaises(TypeError):
            vars(secret)
        self.assertIs(copy.deepcopy(secret), secret)
        self.assertIs(copy.copy(secret), secret)

    def test_a_secret_is_not_in_errors_about_it(self) -> None:
        for call in (
            lambda: Secret(VALUE + "\ud800"),
            lambda: Secret(VALUE.encode() + b"\xff").reveal(),
        ):
            with self.assertRaises(ValueError) as caught:
                call()
            self.assertNotIn(VALUE, "".join(traceback.format_exception(caught.exception)))

    def test_no_frame_of_a_call_contains_the_text(self) -> None:
        class Stopped(Client):
            async def call(self, request: Any, **options: Any) -> Any:
                raise LookupError

        async def login() -> None:
            await Stopped("127.0.0.1:1").login(login="ada", password="".join(VALUE))

        try:
            asyncio.run(login())
        except LookupError as error:
            summary = traceback.TracebackException.from_exception(error, capture_locals=True)
        frames = [frame for frame in summary.stack if "user_service" in frame.filename]
        self.assertTrue(frames)
        self.assertNotIn(VALUE, str([frame.locals for frame in frames]))

    def test_it_can_be_revealed_and_compared(self) -> None:
        self.assertEqual(Secret(VALUE).reveal(), VALUE)
        self.assertEqual(Secret(b"\xff").reveal_bytes(), b"\xff")
        self.assertEqual(Secret("a"), Secret(b"a"))
        self.assertNotEqual(Secret("a"), Secret("b"))
        self.assertNotEqual(Secret("a"), "a")
        self.assertEqual(len({Secret("a"), Secret("a")}), 1)
        with self.assertRaises(AttributeError):
            Secret("a")._value = b"b"


def server_error(code: int, **fields: Any) -> ServerError:
    return ServerError(messages.ErrorReply(code=code, message="text", **fields))


class Http(unittest.TestCase):
    def test_every_code_has_the_status_of_the_protocol(self) -> None:
        protocol = json.loads((VECTORS / "protocol.json").read_text())
        for entry in protocol["errors"]:
            error = server_error(int(entry["code"], 16))
            self.assertEqual(to_http(error).status, entry["http_status"], entry["name"])
            self.assertEqual(error.outcome, entry["outcome"])
        for entry in protocol["classes"]:
            code = 0x0900 if entry["class"] == "other" else int(entry["class"], 16) << 8 | 0xEE
            error = server_error(code)
            self.assertEqual(to_http(error).status, entry["http_status"], entry["class"])
            self.assertEqual(error.outcome, entry["outcome"])

    def test_headers(self) -> None:
        for error, status, headers in [
            (server_error(0x0501, retry_after_ms=1_001), 429, {"Retry-After": "2"}),
            (server_error(0x0502), 503, {"Retry-After": "1"}),
            (server_error(0x0602), 503, {"Retry-After": "1"}),
            (server_error(0x0604), 504, {}),
            (server_error(0x0303), 401, {"WWW-Authenticate": "Bearer"}),
            (ConnectError("no"), 503, {}),
            (ClientClosed(), 503, {}),
            (DeadlineExceeded("not_done"), 503, {}),
            (DeadlineExceeded("unknown"), 504, {}),
            (ConnectionLost("no"), 504, {}),
            (TokenExpired(), 401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}),
            (VerifyUnavailable(), 503, {"Retry-After": "1"}),
            (RuntimeError("a bug"), 500, {}),
        ]:
            answer = to_http(error)
            self.assertEqual((answer.status, answer.headers), (status, headers), error)
        answer = to_http(server_error(0x0203, field="new_password"))
        self.assertEqual(answer.body, {"error": "invalid_password", "field": "new_password"})


class Addresses(unittest.TestCase):
    def test_host_and_port(self) -> None:
        for address, expected in [
            ("localhost", ("localhost", 3001)),
            ("127.0.0.1:41001", ("127.0.0.1", 41001)),
            ("[::1]:3001", ("::1", 3001)),
            ("[::1]", ("::1", 3001)),
            ("users.example.com:1", ("users.example.com", 1)),
        ]:
            self.assertEqual(split_address(address), expected)
        for address in ("::1", "", ":1", "a:0", "a:65536", "a:b", "[::1", "[::1]x", "a:", "a:１"):
            with self.assertRaises(ValueError, msg=address):
                split_address(address)

    def test_only_loopback_addresses_and_localhost_are_local(self) -> None:
        for local in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "LocalHost"):
            self.assertTrue(is_loopback(local), local)
        for remote in (
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "::ffff:10.0.0.1",
            "users.example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "2130706433",
        ):
            self.assertFalse(is_loopback(remote), remote)


class TlsFiles(unittest.TestCase):
    def test_wrong_files_are_reported_at_once(self) -> None:
        with self.assertRaises(OSError):
            Tls(ca="/does/not/exist.pem")
        with self.assertRaises(ValueError):
            Tls(certificate="a.pem")
        self.assertNotIn("my.key", repr(dataclasses.fields(Tls)))


class Waits(unittest.IsolatedAsyncioTestCase):
    async def test_slots_are_granted_in_order_and_never_lost(self) -> None:
        loop = asyncio.get_running_loop()
        slots = Slots(loop, 2)
        deadline = Deadline(loop, loop.time() + 5)

        def wait() -> asyncio.Task[bool]:
            return asyncio.create_task(slots.acquire(Deadline(loop, loop.time() + 5)))

        self.assertTrue(await slots.acquire(deadline))
        self.assertTrue(await slots.acquire(deadline))
        waiting = [wait() for _ in range(3)]
        await asyncio.sleep(0)
        slots.release()
        # Cancelled in the same turn in which its slot was granted.
        waiting[0].cancel()
        await asyncio.sleep(0.01)
        self.assertTrue(waiting[1].done())
        slots.set_limit(3)
        await asyncio.sleep(0.01)
        self.assertTrue(waiting[2].done())
        slots.set_limit(1)
        for _ in range(3):
            slots.release()
        self.assertEqual(slots.used, 0)
        self.assertTrue(await slots.acquire(deadline))
        last = wait()
        await asyncio.sleep(0)
        slots.close()
        self.assertFalse(await last)

    async def test_a_deadline_ends_a_wait(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = Deadline(loop, loop.time() + 0.05)
        slots = Slots(loop, 0)
        with self.assertRaises(Expired):
            await slots.acquire(deadline)
        with self.assertRaises(Expired):
            await deadline.sleep(1)
        slots.set_limit(1)
        self.assertEqual(slots.used, 0)


if __name__ == "__main__":
    unittest.main()
