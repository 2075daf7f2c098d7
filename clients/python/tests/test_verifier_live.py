"""The verifier against live servers: faults, revocations and keys."""

from __future__ import annotations

import asyncio
import time
import unittest
from typing import Any, Optional

from support import LiveTest, new_account

from user_service import Client
from user_service.verifier import (
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
    Verifier,
    VerifierConfig,
    VerifyError,
)

REFUSED = (TokenInvalid, TokenExpired, TokenRevoked)


async def verdict(verifier: Verifier, token: Any) -> str:
    try:
        await verifier.verify(token)
    except VerifyError as error:
        return type(error).__name__
    return "valid"


async def until(verifier: Verifier, token: Any, expected: str, limit: float = 2.0) -> float:
    """Waits until the verdict is the expected one, and returns the seconds that it took."""
    began = time.monotonic()
    while (found := await verdict(verifier, token)) != expected:
        if time.monotonic() - began > limit:
            raise AssertionError(f"{found} after {limit} s; expected {expected}")
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def until_ready(verifier: Verifier, limit: float = 5.0) -> None:
    began = time.monotonic()
    while not verifier.ready:
        if time.monotonic() - began > limit:
            raise AssertionError(f"not ready after {limit} s: {verifier.status()}")
        await asyncio.sleep(0.01)


