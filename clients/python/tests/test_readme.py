"""The examples of README.md and of the folder examples, as they are."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Any

from support import CLIENT, PASSWORD, LiveTest
from test_asgi import HttpServer

from user_service import Client

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
        for _ in range(200):
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

    async def test_the_example_with_starlette(self) -> None:
        if not has("starlette"):
            raise unittest.SkipTest("starlette is missing")
        server = await self.serve((CLIENT / "examples" / "starlette_app.py").read_text())
        session = await self.ada()
        for password, expected in (("wrong password", 401), (PASSWORD, 200)):
            body = json.dumps({"login": "ada", "password": password})
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(
                f"POST /login HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
            self.assertIn(f" {expected} ".encode(), head.split(b"\r\n")[0])
            writer.close()
        token = json.loads(answer)["access_token"]
        status, _, me = await server.get("/me", f"Authorization: Bearer {token}")
        self.assertEqual((status, me), (200, {"user": str(session.user_id)}))
        self.assertEqual((await server.get("/me"))[0], 401)

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
        text = BLOCKS[2]
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
        exec(self.here(BLOCKS[3]), found)
        self.assertEqual(await found["check"](session.access_token.reveal()), 200)
        self.assertEqual(await found["check"]("not a token"), 401)
        await self.bed("stop", node=self.node["node"], signal="KILL")
        self.assertEqual(await found["check"](session.access_token.reveal()), 503)


if __name__ == "__main__":
    unittest.main()
