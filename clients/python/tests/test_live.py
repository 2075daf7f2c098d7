"""The client against a live server."""

from __future__ import annotations

import asyncio
import unittest
from uuid import UUID

from support import PASSWORD, LiveTest, new_account

from user_service import (
    Client,
    Config,
    ConnectError,
    DeadlineExceeded,
    ErrorCode,
    PlaintextRefused,
    ServerError,
    Tls,
    TlsError,
)


class Live(LiveTest):
    async def test_every_request_of_an_account(self) -> None:
        node = await self.bed("start")
        async with Client(node["address"]) as client:
            pong = await client.ping()
            self.assertEqual(pong.max_in_flight, 256)
            ada = await new_account(self.bed, client)
            user = await client.get_user(access_token=ada.access_token)
            self.assertEqual((user.username, user.email), (ada.username, ada.email))
            session = await client.login(
                login=ada.username, password=PASSWORD, device="a test", client_address="203.0.113.7"
            )
            verified = await client.verify_token(access_token=session.access_token)
            self.assertEqual(verified.session_id, session.session_id)
            refreshed = await client.refresh_token(refresh_token=session.refresh_token)
            self.assertEqual(refreshed.session_id, session.session_id)
            ended = await client.end_session(
                access_token=ada.access_token, session_id=session.session_id
            )
            self.assertEqual(ended.sessions_ended, 1)
            with self.assertRaises(ServerError) as caught:
                await client.verify_token(access_token=session.access_token)
            self.assertEqual(caught.exception.code, ErrorCode.SESSION_REVOKED)
            self.assertEqual(caught.exception.outcome, "refused")

            updated = await client.update_user(
                access_token=ada.access_token,
                email="new-" + ada.email,
                current_password=PASSWORD,
            )
            self.assertIsInstance(updated.verification_id, UUID)
            assert updated.verification_id
            code = await self.bed("code", email="new-" + ada.email)
            confirmed = await client.confirm_email(
                access_token=ada.access_token,
                verification_id=updated.verification_id,
                code=code["code"],
            )
            self.assertEqual(confirmed.email, "new-" + ada.email)

            reset = await client.request_password_reset(email=confirmed.email)
            code = await self.bed("code", email=confirmed.email, count=2)
            done = await client.reset_password(
                verification_id=reset.verification_id,
                code=code["code"],
                new_password="another long passphrase 9",
            )
            self.assertGreaterEqual(done.sessions_ended, 1)
            session = await client.login(login=ada.username, password="another long passphrase 9")
            logged_out = await client.logout(token=session.access_token, all_sessions=True)
            self.assertEqual(logged_out.sessions_ended, 1)
            session = await client.login(login=ada.username, password="another long passphrase 9")
            deleted = await client.delete_user(
                access_token=session.access_token, current_password="another long passphrase 9"
            )
            self.assertEqual(deleted.user_id, ada.user_id)

    async def test_the_same_key_makes_a_change_once(self) -> None:
        node = await self.bed("start")
        async with Client(node["address"]) as client:
            ada = await new_account(self.bed, client)
            key = bytes(range(16))
            first, second = [
                await client.login(login=ada.username, password=PASSWORD, idempotency_key=key)
                for _ in range(2)
            ]
            self.assertEqual(first.session_id, second.session_id)
            third = await client.login(login=ada.username, password=PASSWORD)
            self.assertNotEqual(third.session_id, first.session_id)

    async def test_errors_of_the_service_and_of_the_deadline(self) -> None:
        node = await self.bed("start")
        async with Client(node["address"]) as client:
            with self.assertRaises(ServerError) as caught:
                await client.login(login="nobody", password="wrong password")
            error = caught.exception
            self.assertEqual((error.name, error.outcome), ("INVALID_CREDENTIALS", "refused"))
            self.assertNotIn("wrong password", str(error))
            with self.assertRaises(DeadlineExceeded) as expired:
                await client.ping(deadline=0)
            self.assertEqual(expired.exception.outcome, "not_done")
            await self.bed("pause", node=node["node"])
            with self.assertRaises(DeadlineExceeded) as expired:
                await client.ping(deadline=0.3)
            self.assertEqual(expired.exception.outcome, "unknown")
            await self.bed("resume", node=node["node"])
            await client.ping()

    async def test_a_thousand_calls_share_a_connection_and_stay_in_the_windows(self) -> None:
        node = await self.bed("start", settings={"MAX_IN_FLIGHT": "8", "MAX_HASHING": "2"})
        async with Client(node["address"]) as client:
            await client.ping()
            await asyncio.gather(*(client.ping(deadline=30) for _ in range(1000)))
            logins = [
                client.login(
                    login=f"nobody{number}",
                    password="wrong password",
                    client_address=f"10.0.0.{number}",
                )
                for number in range(20)
            ]
            errors = await asyncio.gather(*logins, return_exceptions=True)
            # Above the limit, the server would answer BUSY.
            codes = {error.name for error in errors if isinstance(error, ServerError)}
            self.assertEqual(codes, {"INVALID_CREDENTIALS"})

    async def test_a_call_waits_for_a_server_that_restarts(self) -> None:
        node = await self.bed("start")
        async with Client(node["address"]) as client:
            ada = await new_account(self.bed, client)
            await self.bed("stop", node=node["node"], signal="KILL")
            waiting = asyncio.create_task(client.get_user(access_token=ada.access_token))
            await asyncio.sleep(0.3)
            self.assertFalse(waiting.done())
            await self.bed("again", node=node["node"])
            self.assertEqual((await waiting).username, ada.username)

    async def test_without_a_server_a_call_fails_at_once_or_at_its_deadline(self) -> None:
        port = (await self.bed("free_port"))["port"]
        address = f"127.0.0.1:{port}"
        loop = asyncio.get_running_loop()
        async with Client(address, Config(wait_for_server=False)) as client:
            for _ in range(2):
                began = loop.time()
                with self.assertRaises(ConnectError) as caught:
                    await client.ping()
                self.assertEqual(caught.exception.outcome, "not_done")
                self.assertLess(loop.time() - began, 0.5)
        async with Client([address, address]) as client:
            began = loop.time()
            with self.assertRaises(ConnectError):
                await client.ping(deadline=0.5)
            self.assertAlmostEqual(loop.time() - began, 0.5, delta=0.2)

    async def test_secrets_are_sent_in_plain_text_only_to_loopback(self) -> None:
        async with Client("192.0.2.1:3001") as client:
            with self.assertRaises(PlaintextRefused):
                await client.login(login="ada", password=PASSWORD)

    async def test_a_long_request_and_a_cancelled_one(self) -> None:
        node = await self.bed("start")
        async with Client(node["address"]) as client:
            with self.assertRaises(ServerError) as caught:
                await client.login(login="ada", password="p" * 60_000)
            self.assertEqual(caught.exception.code, ErrorCode.INVALID_CREDENTIALS)
            await self.bed("pause", node=node["node"])
            call = asyncio.create_task(client.ping())
            await asyncio.sleep(0.05)
            call.cancel()
            await self.bed("resume", node=node["node"])
            await client.ping()


