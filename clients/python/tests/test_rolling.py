"""A rolling restart of two nodes under load: no call that may be repeated fails."""

from __future__ import annotations

import asyncio
import sys
import unittest
from collections import Counter
from typing import Any

from support import PASSWORD, Account, LiveTest, new_account

from user_service import Client
from user_service.verifier import Verifier


class Load:
    """Tasks that call the service until they are stopped."""

    def __init__(
        self, client: Client, accounts: list[Account], verifier: Verifier, without_keys: bool
    ) -> None:
        self.client, self.accounts, self.verifier = client, accounts, verifier
        self.done: Counter[str] = Counter()
        self.failed: list[str] = []
        self.slowest = 0.0
        self._is_running = True
        self._tasks = [
            asyncio.create_task(self._repeat(action, account))
            for account in accounts
            for action in (self.read, self.change, self.check, *([self.once] * without_keys))
        ]

    async def _repeat(self, action: Any, account: Account) -> None:
        loop = asyncio.get_running_loop()
        while self._is_running:
            began = loop.time()
            try:
                await action(account)
                self.done[action.__name__] += 1
            except Exception as error:
                self.failed.append(f"{action.__name__}: {type(error).__name__}: {error}")
            self.slowest = max(self.slowest, loop.time() - began)
            # A user may open 100 sessions an hour.
            await asyncio.sleep(0.15 if action in (self.change, self.once) else 0.02)

    async def read(self, account: Account) -> None:
        verified = await self.client.verify_token(access_token=account.access_token)
        assert verified.user_id == account.user_id
        user = await self.client.get_user(access_token=account.access_token)
        assert user.username == account.username

    async def change(self, account: Account) -> None:
        # The client makes the idempotency keys.
        session = await self.client.login(login=account.username, password=PASSWORD)
        refreshed = await self.client.refresh_token(refresh_token=session.refresh_token)
        ended = await self.client.logout(token=refreshed.access_token)
        assert ended.sessions_ended == 1, ended

    async def once(self, account: Account) -> None:
        session = await self.client.login(
            login=account.username, password=PASSWORD, idempotency_key=None
        )
        ended = await self.client.logout(token=session.access_token, idempotency_key=None)
        assert ended.sessions_ended == 1, ended

    async def check(self, account: Account) -> None:
        verified = await self.verifier.verify(account.access_token)
        assert verified.session_id == account.session_id

    async def stop(self) -> None:
        self._is_running = False
        await asyncio.gather(*self._tasks)


class RollingRestart(LiveTest):
    async def test_of_two_nodes_with_two_addresses(self) -> None:
        await self.roll(signals=("TERM", "TERM"), addresses=2)

    async def test_of_two_nodes_that_are_killed(self) -> None:
        await self.roll(signals=("KILL", "KILL"), addresses=2)

    async def test_of_one_node_with_one_address(self) -> None:
        await self.roll(signals=("TERM",), addresses=1)

    async def roll(self, signals: tuple[str, ...], addresses: int) -> None:
        settings = {"TOKEN_SIGNING": "EdDSA", "DRAIN_DELAY": "0", "GRACE": "5"}
        nodes = (await self.bed("cluster", nodes=addresses, settings=settings))["nodes"]
        async with Client([node["address"] for node in nodes]) as client:
            accounts = [await new_account(self.bed, client) for _ in range(4)]
            async with Verifier(client) as verifier:
                await verifier.wait_until_complete(5)
                # A server that shuts down answers what it has read, and refuses the rest. After a
                # kill, only requests with a key may be repeated.
                load = Load(client, accounts, verifier, without_keys="KILL" not in signals)
                await asyncio.sleep(0.5)
                for node, name in zip(nodes, signals, strict=True):
                    await self.bed("stop", node=node["node"], signal=name)
                    await asyncio.sleep(0.3)
                    await self.bed("again", node=node["node"])
                    await asyncio.sleep(0.9)
                await load.stop()
                self.assertEqual(load.failed, [])
                print(f"{dict(load.done)}, slowest {load.slowest:.2f} s", file=sys.stderr)
                for action in ("read", "change", "check"):
                    self.assertGreater(load.done[action], 5, load.done)
                self.assertLess(load.slowest, 8)


if __name__ == "__main__":
    unittest.main()
