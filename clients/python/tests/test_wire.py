"""The bytes on the wire, with a server in this process."""

from __future__ import annotations

import asyncio
import unittest
from collections.abc import Callable
from typing import Any, Optional
from uuid import UUID

from support import LiveTest, close_server, everything_in, new_account

from user_service import (
    BadReply,
    Client,
    Config,
    InvalidRequest,
    Secret,
    ServerError,
    TooManyCalls,
    messages,
)
from user_service import _attempt as attempt
from user_service import _codec as codec
from user_service._attempt import Attempts
from user_service._base import Reply
from user_service._results import Answered

REQUESTS: dict[int, Any] = {request.TYPE: request for request in messages.REQUESTS}
TOKENS = messages.TokenRefreshed(
    user_id=UUID(int=1),
    session_id=UUID(int=2),
    access_token="a",  # type: ignore[arg-type]
    access_expires_in=1,
    refresh_token="r",  # type: ignore[arg-type]
    refresh_expires_in=1,
)
Answer = Optional[Reply]
# In place of an answer: the server does not answer this request.
STALLED = messages.Pong(max_hashing=99)


class Server:
    """A server that records requests. `answer` returns a reply, or `None` to reset."""

    def __init__(self, answer: Callable[[Any], Answer]) -> None:
        self._answer = answer
        self.requests: list[tuple[Any, codec.Common]] = []
        self.pings = 0

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: Any) -> None:
        await close_server(self._server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(4), "big")
                data = await reader.readexactly(length)
                request_id = int.from_bytes(data[1:5], "big")
                request, common = codec.decode_request(REQUESTS[data[0]], data[5:])
                reply: Answer = messages.Pong()
                if isinstance(request, messages.Ping):
                    self.pings += 1
                else:
                    self.requests.append((request, common))
                    reply = self._answer(request)
                if reply is STALLED:
                    continue
                if reply is None:
                    writer.transport.abort()
                    return
                body = codec.encode_message(reply)
                writer.write(codec.encode_frame(type(reply).TYPE, request_id, body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


class Wire(unittest.IsolatedAsyncioTestCase):
    async def test_the_common_tags(self) -> None:
        trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        async with (
            Server(lambda _request: TOKENS) as server,
            Client(server.address) as client,
        ):
            for _ in range(2):
                await client.refresh_token(
                    refresh_token="r", client_address="2001:db8::1", traceparent=trace, deadline=4
                )
            await client.refresh_token(refresh_token="r", idempotency_key=None)
            first, second, third = (common for _, common in server.requests)
            self.assertEqual((first.client_address, first.traceparent), ("2001:db8::1", trace))
            assert first.deadline_ms and first.idempotency_key
            self.assertTrue(3_000 < first.deadline_ms <= 4_000, first)
            self.assertEqual(len(first.idempotency_key), 16)
            self.assertNotEqual(first.idempotency_key, second.idempotency_key)
            self.assertEqual(
                (third.client_address, third.idempotency_key, third.traceparent), (None,) * 3
            )
            self.assertEqual(server.pings, 1)

    async def test_a_key_is_the_same_in_every_attempt(self) -> None:
        replies: list[Answer] = [None, None, TOKENS]
        async with (
            Server(lambda _request: replies.pop(0)) as server,
            Client(server.address) as client,
        ):
            await client.refresh_token(refresh_token="r")
            keys = {common.idempotency_key for _, common in server.requests}
            self.assertEqual((len(server.requests), len(keys)), (3, 1))
            # Only a request that changes something has a key.
            replies[:] = [
                messages.LoggedOut(sessions_ended=1),
                messages.Keys(jwks="", access_life=1, refresh_after=1),
            ]
            await client.logout(token="t")
            await client.get_keys()
            self.assertIsNotNone(server.requests[-2][1].idempotency_key)
            self.assertIsNone(server.requests[-1][1].idempotency_key)

    async def test_a_refresh_without_a_key_is_repeated_for_a_short_time_only(self) -> None:
        for within, expected in ((25.0, 2), (0.0, 1)):
            before = attempt._REPEAT_REFRESH_WITHIN
            attempt._REPEAT_REFRESH_WITHIN = within
            replies: list[Answer] = [None, TOKENS]
            try:
                async with (
                    Server(lambda _request, left=replies: left.pop(0)) as server,  # type: ignore[misc]
                    Client(server.address) as client,
                ):
                    call = client.refresh_token(refresh_token="r", idempotency_key=None)
                    result = (await asyncio.gather(call, return_exceptions=True))[0]
                    self.assertEqual(len(server.requests), expected)
                    self.assertEqual(isinstance(result, Exception), expected == 1)
            finally:
                attempt._REPEAT_REFRESH_WITHIN = before

    async def test_the_number_of_calls_is_bounded(self) -> None:
        async with Client("127.0.0.1:1", Config(max_calls=3)) as client:
            waiting = [asyncio.create_task(client.ping(deadline=0.2)) for _ in range(3)]
            await asyncio.sleep(0)
            with self.assertRaises(TooManyCalls):
                await client.ping()
            await asyncio.gather(*waiting, return_exceptions=True)

    async def test_an_error_is_not_retried_on_another_node_if_it_was_refused(self) -> None:
        refused = messages.ErrorReply(code=0x0303, message="no")
        async with (
            Server(lambda _request: refused) as first,
            Server(lambda _request: refused) as second,
            Client([first.address, second.address]) as client,
        ):
            with self.assertRaises(ServerError):
                await client.get_user(access_token="t")
            self.assertEqual(len(first.requests) + len(second.requests), 1)

    async def test_a_refusal_does_not_wait_for_a_node_that_is_stuck(self) -> None:
        for code in (0x0301, 0x0501):
            refused = messages.ErrorReply(code=code, message="no")
            async with (
                Server(lambda _request: STALLED) as stuck,
                Server(lambda _request, reply=refused: reply) as healthy,  # type: ignore[misc]
                Client([stuck.address, healthy.address]) as client,
            ):
                await asyncio.gather(*(client.ping() for _ in range(8)))
                loop = asyncio.get_running_loop()
                # The stuck node may count as slow, and be avoided, for a while.
                while not stuck.requests:
                    began = loop.time()
                    with self.assertRaises(ServerError) as caught:
                        await client.get_user(access_token="t", deadline=20)
                    self.assertEqual(caught.exception.code, code)
                    self.assertLess(loop.time() - began, 5)

    async def test_a_wrong_argument_is_reported_without_a_server_and_without_the_secrets(
        self,
    ) -> None:
        secret = "".join(("a long ", "passphrase"))
        async with Client("127.0.0.1:1") as client:
            cases: list[tuple[dict[str, Any], str]] = [
                ({"client_address": "localhost"}, "client_address is not an IP address"),
                ({"client_address": 7}, "client_address has the type int"),
                ({"idempotency_key": b"short"}, "idempotency_key has 5 bytes; expected 16"),
                ({"idempotency_key": bytes(16)}, "expected 16 random bytes"),
                ({"traceparent": 7}, "traceparent has the type int"),
                ({"login": None}, "login is missing"),
                ({"login": "\ud800"}, "login is not valid Unicode"),
                ({"device": "d" * 70_000}, "device has 70000 bytes"),
                ({"deadline": "5"}, "deadline has the type str; expected a number of seconds"),
                ({"deadline": -1}, "invalid deadline -1"),
                ({"deadline": float("nan")}, "invalid deadline nan"),
                # From JSON that nobody has checked.
                ({"password": 1_000_000_000}, "password: a secret has the type int"),
                ({"password": [65]}, "password: a secret has the type list"),
                ({"password": None}, "password: a secret has the type NoneType"),
            ]
            for arguments, expected in cases:
                fields: Any = {"login": "ada", "password": Secret(secret), **arguments}
                with self.assertRaises(InvalidRequest) as caught:
                    await client.login(**fields)
                self.assertIn(expected, str(caught.exception))
                self.assertEqual(caught.exception.outcome, "not_done")
                self.assertNotIn(secret, everything_in(caught.exception))

    async def test_no_error_of_a_call_leads_to_a_token(self) -> None:
        cut = codec.encode_message(TOKENS)[:-1]
        pending = asyncio.get_running_loop().create_future()
        pending.set_result(Answered(messages.TokenRefreshed.TYPE, b"a token"))
        self.assertNotIn("token", repr(pending))
        attempts: Any = Attempts.__new__(Attempts)
        attempts._request = messages.RefreshToken(refresh_token=Secret("r"))
        with self.assertRaises(BadReply) as caught:
            attempts._read(Answered(messages.TokenRefreshed.TYPE, cut.replace(b"a", b"secret")))
        self.assertNotIn("secret", everything_in(caught.exception))

    async def test_what_one_node_cannot_answer_another_may(self) -> None:
        broken = messages.ErrorReply(code=0x0602, message="no database")
        async with (
            Server(lambda _request: broken) as first,
            Server(lambda _request: messages.LoggedOut(sessions_ended=1)) as second,
            Client([first.address, second.address]) as client,
        ):
            await client.ping()
            while not all(node.connected for node in client.status()):
                await asyncio.sleep(0.01)
            for _ in range(8):
                self.assertEqual((await client.logout(token="t")).sessions_ended, 1)
            # Without a key, it is unknown whether it was executed.
            errors: list[ServerError] = []
            while not errors:
                # A node may count as slow, and be avoided, for a while.
                results = await asyncio.gather(
                    *(client.logout(token="t", idempotency_key=None) for _ in range(8)),
                    return_exceptions=True,
                )
                errors = [result for result in results if isinstance(result, ServerError)]
            self.assertEqual({error.outcome for error in errors}, {"unknown"})


class Paused(LiveTest):
    async def test_reads_move_away_from_a_node_that_stops_responding(self) -> None:
        first, second = (await self.bed("cluster"))["nodes"]
        async with Client([first["address"], second["address"]]) as client:
            ada = await new_account(self.bed, client)
            await asyncio.gather(*(client.ping() for _ in range(8)))
            await self.bed("pause", node=first["node"])
            loop = asyncio.get_running_loop()
            for _ in range(30):
                began = loop.time()
                user = await client.get_user(access_token=ada.access_token)
                self.assertEqual(user.username, ada.username)
                self.assertLess(loop.time() - began, 4)
            self.assertTrue(any(node.slow for node in client.status()))
            await self.bed("resume", node=first["node"])
            for _ in range(400):
                if not any(node.slow for node in client.status()):
                    return
                await asyncio.sleep(0.05)
            raise AssertionError(client.status())


if __name__ == "__main__":
    unittest.main()
