"""The examples of README.md and of the folder examples, as they are."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import os
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

from support import CLIENT, PASSWORD, VECTORS, LiveTest
from test_asgi import HttpServer, application

from user_service import Client, Config, ServerError
from user_service.asgi import AuthMiddleware
from user_service.verifier import Verifier

BLOCKS = [
    block.partition("```")[0]
    for block in (CLIENT / "README.md").read_text().split("```python\n")[1:]
]
SOURCE = "" if os.environ.get("USER_SERVICE_INSTALLED") else str(CLIENT / "src")


def has(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


class Readme(LiveTest):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.node = await self.bed("start", settings={"TOKEN_SIGNING": "EdDSA"})
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def here(self, text: str) -> str:
        """Returns an example with the address of the test's server."""
        return text.replace("127.0.0.1:3001", self.node["address"])

    async def ada(self) -> Any:
        async with Client(self.node["address"]) as client:
            registered = await client.register(
                username="ada", email="ada@example.org", password=PASSWORD
            )
            code = (await self.bed("code", email="ada@example.org"))["code"]
            return await client.verify_email(verification_id=registered.verification_id, code=code)

    async def run_program(self, *arguments: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": SOURCE},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )

        async def end() -> None:
            if process.returncode is None:
                process.terminate()
                await process.communicate()

        self.addAsyncCleanup(end)
        return process

    async def serve(self, text: str) -> HttpServer:
        """Starts an application with uvicorn, and returns a client of it."""
        if not has("uvicorn"):
            raise unittest.SkipTest("uvicorn is missing")
        (self.folder / "app.py").write_text(self.here(text))
        server = HttpServer(None)
        server.port = (await self.bed("free_port"))["port"]
        await self.run_program("-m", "uvicorn", "app:app", "--port", str(server.port))
        for _ in range(1200):
            try:
                await server.get("/")
                return server
            except OSError:
                await asyncio.sleep(0.05)
        raise AssertionError("uvicorn does not start")

    async def check(self, text: str) -> None:
        server = await self.serve(text)
        session = await self.ada()
        token = session.access_token.reveal()
        status, headers, _ = await server.get("/")
        self.assertEqual((status, headers["www-authenticate"]), (401, "Bearer"))
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        request = f"GET / HTTP/1.0\r\nAuthorization: Bearer {token}\r\n\r\n"
        writer.write(request.encode())
        self.assertIn(f"hello {session.user_id}\n".encode(), await reader.read())
        writer.close()

    async def test_the_first_lines_protect_a_service(self) -> None:
        self.assertLessEqual(len(BLOCKS[0].splitlines()), 10)
        await self.check(BLOCKS[0])

    async def test_the_example_app(self) -> None:
        await self.check((CLIENT / "examples" / "app.py").read_text())

    async def routes(self, server: HttpServer) -> None:
        """Logs in, asks who it is, and logs out."""
        session = await self.ada()
        wrong = {"login": "ada", "password": "wrong password"}
        status, headers, body = await server.request("POST", "/login", wrong)
        self.assertEqual((status, body["error"]), (401, "invalid_credentials"))
        self.assertEqual(headers["www-authenticate"], "Bearer")
        # A number would be a mistake of the program, which has to check its input.
        status, _, body = await server.request("POST", "/login", {"login": "ada", "password": 7})
        self.assertEqual((status, body["error"]), (500, "internal"))
        right = {"login": "ada", "password": PASSWORD}
        status, _, tokens = await server.request("POST", "/login", right)
        self.assertEqual((status, tokens.get("token_type")), (200, None))
        bearer = f"Authorization: Bearer {tokens['access_token']}"
        status, _, me = await server.get("/me", bearer)
        self.assertEqual((status, me), (200, {"user": str(session.user_id)}))
        for headers_of in ((), (bearer + "x",)):
            self.assertEqual((await server.get("/me", *headers_of))[0], 401)
        self.assertEqual((await server.request("POST", "/logout", None))[0], 401)
        self.assertEqual((await server.request("POST", "/logout", None, bearer))[0], 200)
        began = time.monotonic()
        while (await server.get("/me", bearer))[0] != 401:
            self.assertLess(time.monotonic() - began, 2)
            await asyncio.sleep(0.02)
        async with Client(self.node["address"]) as client:
            # The session of the registration is another one.
            await client.get_user(access_token=session.access_token)

    async def test_the_routes_with_starlette(self) -> None:
        if not has("starlette"):
            raise unittest.SkipTest("starlette is missing")
        await self.routes(await self.serve(BLOCKS[2]))

    async def test_the_middleware_can_be_added(self) -> None:
        if not has("starlette"):
            raise unittest.SkipTest("starlette is missing")
        # As with FastAPI, which is derived from Starlette.
        option = "    middleware=[Middleware(AuthMiddleware, verifier=Verifier(client), public="
        before, _, after = BLOCKS[2].partition(option)
        text = before + after.partition(")],\n")[2]
        text += 'app.add_middleware(AuthMiddleware, verifier=Verifier(client), public=["/login"])\n'
        text += "from starlette.middleware.cors import CORSMiddleware\n"
        text += 'app.add_middleware(CORSMiddleware, allow_origins=["*"])\n'
        server = await self.serve(text)
        await self.routes(server)
        preflight = ("Origin: http://a.example", "Access-Control-Request-Method: GET")
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        lines = ["OPTIONS /me HTTP/1.0", *preflight, "", ""]
        writer.write("\r\n".join(lines).encode())
        self.assertIn(b" 200 ", await reader.readline())
        writer.close()

    async def test_the_routes_without_a_framework(self) -> None:
        found: dict[str, Any] = {}
        exec(self.here((CLIENT / "examples" / "asgi_app.py").read_text()), found)
        async with HttpServer(found["app"]) as server:
            await self.routes(server)
            self.assertEqual((await server.get("/login"))[0], 404)
        messages: list[str] = []

        async def receive() -> Any:
            return {"type": "lifespan.startup" if not messages else "lifespan.shutdown"}

        async def send(message: Any) -> None:
            messages.append(message["type"])

        await found["app"]({"type": "lifespan"}, receive, send)
        self.assertEqual(messages, ["lifespan.startup.complete", "lifespan.shutdown.complete"])

    async def test_the_example_with_starlette(self) -> None:
        if not has("starlette"):
            raise unittest.SkipTest("starlette is missing")
        server = await self.serve((CLIENT / "examples" / "starlette_app.py").read_text())
        await self.routes(server)
        eve = {"username": "eve", "email": "eve@example.org", "password": PASSWORD}
        status, _, body = await server.request("POST", "/register", eve)
        self.assertEqual(status, 201)
        code = (await self.bed("code", email="eve@example.org"))["code"]
        form = {**body, "code": "000000" if code != "000000" else "111111"}
        status, _, body = await server.request("POST", "/verify-email", form)
        self.assertEqual((status, body["error"]), (400, "invalid_code"))
        _, _, tokens = await server.request("POST", "/verify-email", {**form, "code": code})
        form = {"refresh_token": tokens["refresh_token"]}
        status, _, fresh = await server.request("POST", "/refresh", form)
        self.assertEqual(status, 200)
        bearer = f"Authorization: Bearer {fresh['access_token']}"
        self.assertEqual((await server.get("/me", bearer))[0], 200)

    async def test_the_calls(self) -> None:
        for before, expected in (("try again\n", False), ("ada\n", True)):
            if expected:
                await self.ada()
            (self.folder / "calls.py").write_text(self.here(BLOCKS[1]))
            process = await self.run_program("calls.py")
            output, _ = await process.communicate()
            self.assertEqual((output.decode(), process.returncode), (before, 0))

    async def test_the_options(self) -> None:
        files = await self.bed("tls")
        text = BLOCKS[3]
        for name, path in (
            ("ca.pem", files["ca"]),
            ("client.pem", files["client_certificate"]),
            ("client.key", files["client_key"]),
        ):
            text = text.replace(f'"{name}"', repr(path))
        found: dict[str, Any] = {}
        exec(text, found)
        self.assertIn("users-2.internal:3001", repr(found["client"]))

    async def test_the_verifier(self) -> None:
        session = await self.ada()
        found: dict[str, Any] = {}
        exec(self.here(BLOCKS[4]), found)
        self.assertEqual(await found["check"](session.access_token.reveal()), 200)
        self.assertEqual(await found["check"]("not a token"), 401)
        await self.bed("stop", node=self.node["node"], signal="KILL")
        self.assertEqual(await found["check"](session.access_token.reveal()), 503)

    async def test_an_outage(self) -> None:
        session = await self.ada()
        token = session.access_token.reveal()
        for wait_for_server in (True, False):
            client = Client(self.node["address"], Config(wait_for_server=wait_for_server))
            self.addAsyncCleanup(client.close)
            verifier = Verifier(client)
            self.addAsyncCleanup(verifier.close)
            self.assertTrue(await verifier.wait_until_complete(5))
            async with HttpServer(AuthMiddleware(application, verifier)) as server:
                bearer = f"Authorization: Bearer {token}"
                await self.bed("stop", node=self.node["node"], signal="KILL")
                self.assertEqual((await server.get("/", bearer))[0], 200)
                self.assertEqual(verifier.status().asked, 0)
                # Lets four seconds pass, and then one more.
                local = verifier._local
                assert local.complete_at is not None
                local.complete_at -= 4_000_000_000
                self.assertEqual((await server.get("/", bearer))[0], 200)
                local.complete_at -= 1_000_000_000
                with self.assertLogs("user_service") as logs:
                    began = time.monotonic()
                    answers = await asyncio.gather(*(server.get("/", bearer) for _ in range(5)))
                    took = time.monotonic() - began
                    for status, headers, _ in answers:
                        self.assertEqual((status, headers["retry-after"]), (503, "1"))
                    if wait_for_server:
                        self.assertGreater(took, 2.9)
                        self.assertLess(took, 4.5)
                    else:
                        self.assertLess(took, 2)
                    self.assertIsNotNone(verifier.status().last_error)
                    await self.bed("again", node=self.node["node"])
                    await asyncio.sleep(1)
                    while (await server.get("/", bearer))[0] != 200:
                        await asyncio.sleep(0.1)
                    await server.get("/", bearer)
                self.assertEqual(len(logs.records), 2, logs.output)
                self.assertNotIn(token, str(logs.output))

    async def test_the_table_of_methods(self) -> None:
        protocol = json.loads((VECTORS / "protocol.json").read_text())
        replies = {reply["name"]: reply for reply in protocol["replies"]}
        rows = {}
        for line in (CLIENT / "README.md").read_text().splitlines():
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if len(cells) == 4 and cells[0].startswith("`"):
                rows[cells[0].strip("`")] = cells[1:]
        self.assertEqual(len(rows), len(protocol["requests"]))
        for request in protocol["requests"]:
            name = "".join(f"_{c.lower()}" if c.isupper() else c for c in request["name"])[1:]
            arguments, reply, _ = rows[name]
            expected = {
                f"`{field['name']}`" if field["required"] else f"*`{field['name']}`*"
                for field in request["fields"]
            }
            self.assertEqual(set(arguments.split(", ")) - {""}, expected, name)
            fields = [f"`{field['name']}`" for field in replies[request["reply"]]["fields"]]
            self.assertEqual(reply.split(", "), fields, name)
            parameters = inspect.signature(getattr(Client, name)).parameters
            names = {field["name"] for field in request["fields"]}
            options = {"deadline", "idempotency_key", "client_address", "traceparent"}
            self.assertEqual(set(parameters), names | options | {"self"})

    async def test_the_lines_to_try_it(self) -> None:
        environment = {"USER_CLI_ADDR": self.node["address"]}

        async def cli(*arguments: str, stdin: str = "") -> str:
            done = await self.bed(
                "cli", arguments=list(arguments), environment=environment, stdin=stdin
            )
            self.assertEqual(done["exit_code"], 0, done)
            output: str = done["stdout"]
            return output

        async with Client(self.node["address"]) as client:
            lines = (CLIENT / "README.md").read_text().splitlines()
            commands = [
                line.partition("#")[0].split() for line in lines if line.startswith("    user-cli ")
            ]
            self.assertEqual(
                [command[1] for command in commands], ["register", "verify-email", "logout"]
            )
            await cli(*commands[0][1:], "--password-stdin", stdin=PASSWORD + "\n")
            code = (await self.bed("code", email="ada@example.org"))["code"]
            await cli(*[code if part == "CODE" else part for part in commands[1][1:]])
            token = (await cli("token")).strip()
            self.assertEqual((await client.get_user(access_token=token)).username, "ada")
            await cli(*commands[2][1:])
            with self.assertRaises(ServerError):
                await client.verify_token(access_token=token)


if __name__ == "__main__":
    unittest.main()