class LiveTls(LiveTest):
    async def test_tls_with_client_certificates(self) -> None:
        files = await self.bed("tls")
        other = await self.bed("tls")
        node = await self.bed("start", tls=files["folder"], client_certificates=True)
        own = {"certificate": files["client_certificate"], "key": files["client_key"]}
        async with Client(node["address"], Config(tls=Tls(ca=files["ca"], **own))) as client:
            self.assertEqual((await client.ping()).max_in_flight, 256)
            await asyncio.gather(*(client.ping() for _ in range(500)))
            with self.assertRaises(ServerError) as caught:
                await client.login(login="ada", password="p" * 60_000)
            self.assertEqual(caught.exception.code, ErrorCode.INVALID_CREDENTIALS)
        foreign = {"certificate": other["client_certificate"], "key": other["client_key"]}
        cases = [
            (Tls(ca=files["ca"]), "requires a client certificate"),
            (Tls(ca=files["ca"], **foreign), "rejected the client certificate"),
            (Tls(ca=other["ca"], **own), "certificate is not valid"),
            (Tls(ca=files["ca"], server_name="other.example", **own), "other.example"),
        ]
        for tls, text in cases:
            with self.subTest(text):
                config = Config(tls=tls, wait_for_server=False)
                async with Client(node["address"], config) as client:
                    with self.assertRaises(TlsError) as rejected:
                        await client.ping()
                    self.assertIn(text, str(rejected.exception))
                    self.assertEqual(rejected.exception.outcome, "not_done")

    async def test_a_client_without_tls_and_a_server_without_tls(self) -> None:
        files = await self.bed("tls")
        node = await self.bed("start", tls=files["folder"])
        async with Client(node["address"]) as client:
            with self.assertRaises(ServerError) as caught:
                await client.ping()
            self.assertEqual(caught.exception.outcome, "unknown")
        plain = await self.bed("start")
        config = Config(tls=Tls(ca=files["ca"]), wait_for_server=False)
        async with Client(plain["address"], config) as client:
            with self.assertRaises(TlsError) as rejected:
                await client.ping()
            self.assertIn("does not use TLS", str(rejected.exception))


if __name__ == "__main__":
    unittest.main()
