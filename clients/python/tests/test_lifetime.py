"""Cancelled calls, servers that do not read, event loops that end, forks, and what stays behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
import subprocess
import sys
import threading
import unittest
import warnings
from typing import Any, Optional
from unittest import mock
from uuid import UUID

from support import CLIENT, close_server
from test_wire import STALLED, Server

from user_service import (
    Client,
    ClientClosed,
    Config,
    ConnectError,
    ConnectionLost,
    ServerError,
    UserServiceError,
    messages,
)
from user_service import _codec as codec
from user_service import _link as link

USER = UUID(int=1)


def echo(request: Any) -> Any:
    """Answers GetUser with the token as the username, and refuses everything else."""
    if isinstance(request, messages.GetUser):
        return messages.User(
            user_id=USER, username=request.access_token.reveal(), email="", created_at=1
        )
    return messages.ErrorReply(code=0x0301, message="no")


class Unread:
    """A server that accepts connections and reads nothing."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.close()


class Quiet(unittest.IsolatedAsyncioTestCase):
    """Tests after which no task, socket or unread error is left."""

    async def asyncSetUp(self) -> None:
        self.before = asyncio.all_tasks()
        self.reported: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, context: self.reported.append(context))
        loop.set_debug(False)
        self.warned = warnings.catch_warnings(record=True)
        self.warnings = self.warned.__enter__()
        warnings.simplefilter("always")

    async def asyncTearDown(self) -> None:
        # On Python 3.11, a server that is closed does not wait for its connections.
        for _ in range(500):
            if asyncio.all_tasks() - self.before <= {asyncio.current_task()}:
                break
            await asyncio.sleep(0.01)
        for _ in range(3):
            await asyncio.sleep(0)
            gc.collect()
        self.warned.__exit__(None, None, None)
        current = asyncio.current_task()
        left = [task for task in asyncio.all_tasks() - self.before if task is not current]
        self.assertEqual(left, [])
        self.assertEqual(self.reported, [])
        sockets = [str(one.message) for one in self.warnings if one.category is ResourceWarning]
        self.assertEqual(sockets, [])


