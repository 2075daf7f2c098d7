"""What the tests share: paths, the test bed, and accounts."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
import traceback
import unittest
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

CLIENT = Path(__file__).resolve().parent.parent
CLIENTS = CLIENT.parent
REPOSITORY = CLIENTS.parent
VECTORS = REPOSITORY / "user-proto" / "vectors"
if not os.environ.get("USER_SERVICE_INSTALLED"):
    sys.path.insert(0, str(CLIENT / "src"))

from user_service import Client, Secret  # noqa: E402

PASSWORD = "correct horse battery staple 7"


async def close_server(server: asyncio.Server) -> None:
    """Closes a server.

    asyncio opens a connection in a task, and leaves its socket open if the server is closed before
    that task runs.
    """

    def is_opening(task: asyncio.Task[Any]) -> bool:
        return getattr(task.get_coro(), "__name__", "") == "_accept_connection2"

    while any(map(is_opening, asyncio.all_tasks())):
        await asyncio.sleep(0)
    server.close()


class TestBed:
    """The process of clients/testbed.py. Its commands are documented there."""

    __test__ = False

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls) -> TestBed:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(CLIENTS / "testbed.py"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 24,
        )
        return cls(process)

    async def _read(self) -> None:
        assert self._process.stdout
        while line := await self._process.stdout.readline():
            answer = json.loads(line)
            future = self._waiting.pop(answer["id"])
            if not future.done():
                future.set_result(answer)

    async def __call__(self, op: str, **arguments: Any) -> Any:
        """Runs a command. Skips the test if a tool is missing."""
        number = next(self._ids)
        future = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin
        line = json.dumps({"id": number, "op": op, **arguments})
        self._process.stdin.write(line.encode() + b"\n")
        answer = await asyncio.wait_for(future, 120)
        if "missing" in answer:
            raise unittest.SkipTest(f"{answer['missing']} is missing")
        if "error" in answer:
            raise AssertionError(f"{op}: {answer['error']}")
        return answer["ok"]

    async def stop(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()
        self._reading.cancel()


@dataclass
class Account:
    """A user with an open session."""

    username: str
    email: str
    user_id: Any
    session_id: Any
    access_token: Secret
    refresh_token: Secret


def everything_in(error: BaseException) -> str:
    """Returns what a report of an error may contain: texts, and locals of the client's frames."""
    found: list[str] = []
    one: Optional[BaseException] = error
    while one is not None:
        found.append(repr(one))
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if "user_service" in frame.f_code.co_filename:
                found.append(repr(frame.f_locals))
        # Also the one that `from None` hides, which a reporter may follow.
        one = one.__cause__ or one.__context__
    return "\n".join(found)


_numbers = itertools.count(1)


async def new_account(bed: TestBed, client: Client, node: Optional[str] = None) -> Account:
    """Registers a user, and verifies the email address."""
    name = f"ada{os.getpid()}x{next(_numbers)}"
    email = f"{name}@example.org"
    registered = await client.register(username=name, email=email, password=PASSWORD)
    code = (await bed("code", email=email, **({"node": node} if node else {})))["code"]
    verified = await client.verify_email(verification_id=registered.verification_id, code=code)
    return Account(
        name,
        email,
        verified.user_id,
        verified.session_id,
        verified.access_token,
        verified.refresh_token,
    )


class LiveTest(unittest.IsolatedAsyncioTestCase):
    """A test with a test bed of its own."""

    async def asyncSetUp(self) -> None:
        # The debug mode of unittest takes more time than the client.
        asyncio.get_running_loop().set_debug(False)
        self.bed = await TestBed.start()
        self.addAsyncCleanup(self.bed.stop)
