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

from support import VECTORS, everything_in

from user_service import (
    Client,
    ClientClosed,
    Config,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    InvalidRequest,
    PlaintextRefused,
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
        for convert in (dict, list, tuple, set):
            with self.assertRaises(TypeError) as caught:
                convert(secret)
            self.assertIn("reveal() returns its text", str(caught.exception))
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
            self.assertNotIn(VALUE, everything_in(caught.exception))

    def test_a_secret_is_text_or_bytes(self) -> None:
        # A number would be the length of as many zero bytes.
        for value in (1_000_000_000, None, [65], True, 1.5):
            with self.assertRaises(TypeError):
                Secret(value)  # type: ignore[arg-type]
        data: Any = bytearray(b"a")
        self.assertEqual(Secret(data), Secret("a"))

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
            # Mistakes of the gateway, which the next attempt would repeat.
            (InvalidRequest("no"), 500, {}),
            (PlaintextRefused(), 500, {}),
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
        for address, text in [
            ("::1", "write an IPv6 address in brackets"),
            ("", "the host is missing; expected HOST:PORT"),
            (":1", "the host is missing"),
            ("a:0", "expected a port from 1 to 65535"),
            ("a:65536", "expected a port from 1 to 65535"),
            ("a:99999", "invalid address 'a:99999': expected a port from 1 to 65535"),
            ("a:" + "9" * 5_000, "expected a port from 1 to 65535"),
            ("a:b", "expected a port"),
            ("a:", "expected a port"),
            ("a:１", "expected a port"),
            ("[::1", "expected [IPv6]:port"),
            ("[::1]x", "expected [IPv6]:port"),
            ("[a]:1", "expected an IPv6 address in brackets"),
            ("http://a:3001", "without a scheme or a path"),
            ("a:3001/", "without a scheme or a path"),
            ("a b:3001", "expected HOST:PORT"),
            ("a:1,b:1", "expected HOST:PORT"),
            ("a\0:1", "expected HOST:PORT"),
            ("a..b:1", "the host is not a valid name"),
            ("a" * 64 + ":1", "the host is not a valid name"),
        ]:
            with self.assertRaises(ValueError, msg=address) as caught:
                split_address(address)
            self.assertIn(text, str(caught.exception))

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


class Options(unittest.IsolatedAsyncioTestCase):
    def refused(self, call: Any, expected: str) -> None:
        with self.assertRaises((TypeError, ValueError)) as caught:
            call()
        self.assertIn(expected, str(caught.exception))

    def test_wrong_options_are_refused_with_what_was_expected(self) -> None:
        make: Any = Client
        config: Any = Config
        tls: Any = Tls
        for call, expected in [
            (lambda: make(), "missing a required argument: 'addresses'"),
            (lambda: make(None), 'expected HOST:PORT, such as "127.0.0.1:3001"'),
            (lambda: make([]), "there is no address; expected HOST:PORT"),
            (lambda: make([None]), "an address has the type NoneType; expected HOST:PORT"),
            (lambda: make(3001), "addresses have the type int"),
            (lambda: make("a:99999"), "expected a port from 1 to 65535"),
            (lambda: make("a", Tls()), "config has the type Tls; expected Config or None"),
            (lambda: make("a", tls=Tls()), "it belongs into Config, as in Client(..., Config(tls="),
            (lambda: make("a", address="b"), "did you mean 'addresses'?"),
            (lambda: make("a", colour=1), "has no option 'colour': expected addresses, config"),
            (lambda: config(deadlin=1), "Config has no option 'deadlin': did you mean 'deadline'?"),
            (lambda: config(timeout=1, colour=1), "Config has no option 'timeout'"),
            (lambda: config(tls=True), "tls has the type bool; expected Tls or None"),
            (lambda: config(allow_plaintext="no"), "allow_plaintext has the type str"),
            (lambda: config(deadline="5"), "deadline has the type str; expected a number of sec"),
            (lambda: config(deadline=0), "invalid deadline 0: expected a number of seconds, more"),
            (lambda: config(slow_after=float("nan")), "invalid slow_after nan"),
            (lambda: config(max_calls=0), "invalid max_calls 0: expected an integer, at least 1"),
            (lambda: config(max_calls=1.5), "max_calls has the type float; expected int"),
            (lambda: tls(cert="a"), "Tls has no option 'cert': did you mean 'certificate'?"),
            (lambda: tls(ca=b"-----BEGIN"), "ca has the type bytes; expected str or PathL"),
        ]:
            with self.subTest(expected):
                self.refused(call, expected)

    async def test_plain_text_to_another_address_is_refused_with_what_was_expected(self) -> None:
        async with Client(["localhost", "users.internal:3001"]) as client:
            for call in (
                client.login(login="a", password="p"),
                client.get_user(access_token="t"),
                # Whoever can replace the keys can forge tokens.
                client.get_keys(),
                client.watch_revocations(cursor=b"", wait_ms=0),
            ):
                with self.assertRaises(PlaintextRefused) as caught:
                    await call
                self.assertIn("users.internal:3001", str(caught.exception))
                self.assertIn("expected Config(tls=Tls(...))", str(caught.exception))


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