class Cancelled(Quiet):
    async def test_cancelled_calls_give_their_slots_back_and_mix_up_no_replies(self) -> None:
        chance = random.Random(7)
        async with (
            Server(echo) as first,
            Server(echo) as second,
            Client([first.address, second.address], Config(slow_after=0.005)) as client,
        ):

            async def call(number: int) -> Optional[str]:
                if number % 3 == 0:
                    try:
                        await client.login(login="ada", password="p" * 3_000)
                    except ServerError as error:
                        return error.name
                user = await client.get_user(access_token=str(number))
                return user.username

            tasks = []
            for number in range(600):
                tasks.append(asyncio.create_task(call(number)))
                if chance.random() < 0.3:
                    await asyncio.sleep(chance.random() / 500)
                if chance.random() < 0.5:
                    chance.choice(tasks[-6:]).cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            for number, result in enumerate(results):
                if not isinstance(result, asyncio.CancelledError):
                    expected = "INVALID_CREDENTIALS" if number % 3 == 0 else str(number)
                    self.assertEqual(result, expected)
            self.assertGreater(sum(isinstance(r, asyncio.CancelledError) for r in results), 50)
            # The replies to cancelled calls may still arrive.
            for node in client._nodes:
                connection = node.link.current()
                assert connection
                for _ in range(100):
                    if not connection._slots.used:
                        break
                    await asyncio.sleep(0.01)
                used = connection._slots.used, connection._hashing.used, node.in_flight
                self.assertEqual((*used, len(connection._pending)), (0, 0, 0, 0))
            self.assertEqual(client._active, 0)

    async def test_a_call_that_is_cancelled_while_it_waits_for_a_slot_takes_none(self) -> None:
        async with (
            Server(lambda _request: STALLED) as server,
            Client(server.address, Config(slow_after=0.01)) as client,
        ):
            await client.ping()
            connection = next(iter(client._nodes)).link.current()
            assert connection
            connection._hashing.set_limit(1)
            tasks = [asyncio.create_task(client.login(login="a", password="p")) for _ in range(5)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            # Only the one that was sent, whose reply may still come.
            self.assertEqual((connection._hashing.used, connection._slots.used), (1, 1))
            connection.abort()

    async def test_a_cancelled_close_closes_the_connections(self) -> None:
        async with Server(lambda _request: STALLED) as server:
            client = Client(server.address)
            await client.ping()
            call = asyncio.create_task(client.get_user(access_token="t"))
            await asyncio.sleep(0.05)
            closing = asyncio.create_task(client.close())
            await asyncio.sleep(0.05)
            self.assertFalse(closing.done())
            closing.cancel()
            with self.assertRaises(UserServiceError):
                await call
            await asyncio.gather(closing, return_exceptions=True)

    async def test_a_client_that_is_closed_while_it_connects(self) -> None:
        unread = Unread()
        self.addCleanup(unread.close)
        for delay in (0, 0.0001, 0.001, 0.01):
            client = Client(["192.0.2.1:1", unread.address])
            call = asyncio.create_task(client.ping(deadline=0.2))
            await asyncio.sleep(delay)
            await client.close()
            with self.assertRaises(UserServiceError):
                await call
        with self.assertRaises(ClientClosed):
            await client.ping()

    async def test_an_unexpected_error_of_an_attempt_to_connect_is_one_of_the_call(self) -> None:
        with mock.patch.object(link, "connect", side_effect=ValueError("embedded null byte")):
            async with Client("localhost", Config(wait_for_server=False)) as client:
                with self.assertRaises(ConnectError) as caught:
                    await client.ping(deadline=1)
        self.assertIn("embedded null byte", str(caught.exception))


class NotReading(Quiet):
    async def test_a_server_that_does_not_read_is_noticed(self) -> None:
        unread = Unread()
        self.addCleanup(unread.close)
        config = Config(ping_pending_after=0.1, pong_timeout=0.3)
        async with Client(unread.address, config) as client:
            calls = [
                asyncio.create_task(
                    client.logout(token="t" * 60_000, deadline=20, idempotency_key=None)
                )
                for _ in range(250)
            ]
            done, left = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            # Long before the deadline. The other ones were not sent, and are sent again.
            self.assertEqual({type(call.exception()) for call in done}, {ConnectionLost})
            for call in left:
                call.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    async def test_an_old_connection_with_unsent_bytes_is_closed(self) -> None:
        unread = Unread()
        self.addCleanup(unread.close)
        async with Client(unread.address) as client:
            calls = [
                asyncio.create_task(client.logout(token="t" * 60_000, deadline=30))
                for _ in range(250)
            ]
            connection = None
            while connection is None or connection._stream.is_empty:
                await asyncio.sleep(0.01)
                connection = next(iter(client._nodes)).link.current()
            connection.retire()
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            self.assertFalse(connection.is_closed)
            for _ in range(1_000):
                if connection.is_closed:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError("the connection is still open")

    async def test_pings_without_a_reply_are_bounded(self) -> None:
        async with Server(echo) as server, Client(server.address) as client:
            await client.ping()
            connection = next(iter(client._nodes)).link.current()
            assert connection
            for _ in range(100):
                connection._ping()
            self.assertLessEqual(len(connection._pending), 16)
            for _ in range(100):
                if not connection._pending:
                    return
                await asyncio.sleep(0.01)
            raise AssertionError(connection._pending)


class Hostile(Quiet):
    """A server that answers with anything."""

    async def test_any_bytes_end_the_calls_and_free_the_slots(self) -> None:
        chance = random.Random(1)
        user = frame(messages.User(user_id=USER, username="ada", email="", created_at=1), 1)
        refusals = [
            frame(messages.ErrorReply(code=code, message="no", retry_after_ms=number), request_id)
            for code in (0x0502, 0x0603, 0x0102, 0x0301, 0x0999)
            for number, request_id in ((0, 0), (0, 1), (2**32 - 1, 0))
        ]
        pongs = [
            frame(messages.Pong(max_in_flight=number, idle_timeout=number, max_hashing=number), 3)
            for number in (0, 1, 2**32 - 1)
        ]
        parts = [
            user,
            *refusals,
            *pongs,
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\x15\3\3\0\2\2\x46",
        ]

        def stream() -> bytes:
            data = bytearray(b"".join(chance.choices(parts, k=chance.randrange(1, 5))))
            for _ in range(chance.randrange(3)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            return bytes(data[: chance.randrange(1, len(data) + 1)])

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(stream())
            await asyncio.sleep(0.005)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for _ in range(60):
            async with Client(address, Config(initial_backoff=0.001)) as client:
                calls = [
                    client.get_user(access_token="t", deadline=0.05),
                    client.login(login="a", password="p", deadline=0.05),
                    client.ping(deadline=0.05),
                ]
                for result in await asyncio.gather(*calls, return_exceptions=True):
                    if isinstance(result, BaseException):
                        self.assertIsInstance(result, UserServiceError)
                connection = next(iter(client._nodes)).link.current()
                if connection is not None:
                    for slots in (connection._slots, connection._hashing):
                        self.assertGreaterEqual(slots.used, 0)
                        self.assertTrue(1 <= slots.limit <= 65_536)
                    connection.abort()
        await close_server(server)
        await server.wait_closed()

    async def test_a_server_at_its_limit_is_asked_again_within_two_minutes(self) -> None:
        busy = frame(messages.ErrorReply(code=0x0502, message="", retry_after_ms=2**32 - 1), 0)

        async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(busy)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Client(address) as client:
            with self.assertRaises(UserServiceError):
                await client.ping(deadline=0.2)
            wait = next(iter(client._nodes)).link._next_attempt - client.bind().time()
            self.assertTrue(30 < wait < 120, wait)
        await close_server(server)
        await server.wait_closed()


def frame(reply: Any, request_id: int) -> bytes:
    return codec.encode_frame(type(reply).TYPE, request_id, codec.encode_message(reply))


FORK = """\
import asyncio, os, sys
from user_service import Client
client = Client(sys.argv[1])
loop = asyncio.new_event_loop()
print(loop.run_until_complete(client.get_user(access_token="parent")).username, flush=True)
if os.fork() == 0:
    async def child():
        print((await client.get_user(access_token="child")).username, flush=True)
        await client.close()
    asyncio.run(child())
    os._exit(0)
os.wait()
print(loop.run_until_complete(client.get_user(access_token="again")).username, flush=True)
loop.run_until_complete(client.close())
"""


class Loops(unittest.TestCase):
    def test_a_client_outlives_its_event_loop(self) -> None:
        served = ThreadedServer()
        self.addCleanup(served.close)
        client = Client([served.address, served.address])

        async def call(text: str) -> str:
            return (await client.get_user(access_token=text)).username

        for text in ("first", "second"):
            self.assertEqual(asyncio.run(call(text)), text)
        asyncio.run(client.close())

        async def after() -> None:
            with self.assertRaises(ClientClosed):
                await client.ping()

        asyncio.run(after())

    def test_a_client_belongs_to_one_event_loop_at_a_time(self) -> None:
        served = ThreadedServer()
        self.addCleanup(served.close)
        client = Client(served.address)
        other = asyncio.new_event_loop()
        self.addCleanup(other.close)
        other.run_until_complete(client.ping())
        with self.assertRaises(RuntimeError) as caught:
            asyncio.run(client.ping())
        self.assertIn("expected one client for each event loop", str(caught.exception))
        other.run_until_complete(client.close())

    @unittest.skipUnless(hasattr(os, "fork"), "there is no fork")
    def test_a_forked_process_uses_a_connection_of_its_own(self) -> None:
        served = ThreadedServer()
        self.addCleanup(served.close)
        environment = {**os.environ, "PYTHONPATH": str(CLIENT / "src")}
        command = [sys.executable, "-c", FORK, served.address]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=30)
        self.assertEqual(done.stdout.split(), ["parent", "child", "again"], done.stderr)


class ThreadedServer:
    """A server in a thread of its own."""

    def __init__(self) -> None:
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        self._started.wait()

    async def _run(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with Server(echo) as server:
            self.address = server.address
            self._started.set()
            await self._end.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()


if __name__ == "__main__":
    unittest.main()
