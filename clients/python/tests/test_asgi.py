"""The ASGI middleware, behind a small HTTP server and with a live service."""

from __future__ import annotations

import asyncio
import json
import unittest
from typing import Any, Optional

from support import LiveTest, close_server, new_account

from user_service import Client, InvalidRequest
from user_service.asgi import AuthMiddleware, peer_address, user_id, verified
from user_service.remote import RemoteVerifier
from user_service.verdict import Verified, VerifyUnavailable
from user_service.verifier import Verifier


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the user of the request."""
    found = verified(scope)
    body = json.dumps({"user": str(user_id(scope)) if found else None}).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class HttpServer:
    """As much of HTTP/1.1 and ASGI as the tests need."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self.port = 0

    async def __aenter__(self) -> HttpServer:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: Any) -> None:
        await close_server(self._server)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
        length = [int(line[16:]) for line in head if line.startswith(b"Content-Length: ")]
        content = await reader.readexactly(length[0] if length else 0)
        method, path, _ = head[0].split(b" ")
        headers = [
            (name.lower(), value.strip())
            for name, _, value in (line.partition(b":") for line in head[1:] if line)
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "method": method.decode(),
            "path": path.decode(),
            "headers": headers,
            "client": writer.get_extra_info("peername"),
        }

        async def receive() -> Any:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\n" % message["status"])
                for name, value in message["headers"]:
                    writer.write(name + b": " + value + b"\r\n")
                writer.write(b"\r\n")
            else:
                writer.write(message["body"])

        await self._app(scope, receive, send)
        await writer.drain()
        writer.close()

    async def get(self, path: str, *headers: str) -> tuple[int, dict[str, str], Any]:
        return await self.request("GET", path, None, *headers)

    async def request(
        self, method: str, path: str, body: Any, *headers: str
    ) -> tuple[int, dict[str, str], Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        content = "" if body is None else json.dumps(body)
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
        lines += [f"Content-Length: {len(content)}", "", content]
        writer.write("\r\n".join(lines).encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        status, *rest = head.decode().split("\r\n")
        found = dict(line.split(": ", 1) for line in rest)
        return int(status.split(" ")[1]), found, json.loads(body)


class Middleware(LiveTest):
    async def test_an_application_with_a_verifier_and_a_live_service(self) -> None:
        node = await self.bed("start", settings={"TOKEN_SIGNING": "EdDSA"})
        async with Client(node["address"]) as client:
            ada = await new_account(self.bed, client)
            token = ada.access_token.reveal()
            for checker in (Verifier(client), RemoteVerifier(client)):
                with self.subTest(type(checker).__name__):
                    app = AuthMiddleware(application, checker, public=["/health"])
                    async with HttpServer(app) as server:
                        await self.check(server, token, str(ada.user_id))
                    await checker.close()
            checker = RemoteVerifier(client, timeout=0.3)
            async with HttpServer(AuthMiddleware(application, checker)) as server:
                await client.logout(token=token)
                status, headers, body = await server.get("/", f"Authorization: Bearer {token}")
                self.assertEqual((status, body), (401, {"error": "session_revoked"}))
                self.assertIn("invalid_token", headers["www-authenticate"])
                await self.bed("stop", node=node["node"], signal="KILL")
                status, headers, body = await server.get("/", f"Authorization: Bearer {token}")
                self.assertEqual((status, headers["retry-after"]), (503, "1"))

    async def check(self, server: HttpServer, token: str, user: str) -> None:
        for header in (f"Authorization: Bearer {token}", f"authorization: bearer {token}"):
            status, _, body = await server.get("/", header)
            self.assertEqual((status, body), (200, {"user": user}))
        status, headers, body = await server.get("/")
        self.assertEqual((status, headers["www-authenticate"]), (401, "Bearer"))
        for authorization in ("Bearer wrong", f"Basic {token}", "Bearer", f"Bearer {token}x"):
            status, headers, _ = await server.get("/", f"Authorization: {authorization}")
            self.assertEqual(status, 401, authorization)
            self.assertEqual(headers["cache-control"], "no-store")
        both = (f"Authorization: Bearer {token}", "Authorization: Bearer x")
        self.assertEqual((await server.get("/", *both))[0], 401)
        # A public path: with and without a token.
        self.assertEqual((await server.get("/health"))[2], {"user": None})
        status, _, body = await server.get("/health", f"Authorization: Bearer {token}")
        self.assertEqual((status, body), (200, {"user": user}))
        self.assertEqual((await server.get("/health/x"))[0], 401)


class FakeChecker:
    async def verify(self, token: Any, *, client_address: Optional[str] = None) -> Verified:
        self.client_address = client_address
        raise VerifyUnavailable

    async def close(self) -> None:
        pass


class Scopes(unittest.IsolatedAsyncioTestCase):
    async def drive(
        self, scope: Any, app: Optional[Any] = None, checker: Optional[Any] = None, **options: Any
    ) -> list[Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        checker = checker or FakeChecker()
        await AuthMiddleware(app or application, checker, **options)(scope, receive, send)
        return sent

    async def test_a_websocket_is_refused_before_it_is_accepted(self) -> None:
        scope: Any = {"type": "websocket", "path": "/", "headers": []}
        sent = await self.drive(scope)
        self.assertEqual([message["type"] for message in sent], ["websocket.close"])
        scope["extensions"] = {"websocket.http.response": {}}
        scope["headers"] = [(b"authorization", b"Bearer x")]
        sent = await self.drive(scope)
        self.assertEqual(sent[0]["type"], "websocket.http.response.start")
        self.assertEqual(sent[0]["status"], 503)

    async def test_the_address_of_the_end_user_is_passed_on(self) -> None:
        scope: Any = {"type": "http", "path": "/", "headers": [(b"authorization", b"Bearer x")]}
        for client, expected in ((("192.0.2.7", 80), "192.0.2.7"), (None, None), (("x", 0), None)):
            checker = FakeChecker()
            await self.drive(
                {**scope, "client": client}, checker=checker, client_address=peer_address
            )
            self.assertEqual(checker.client_address, expected)
        checker = FakeChecker()
        await self.drive({**scope, "client": ("192.0.2.7", 80)}, checker=checker)
        self.assertIsNone(checker.client_address)

    async def test_wrong_arguments_are_refused_at_construction(self) -> None:
        make: Any = AuthMiddleware
        checker = FakeChecker()

        async def is_public(_scope: Any) -> bool:
            return False

        cases: list[tuple[Any, str]] = [
            (lambda: make(application), "missing a required argument: 'verifier'"),
            (
                lambda: make(None, checker),
                "app has the type NoneType; expected an ASGI application",
            ),
            (lambda: make(application, Client("a")), "verifier is Client; expected an object of"),
            (lambda: make(application, FakeChecker), "verifier is FakeChecker; expected an object"),
            (lambda: make(application, checker, public="login"), "public contains 'login'"),
            (lambda: make(application, checker, public=["/a/*"]), "public contains '/a/*'"),
            (lambda: make(application, checker, public=[b"/"]), "public contains the type bytes"),
            (
                lambda: make(application, checker, public=7),
                "public has the type int; expected path",
            ),
            # Its result would be true for every request.
            (lambda: make(application, checker, public=is_public), "public is an async function"),
            (lambda: make(application, checker, client_address="x"), "client_address has the type"),
            (lambda: make(application, checker, client_address=is_public), "is an async function"),
            (
                lambda: make(application, checker, exclude=["/"]),
                "no option 'exclude': expected app",
            ),
        ]
        for call, expected in cases:
            with self.assertRaises((TypeError, ValueError)) as caught:
                call()
            self.assertIn(expected, str(caught.exception))

    async def test_wrong_functions_pass_no_request_on(self) -> None:
        async def is_public(_scope: Any) -> bool:
            return False

        async def app(_scope: Any, _receive: Any, _send: Any) -> None:
            raise AssertionError("the request was passed on")

        scope: Any = {"type": "http", "path": "/", "headers": []}
        with self.assertRaises(TypeError):
            await self.drive(scope, app, public=lambda scope: is_public(scope))
        scope["headers"] = [(b"authorization", b"Bearer a.b.c")]
        # Not 503: the next attempt fails in the same way.
        with self.assertRaises(InvalidRequest):
            remote = RemoteVerifier(Client("127.0.0.1:1"))
            await self.drive(scope, app, remote, client_address=lambda _scope: "x")

    async def test_other_scopes_pass_and_no_one_else_sets_the_user(self) -> None:
        seen: list[Any] = []

        async def app(scope: Any, _receive: Any, _send: Any) -> None:
            seen.append(scope)

        await self.drive({"type": "lifespan"}, app)
        self.assertEqual(seen, [{"type": "lifespan"}])
        with self.assertRaises(LookupError):
            user_id({"type": "http", "user_service": "forged"})


if __name__ == "__main__":
    unittest.main()