class VerifierLive(LiveTest):
    def verifier(self, *nodes: Any, config: Optional[VerifierConfig] = None) -> Verifier:
        client = Client([node["address"] for node in nodes])
        self.addAsyncCleanup(client.close)
        verifier = Verifier(client, config)
        verifier.start()
        self.addAsyncCleanup(verifier.close)
        return verifier

    async def client(self, *nodes: Any) -> Client:
        client = Client([node["address"] for node in nodes])
        self.addAsyncCleanup(client.close)
        return client

    async def test_tokens_are_checked_in_memory_until_their_session_ends(self) -> None:
        for algorithm in ("EdDSA", "ES256"):
            with self.subTest(algorithm):
                node = await self.bed("start", settings={"TOKEN_SIGNING": algorithm})
                client = await self.client(node)
                ada = await new_account(self.bed, client, node["node"])
                eve = await new_account(self.bed, client, node["node"])
                verifier = self.verifier(node)
                self.assertTrue(await verifier.wait_until_complete(5))
                for _ in range(3):
                    found = await verifier.verify(ada.access_token)
                self.assertEqual((found.user_id, found.session_id), (ada.user_id, ada.session_id))
                status = verifier.status()
                self.assertEqual((status.asked, status.cache_hits, status.valid), (0, 2, 3))
                await client.logout(token=ada.access_token)
                self.assertLess(await until(verifier, ada.access_token, "TokenRevoked"), 2)
                self.assertEqual(await verdict(verifier, eve.access_token), "valid")
                self.assertEqual(await verdict(verifier, "not a token"), "TokenInvalid")
                self.assertEqual(await verdict(verifier, "\ud800\u20ac"), "TokenInvalid")
                forged = eve.access_token.reveal()[:-4] + "AAAA"
                self.assertEqual(await verdict(verifier, forged), "TokenInvalid")
                self.assertEqual(verifier.status().asked, 0)
                await client.delete_user(
                    access_token=eve.access_token,
                    current_password="correct horse battery staple 7",
                )
                self.assertLess(await until(verifier, eve.access_token, "TokenRevoked"), 2)

    async def test_a_service_with_secret_keys_is_asked(self) -> None:
        node = await self.bed("start", settings={"TOKEN_SIGNING": "HS256"})
        client = await self.client(node)
        ada = await new_account(self.bed, client)
        verifier = self.verifier(node)
        self.assertEqual(await verdict(verifier, ada.access_token), "valid")
        self.assertFalse(verifier.ready)
        await client.logout(token=ada.access_token)
        self.assertEqual(await verdict(verifier, ada.access_token), "TokenRevoked")
        self.assertGreaterEqual(verifier.status().asked, 2)

    async def test_a_stopped_node_of_two_leaves_tokens_checked_and_revocable(self) -> None:
        first, second = (await self.bed("cluster", settings={"TOKEN_SIGNING": "EdDSA"}))["nodes"]
        client = await self.client(first, second)
        ada = await new_account(self.bed, client)
        eve = await new_account(self.bed, client)
        verifier = self.verifier(first, second)
        await until_ready(verifier)
        for paused, other in ((first, second), (second, first)):
            await self.bed("pause", node=paused["node"])
            began = time.monotonic()
            while time.monotonic() - began < 1.5:
                self.assertEqual(await verdict(verifier, eve.access_token), "valid")
                await asyncio.sleep(0.02)
            self.assertTrue(verifier.ready)
            if paused is first:
                # Revoked on the node that still runs.
                direct = await self.client(other)
                await direct.logout(token=ada.access_token)
                self.assertLess(await until(verifier, ada.access_token, "TokenRevoked", 4), 3)
            await self.bed("resume", node=paused["node"])
        self.assertLess(verifier.status().age or 9, 5)

    async def test_a_stopped_single_node_makes_tokens_unavailable_and_never_invalid(self) -> None:
        node = await self.bed("start", settings={"TOKEN_SIGNING": "EdDSA"})
        client = await self.client(node)
        ada = await new_account(self.bed, client)
        verifier = self.verifier(node, config=VerifierConfig(age_limit=1.5, ask_timeout=0.5))
        await until_ready(verifier)
        await self.bed("pause", node=node["node"])
        seen = []
        began = time.monotonic()
        while time.monotonic() - began < 3:
            seen.append(await verdict(verifier, ada.access_token))
            await asyncio.sleep(0.05)
        self.assertEqual(set(seen), {"valid", "VerifyUnavailable"})
        # Once unavailable, no token is accepted by old knowledge.
        self.assertEqual(set(seen[seen.index("VerifyUnavailable") :]), {"VerifyUnavailable"})
        await self.bed("resume", node=node["node"])
        await until(verifier, ada.access_token, "valid", 3)
        await until_ready(verifier)

    async def test_after_a_restart_revocations_and_keys_are_known_again(self) -> None:
        for name in ("TERM", "KILL"):
            with self.subTest(name):
                node = await self.bed("start", settings={"TOKEN_SIGNING": "EdDSA"})
                client = await self.client(node)
                ada = await new_account(self.bed, client, node["node"])
                eve = await new_account(self.bed, client, node["node"])
                verifier = self.verifier(node)
                await until_ready(verifier)
                await self.bed("stop", node=node["node"], signal=name)
                await self.bed("again", node=node["node"])
                await client.logout(token=ada.access_token)
                self.assertLess(await until(verifier, ada.access_token, "TokenRevoked", 6), 4)
                self.assertEqual(await verdict(verifier, eve.access_token), "valid")
                await until_ready(verifier)

    async def test_all_nodes_down(self) -> None:
        node = await self.bed("start", settings={"TOKEN_SIGNING": "EdDSA"})
        client = await self.client(node)
        ada = await new_account(self.bed, client)
        verifier = self.verifier(node, config=VerifierConfig(age_limit=1.0, ask_timeout=0.3))
        await until_ready(verifier)
        await self.bed("stop", node=node["node"], signal="KILL")
        self.assertEqual(await verdict(verifier, ada.access_token), "valid")
        await until(verifier, ada.access_token, "VerifyUnavailable", 3)
        await self.bed("again", node=node["node"])
        await until(verifier, ada.access_token, "valid", 8)

    async def test_a_retired_key(self) -> None:
        first, second = (await self.bed("cluster", settings={"TOKEN_SIGNING": "EdDSA"}))["nodes"]
        client = await self.client(first, second)
        ada = await new_account(self.bed, client)
        verifier = self.verifier(first, second)
        await until_ready(verifier)
        self.assertEqual(await verdict(verifier, ada.access_token), "valid")
        listed = await self.bed("server", node=first["node"], arguments=["keys", "list"])
        kid = next(
            line.split()[0]
            for line in listed["stdout"].splitlines()
            if " EdDSA " in line and " signs" in line
        )
        retired = await self.bed(
            "server", node=first["node"], arguments=["keys", "retire", kid, "--force"]
        )
        self.assertEqual(retired["exit_code"], 0, retired["stderr"])
        self.assertLess(await until(verifier, ada.access_token, "TokenInvalid", 4), 3)

    async def test_a_change_of_the_algorithm_at_a_restart(self) -> None:
        first, second = (await self.bed("cluster", settings={"TOKEN_SIGNING": "EdDSA"}))["nodes"]
        client = await self.client(first, second)
        ada = await new_account(self.bed, client)
        verifier = self.verifier(first, second)
        await until_ready(verifier)
        for node in (first, second):
            await self.bed("restart", node=node["node"], settings={"TOKEN_SIGNING": "ES256"})
        session = await client.login(login=ada.username, password="correct horse battery staple 7")
        self.assertEqual(await verdict(verifier, session.access_token), "valid")
        self.assertEqual(await verdict(verifier, ada.access_token), "valid")
        await until_ready(verifier)
        self.assertEqual(verifier.status().keys, 2)


if __name__ == "__main__":
    unittest.main()
