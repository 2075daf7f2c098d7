"""The verifier in memory: vectors of tokens, keys, times and revocations."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import unittest
from typing import Any, Optional
from unittest import mock
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support import VECTORS, everything_in

from user_service import (
    Client,
    ClientClosed,
    Config,
    InvalidRequest,
    PlaintextRefused,
    Secret,
    _outage,
)
from user_service._attempt import Answer
from user_service._messages import ErrorReply, GetKeys, Keys, Revocation, Revocations, TokenVerified
from user_service.errors import ConnectionLost, ServerError
from user_service.remote import RemoteVerifier
from user_service.verdict import (
    TokenExpired,
    TokenInvalid,
    TokenRevoked,
    Verified,
    VerifyError,
    VerifyUnavailable,
    token_bytes,
)
from user_service.verifier import Verifier, VerifierConfig, _task
from user_service.verifier._ed25519 import is_strict
from user_service.verifier._follower import RETENTION, Follower
from user_service.verifier._keys import parse_jwks
from user_service.verifier._local import Local
from user_service.verifier._revocations import Revocations as Set
from user_service.verifier._time import ServiceTime
from user_service.verifier._token import decode_base64

SECOND = 1_000_000_000
USER, SESSION = UUID(int=1), UUID(int=2)
SERVICE_NOW = 1_700_000_000


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Signer:
    """A service that signs tokens with EdDSA."""

    def __init__(self, kid: str = "k1") -> None:
        self.kid = kid
        self.key = Ed25519PrivateKey.generate()
        self.x = self.key.public_key().public_bytes_raw()

    def jwk(self, **changes: Any) -> dict[str, Any]:
        jwk: dict[str, Any] = {
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": self.kid,
            "x": encode(self.x).decode(),
        }
        return {**jwk, **changes}

    def token(self, **changes: Any) -> bytes:
        claims = {
            "iss": "user-service",
            "aud": "user-service",
            "sub": str(USER),
            "sid": str(SESSION),
            "jti": str(UUID(int=3)),
            "iat": SERVICE_NOW,
            "exp": SERVICE_NOW + 900,
            **changes,
        }
        return self.sign(
            json.dumps({"typ": "at+jwt", "alg": "EdDSA", "kid": self.kid}), json.dumps(claims)
        )

    def sign(self, header: str, claims: str) -> bytes:
        signed = encode(header.encode()) + b"." + encode(claims.encode())
        return signed + b"." + encode(self.key.sign(signed))


def follow(
    *keys: dict[str, Any], life: int = 900, config: Optional[VerifierConfig] = None
) -> tuple[Local, Follower]:
    """Returns the state after the first answers of a service."""
    local = Local(config or VerifierConfig())
    follower = Follower(local)
    now = time.monotonic_ns()
    jwks = json.dumps({"keys": list(keys)})
    answer = Keys(jwks=jwks, access_life=life, refresh_after=300, now_ms=SERVICE_NOW * 1000)
    assert follower.apply_keys(answer, now, now) == 300
    revoke(follower)
    return local, follower


def revoke(follower: Follower, *rows: tuple[int, bytes, int], stale_ms: int = 0) -> bool:
    now = time.monotonic_ns()
    answer = Revocations(
        cursor=b"c",
        stale_ms=stale_ms,
        more=0,
        now_ms=SERVICE_NOW * 1000,
        entries=tuple(Revocation(kind=kind, id=id_, before=before) for kind, id_, before in rows),
    )
    return follower.apply_revocations(answer, follower.round, now, now)


def verdict(local: Local, token: bytes) -> str:
    try:
        found = local.check(token)
    except VerifyError as error:
        return type(error).__name__
    return "ask" if found is None else "valid"


class TokenVectors(unittest.TestCase):
    def test_the_verdicts_are_those_of_the_service(self) -> None:
        file = json.loads((VECTORS / "tokens.json").read_text())
        local = Local(VerifierConfig(issuer=file["issuer"], audience=file["audience"]))
        follower = Follower(local)
        now = time.monotonic_ns()
        answer = Keys(
            jwks=json.dumps(file["jwks"]),
            access_life=file["access_life"],
            refresh_after=300,
            now_ms=file["now"] * 1000,
        )
        follower.apply_keys(answer, now, now)
        local.set_complete(now)
        names = {
            "OK": ["valid"],
            "TOKEN_EXPIRED": ["TokenExpired"],
            # The service decides about a key or an issuer that the verifier does not know.
            "INVALID_TOKEN": ["TokenInvalid", "ask"],
        }
        asked = set()
        self.assertGreater(len(file["vectors"]), 100)
        for _ in range(2):
            for vector in file["vectors"]:
                with self.subTest(vector["name"]):
                    found = verdict(local, vector["token"].encode())
                    self.assertIn(found, names[vector["verdict"]])
                    if found == "ask":
                        asked.add(vector["name"].split(".", 1)[1])
        self.assertGreater(local.cache_hits, 0)
        expected = {"alg.hs256.kid", "key.unknown", "kid.empty", "claims.iss", "claims.aud"}
        self.assertEqual(asked, expected)


class KeyRules(unittest.TestCase):
    def test_only_keys_that_fit_together_are_used(self) -> None:
        signer = Signer()
        point = json.loads((VECTORS / "tokens.json").read_text())["jwks"]["keys"][1]
        self.assertEqual(
            set(parse_jwks(json.dumps({"keys": [signer.jwk(), point]})) or ()),
            {
                signer.kid,
                point["kid"],
            },
        )
        off_curve = {**point, "y": point["x"]}
        refused: list[dict[str, Any]] = [
            signer.jwk(d=encode(bytes(32)).decode()),
            signer.jwk(k="AAAA"),
            signer.jwk(use="enc"),
            signer.jwk(alg="ES256"),
            signer.jwk(kty="EC"),
            signer.jwk(crv="X25519"),
            signer.jwk(kid=""),
            signer.jwk(kid="k" * 257),
            # Bytes count, not characters.
            signer.jwk(kid="é" * 129),
            signer.jwk(key_ops=["sign"]),
            signer.jwk(x=encode(bytes(32)).decode()),
            signer.jwk(x=encode(bytes([1] + [0] * 31)).decode()),
            signer.jwk(x=encode(signer.x).decode() + "="),
            signer.jwk(x=encode(signer.x[:31]).decode()),
            signer.jwk(x="é"),
            off_curve,
        ]
        for jwk in refused:
            self.assertEqual(parse_jwks(json.dumps({"keys": [jwk]})), {}, jwk)
        other = Signer()
        ambiguous = json.dumps({"keys": [signer.jwk(), other.jwk(), signer.jwk()]})
        self.assertEqual(parse_jwks(ambiguous), {})
        longest = "é" * 128
        self.assertEqual(
            set(parse_jwks(json.dumps({"keys": [signer.jwk(kid=longest)]})) or ()), {longest}
        )
        surrogate = json.dumps({"keys": [signer.jwk(kid="\ud800")]})
        for text in ("[]", "{", '{"keys":{}}', "[" * 100_000, surrogate, '{"keys":[NaN]}'):
            self.assertIsNone(parse_jwks(text))

    def test_points_of_small_order_and_other_encodings_are_refused(self) -> None:
        p = 2**255 - 19
        order_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
        for y in (0, 1, p - 1, order_8, p - order_8, p, p + 1, p + 18):
            for sign in (0, 1 << 255):
                self.assertFalse(is_strict((y | sign).to_bytes(32, "little")), y)
        self.assertTrue(is_strict(Signer().x))
        self.assertTrue(is_strict((2).to_bytes(32, "little")))

    def test_base64_has_one_form(self) -> None:
        self.assertEqual(decode_base64(b"-_8"), b"\xfb\xff")
        for text in (b"-_9", b"-_8=", b"+/8", b"-_ 8", b"-\n_8", b"A", b"AA\xff"):
            with self.assertRaises(ValueError):
                decode_base64(text)


class LocalRules(unittest.TestCase):
    def test_a_revoked_session_user_time_and_key(self) -> None:
        for row, expected in [
            ((1, SESSION.bytes, 0), "TokenRevoked"),
            ((2, USER.bytes, 0), "TokenRevoked"),
            ((3, b"", SERVICE_NOW), "TokenRevoked"),
            ((3, b"", SERVICE_NOW - 1), "valid"),
            ((4, b"k1", 0), "TokenInvalid"),
            ((1, USER.bytes[:15], 0), "ask"),
            ((3, b"x", 0), "ask"),
            ((4, b"", 0), "ask"),
            ((4, b"\xff", 0), "ask"),
            ((5, b"", 0), "ask"),
        ]:
            with self.subTest(row):
                signer = Signer()
                local, follower = follow(signer.jwk())
                token = signer.token()
                self.assertEqual(verdict(local, token), "valid")
                self.assertIs(revoke(follower, row), expected == "TokenInvalid")
                self.assertEqual(verdict(local, token), expected)

    def test_a_kid_of_over_256_bytes_names_no_key(self) -> None:
        for kid, expected in (("k" * 256, "valid"), ("k" * 257, "TokenInvalid")):
            signer, other = Signer(kid), Signer("other")
            local, follower = follow(signer.jwk(), other.jwk())
            self.assertEqual(verdict(local, signer.token()), expected)
            # The entry is left out. It is not one that the verifier does not understand.
            self.assertIs(revoke(follower, (4, kid.encode(), 0)), expected == "valid")
            revoke(follower, (4, b"\xff" * 300, 0))
            self.assertEqual(verdict(local, signer.token()), "TokenInvalid")
            self.assertEqual(verdict(local, other.token()), "valid")

    def test_a_retired_key_stays_retired(self) -> None:
        signer = Signer()
        local, follower = follow(signer.jwk())
        revoke(follower, (4, b"k1", 0))
        now = time.monotonic_ns()
        jwks = json.dumps({"keys": [signer.jwk()]})
        follower.apply_keys(Keys(jwks=jwks, access_life=900, refresh_after=300), now, now)
        self.assertEqual(verdict(local, signer.token()), "TokenInvalid")

    def test_a_key_that_is_not_in_the_last_answer_is_not_used(self) -> None:
        signer, other = Signer(), Signer("k2")
        local, follower = follow(signer.jwk(), other.jwk())
        token = signer.token()
        self.assertEqual(verdict(local, token), "valid")
        now = time.monotonic_ns()
        jwks = json.dumps({"keys": [other.jwk()]})
        follower.apply_keys(Keys(jwks=jwks, access_life=900, refresh_after=300), now, now)
        self.assertEqual(verdict(local, token), "ask")

    def test_the_service_is_asked_about_a_longer_lifetime_and_the_keys_are_due(self) -> None:
        signer = Signer()
        local, follower = follow(signer.jwk())
        wanted: list[None] = []
        local.keys_outdated = lambda: wanted.append(None)
        self.assertEqual(verdict(local, signer.token(exp=SERVICE_NOW + 901)), "ask")
        self.assertEqual(len(wanted), 1)
        # Not about one that is revoked or has expired in any case.
        revoke(follower, (1, SESSION.bytes, 0))
        self.assertEqual(verdict(local, signer.token(exp=SERVICE_NOW + 901)), "TokenRevoked")
        old = signer.token(iat=SERVICE_NOW - 2_000, exp=SERVICE_NOW)
        self.assertEqual(verdict(local, old), "TokenExpired")
        self.assertEqual(len(wanted), 1)
        # A bad signature is refused first.
        forged = signer.token(exp=SERVICE_NOW + 901)[:-4] + b"AAAA"
        self.assertEqual(verdict(local, forged), "TokenInvalid")
        self.assertEqual(verdict(local, Signer("other").token()), "ask")
        self.assertEqual(len(wanted), 2)
        # Entries are not kept for longer than an hour, whatever the service states.
        local, _ = follow(signer.jwk(), life=7_200)
        self.assertEqual(verdict(local, signer.token(exp=SERVICE_NOW + 3_600)), "valid")
        self.assertEqual(verdict(local, signer.token(exp=SERVICE_NOW + 3_601)), "ask")

    def test_old_and_incomplete_knowledge_is_not_used(self) -> None:
        signer = Signer()
        local, follower = follow(signer.jwk())
        token = signer.token()
        self.assertEqual(verdict(local, token), "valid")
        local.complete_at = time.monotonic_ns() - 2 * SECOND
        found = local.check(token)
        assert found is not None and found.stale is not None
        self.assertAlmostEqual(found.stale, 2, delta=0.5)
        local.complete_at = time.monotonic_ns() - 6 * SECOND
        for other in (token, token[:-4] + b"AAAA"):
            self.assertEqual(verdict(local, other), "ask")
        # A stale answer does not make knowledge younger, and not older either.
        revoke(follower, stale_ms=10_000)
        self.assertEqual(verdict(local, token), "ask")
        revoke(follower)
        revoke(follower, stale_ms=10_000)
        self.assertEqual(verdict(local, token), "valid")

    def test_keys_that_cannot_be_read_again_are_not_used(self) -> None:
        signer = Signer()
        local, follower = follow(signer.jwk())
        token = signer.token()
        self.assertEqual(verdict(local, token), "valid")
        jwks = json.dumps({"keys": [signer.jwk()]})
        answer = Keys(jwks=jwks, access_life=900, refresh_after=30)
        for seconds, expected, forged in ((39, "valid", "TokenInvalid"), (41, "ask", "ask")):
            sent = time.monotonic_ns() - seconds * SECOND
            self.assertEqual(follower.apply_keys(answer, sent, time.monotonic_ns()), 30)
            for _ in range(2):
                self.assertEqual(verdict(local, token), expected)
            self.assertEqual(verdict(local, token[:-4] + b"AAAA"), forged)

    def test_too_many_revocations(self) -> None:
        signer = Signer()
        local, follower = follow(signer.jwk(), config=VerifierConfig(max_revocations=2))
        rows = [(1, UUID(int=100 + number).bytes, 0) for number in range(3)]
        revoke(follower, *rows)
        self.assertEqual(verdict(local, signer.token()), "ask")

    def test_the_cache_is_bounded(self) -> None:
        signer = Signer()
        local, _ = follow(signer.jwk(), config=VerifierConfig(cached_tokens=3))
        for number in range(5):
            self.assertEqual(verdict(local, signer.token(jti=str(UUID(int=number)))), "valid")
        self.assertEqual(len(local.cache), 3)

    def test_strange_tokens_are_invalid(self) -> None:
        signer = Signer()
        local, _ = follow(signer.jwk())
        header = json.dumps({"typ": "at+jwt", "alg": "EdDSA", "kid": "k1"})
        good = json.loads(base64.urlsafe_b64decode(signer.token().split(b".")[1] + b"=="))
        text = json.dumps(good)
        for claims in (
            text.replace(f'"iat": {SERVICE_NOW}', '"iat": -0'),
            text.replace(f'"iat": {SERVICE_NOW}', '"iat": true'),
            text.replace(f'"iat": {SERVICE_NOW}', '"iat": 1e3'),
            text.replace(f'"iat": {SERVICE_NOW}', '"iat": NaN'),
            text.replace(f'"iat": {SERVICE_NOW}', '"iat": ' + "9" * 400),
            text.replace(str(SESSION), "urn:uuid:" + str(SESSION)),
            text.replace("user-service", "user\\ud800service", 1),
            "[" * 900,
            "",
        ):
            token = signer.sign(header, claims)
            self.assertEqual(verdict(local, token), "TokenInvalid", claims[:80])
        for header in ("", "{}", "[]", '{"typ":"at+jwt","alg":"EdDSA","kid":"k1","kid":"k1"}'):
            self.assertEqual(verdict(local, signer.sign(header, text)), "TokenInvalid", header)
        for token in (b"", b".", b"..", b"a.b.c", b"x" * 3_000, b"\xff.\xff.\xff"):
            self.assertEqual(verdict(local, token), "TokenInvalid")


class Times(unittest.TestCase):
    def test_a_delay_makes_a_token_expire_earlier_and_never_later(self) -> None:
        clock = ServiceTime(0)
        self.assertEqual(clock.check(10, 20, 0), "expired")
        clock.observe(10_000, 0, 3 * SECOND, 960 * SECOND)
        # The answer may have been written right after the request.
        self.assertEqual(clock.check(10, 20, 9 * SECOND), "current")
        self.assertEqual(clock.check(10, 20, 10 * SECOND), "expired")
        self.assertEqual(clock.check(70, 80, 0), "current")
        self.assertEqual(clock.check(71, 80, 0), "expired")

    def test_after_the_clock_was_set_back_the_service_is_asked(self) -> None:
        clock = ServiceTime(0)
        clock.observe(1_000_000, 0, 0, 960 * SECOND)
        clock.observe(900_000, 0, 0, 960 * SECOND)
        self.assertEqual(clock.check(800, 950, 0), "disputed")
        self.assertEqual(clock.check(800, 899, 0), "expired")
        self.assertEqual(clock.check(800, 1_100, 0), "current")
        clock.observe(1_970_000, 0, 0, 960 * SECOND)
        clock.observe(1_960_000, 0, 0, 960 * SECOND)
        self.assertEqual(clock.check(1_900, 1_965, 0), "disputed")

    def test_a_clock_that_was_ahead_for_a_moment(self) -> None:
        years, kept = 10 * 365 * 86_400, 61 * 60

        def answer(elapsed: int, ahead: int) -> None:
            """Arrives a second after the request."""
            now_ms = (SERVICE_NOW + elapsed + ahead) * 1000
            clock.observe(now_ms, elapsed * SECOND, (elapsed + 1) * SECOND, RETENTION)

        def check(elapsed: int, issued: int) -> str:
            issued += SERVICE_NOW
            return clock.check(issued, issued + 900, elapsed * SECOND)

        clock = ServiceTime(0)
        answer(0, 0)
        self.assertEqual(check(1, 0), "current")
        answer(10, years)
        self.assertEqual(check(11, 0), "expired")
        answer(20, 0)
        self.assertEqual(check(21, 20), "disputed")
        # The time counts from the arrival of the first answer to the sending of the last.
        answer(20 + kept, 0)
        self.assertEqual(check(21 + kept, 20 + kept), "disputed")
        answer(21 + kept, 0)
        self.assertEqual(check(22 + kept, 21 + kept), "current")
        self.assertEqual(check(22 + kept, kept - 900), "expired")
        # Issued while the clock was ahead.
        self.assertEqual(check(22 + kept, years), "expired")

        # If the clock is ahead again in between, the time starts anew.
        clock = ServiceTime(0)
        answer(0, years)
        answer(10, 0)
        answer(1_000, years)
        answer(1_010, 0)
        for elapsed in (11 + kept, 1_010 + kept):
            answer(elapsed, 0)
            self.assertEqual(check(elapsed + 1, elapsed), "disputed")
        # An answer that is ahead drops nothing, even after the time.
        answer(1_011 + kept, years)
        answer(1_012 + kept, 0)
        self.assertEqual(check(1_013 + kept, 1_012 + kept), "disputed")
        answer(1_013 + 2 * kept, 0)
        self.assertEqual(check(1_014 + 2 * kept, 1_013 + 2 * kept), "current")

    def test_entries_are_kept_for_the_longest_lifetime_and_a_minute(self) -> None:
        self.assertEqual(RETENTION, 3_660 * SECOND)
        entries = Set(10)
        entries.add(SESSION.bytes, 5)
        entries.add_all(100, 5)
        entries.add_all(50, 9)
        entries.expire(5)
        self.assertNotIn(SESSION.bytes, entries.ids)
        self.assertTrue(entries.contain(100, USER.bytes, USER.bytes))
        self.assertFalse(entries.contain(101, USER.bytes, USER.bytes))
        entries.expire(9)
        self.assertFalse(entries.contain(100, USER.bytes, USER.bytes))

    def test_an_entry_that_arrives_again_is_kept_for_as_long_again(self) -> None:
        minute = 60 * SECOND
        entries = Set(2)
        one, two, three, four = (bytes([number]) * 16 for number in (1, 2, 3, 4))

        def add(identifier: bytes, minutes: int) -> bool:
            return entries.add(identifier, minutes * minute + RETENTION)

        def expire(minutes: int, *expected: bytes) -> None:
            self.assertEqual(entries.expire(minutes * minute), len(expected) < 2)
            self.assertEqual(set(entries.ids), set(expected))
            for identifier in expected:
                self.assertTrue(entries.contain(0, identifier, USER.bytes))
                self.assertTrue(entries.contain(0, SESSION.bytes, identifier))

        self.assertTrue(add(one, 0))
        self.assertTrue(add(two, 10))
        # Arrivals of ids that are known need no space.
        self.assertFalse(add(three, 20))
        for minutes in (*range(20, 41), 30):
            self.assertTrue(add(one, minutes))
        self.assertFalse(add(three, 40))
        expire(70, one, two)
        # Between its first and its latest arrival, an entry does not keep others.
        expire(71, one)
        self.assertTrue(add(three, 71))
        self.assertFalse(add(four, 71))
        expire(100, one, three)
        expire(101, three)
        expire(132)

    def test_a_session_stays_revoked_if_its_tokens_become_valid_later(self) -> None:
        signer = Signer()
        local, follower = follow(signer.jwk(), life=3_600)
        # Issued while the clock was ahead by half an hour.
        token = signer.token(iat=SERVICE_NOW + 1_800, exp=SERVICE_NOW + 5_400)
        row = Revocation(kind=1, id=SESSION.bytes, before=0)
        start = time.monotonic_ns()
        for minutes, ahead, entries, expected in (
            (0, 30, (row,), "TokenRevoked"),
            (1, 0, (), "ask"),
            (30, 0, (row,), "TokenRevoked"),
            (61, 0, (), "ask"),
            (63, 0, (), "TokenRevoked"),
            (89, 0, (), "TokenRevoked"),
            (91, 0, (), "TokenExpired"),
        ):
            now = start + minutes * 60 * SECOND
            answer = Revocations(
                cursor=b"c",
                stale_ms=0,
                more=0,
                now_ms=(SERVICE_NOW + (minutes + ahead) * 60) * 1000,
                entries=entries,
            )
            with mock.patch.object(time, "monotonic_ns", return_value=now):
                follower.expire()
                follower.apply_revocations(answer, 0, now, now)
                local.keys_until = now + SECOND
                self.assertEqual(verdict(local, token), expected, minutes)
        self.assertEqual(len(local.revocations.ids), 0)


class FakeClient(Client):
    """A client that answers VerifyToken with one result."""

    def __init__(self, result: Any) -> None:
        super().__init__("127.0.0.1:1")
        self.result = result
        self.polled: Optional[Exception] = None
        self.asking: Optional[asyncio.Event] = None
        self.asked = 0

    async def verify_token(self, **_fields: Any) -> Any:
        self.asked += 1
        if self.asking:
            await self.asking.wait()
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    async def poll(self, *_arguments: Any, **_options: Any) -> Any:
        if self.polled:
            raise self.polled
        await asyncio.sleep(60)


def answered(stale_ms: Optional[int] = None) -> TokenVerified:
    return TokenVerified(
        user_id=USER,
        session_id=SESSION,
        issued_at=SERVICE_NOW,
        expires_at=SERVICE_NOW + 900,
        stale_ms=stale_ms,
    )


def refused(code: int) -> ServerError:
    return ServerError(ErrorReply(code=code, message="no"))


class Asking(unittest.IsolatedAsyncioTestCase):
    async def ask(self, result: Any, *rows: tuple[int, bytes, int], jwks: str = "") -> Any:
        signer = Signer()
        verifier = Verifier(FakeClient(result))
        self.addAsyncCleanup(verifier.close)
        follower = Follower(verifier._local)
        if jwks:
            now = time.monotonic_ns()
            follower.apply_keys(Keys(jwks=jwks, access_life=900, refresh_after=300), now, now)
        revoke(follower, *rows)
        verifier._local.complete_at = None
        try:
            return await verifier.verify(signer.token())
        except VerifyError as error:
            return type(error)

    async def test_the_answers_of_the_service(self) -> None:
        self.assertIsInstance(await self.ask(answered()), Verified)
        self.assertEqual((await self.ask(answered(4_000))).stale, 4)
        for result, expected in [
            (answered(5_001), VerifyUnavailable),
            (refused(0x0303), TokenInvalid),
            (refused(0x0304), TokenExpired),
            (refused(0x0305), TokenRevoked),
            (refused(0x03FF), TokenInvalid),
            (refused(0x030A), VerifyUnavailable),
            (refused(0x0602), VerifyUnavailable),
            (refused(0x0501), VerifyUnavailable),
            (refused(0x0102), VerifyUnavailable),
            (ConnectionLost("gone"), VerifyUnavailable),
        ]:
            self.assertIs(await self.ask(result), expected, result)

    async def test_an_outage_is_logged_once_when_it_begins_and_once_when_it_has_ended(self) -> None:
        signer = Signer()
        token = signer.token()
        for checker in (Verifier, RemoteVerifier):
            client = FakeClient(ConnectionLost("gone\nand more"))
            verifier: Any = checker(client)
            self.addAsyncCleanup(verifier.close)
            clock = mock.Mock(return_value=1_000.0)
            with (
                mock.patch.object(_outage, "time", mock.Mock(monotonic=clock)),
                self.assertLogs("user_service") as logs,
            ):
                for _ in range(3):
                    with self.assertRaises(VerifyUnavailable):
                        await verifier.verify(token)
                    clock.return_value += 5
                client.result = answered()
                await verifier.verify(token)
                await verifier.verify(token)
                # An answer that refuses a token ends an outage too, but not at once.
                client.result = refused(0x0602)
                with self.assertRaises(VerifyUnavailable):
                    await verifier.verify(token)
                for later in (0.5, 1.0):
                    clock.return_value += later
                    client.result = refused(0x0303)
                    with self.assertRaises(TokenInvalid):
                        await verifier.verify(token)
            lines = [record.getMessage() for record in logs.records]
            self.assertEqual(
                [line.partition(":")[0].split(",")[0] for line in lines],
                [
                    "access tokens cannot be checked",
                    "access tokens are checked again after 15.0 s",
                    "access tokens cannot be checked",
                    "access tokens are checked again after 1.5 s",
                ],
            )
            self.assertIn("the connection was lost: gone and more", lines[0])
            self.assertIn("in which 3 were not checked", lines[1])
            self.assertNotIn(token.decode(), str(lines))
            self.assertNotIn(token.decode().split(".")[2], str(lines))

    async def test_a_wrong_argument_is_not_an_outage(self) -> None:
        for checker in (Verifier, RemoteVerifier):
            verifier: Any = checker(Client("127.0.0.1:1"))
            self.addAsyncCleanup(verifier.close)
            with self.assertNoLogs("user_service"), self.assertRaises(InvalidRequest):
                await verifier.verify(Signer().token(), client_address="localhost")
            for wrong in (None, 7, ["a"]):
                with self.assertRaises(TypeError):
                    await verifier.verify(wrong)

    async def test_no_error_leads_to_the_token(self) -> None:
        signer = Signer()
        good = signer.token().decode()
        expired = signer.token(iat=SERVICE_NOW - 900, exp=SERVICE_NOW).decode()
        client = FakeClient(ConnectionLost("gone"))
        verifier = Verifier(client)
        self.addAsyncCleanup(verifier.close)
        follower = Follower(verifier._local)
        now = time.monotonic_ns()
        keys = Keys(
            jwks=json.dumps({"keys": [signer.jwk()]}),
            access_life=900,
            refresh_after=300,
            now_ms=SERVICE_NOW * 1000,
        )
        follower.apply_keys(keys, now, now)
        revoke(follower)
        await verifier.verify(good)
        revoke(follower, (1, SESSION.bytes, 0))
        unknown, foreign = Signer("other").token().decode(), good[:-4] + "AAAA"
        remote = RemoteVerifier(client)
        for checker, token, expected in [
            (verifier, good, TokenRevoked),
            (verifier, expired, TokenExpired),
            (verifier, foreign, TokenInvalid),
            (verifier, "x" * 3_000, TokenInvalid),
            (verifier, unknown, VerifyUnavailable),
            (verifier, "\ud800", TokenInvalid),
            (remote, good, VerifyUnavailable),
            (remote, "x" * 3_000, TokenInvalid),
        ]:
            for form in (token, token.encode(errors="replace"), Secret(token_bytes(token))):
                with self.assertRaises(expected) as caught:
                    await checker.verify(form)  # type: ignore[attr-defined]
                found = everything_in(caught.exception)
                for part in token.split("."):
                    self.assertNotIn(part, found)

    async def test_the_status_has_the_reason_of_a_failed_check(self) -> None:
        # No call for keys or revocations has failed.
        client = FakeClient(ConnectionLost("gone"))
        verifier = Verifier(client)
        self.addAsyncCleanup(verifier.close)
        self.assertIsNone(verifier.status().last_error)
        with self.assertLogs("user_service"):
            with self.assertRaises(VerifyUnavailable):
                await verifier.verify(Signer().token())
            self.assertEqual(verifier.status().last_error, str(client.result))
            client.result = answered()
            with mock.patch.object(_outage, "_QUIET", 0.0):
                await verifier.verify(Signer().token())
        self.assertIsNone(verifier.status().last_error)

    async def test_tokens_that_wait_to_be_asked_about(self) -> None:
        client = FakeClient(answered())
        client.asking = asyncio.Event()
        verifier = Verifier(client, VerifierConfig(max_asking=2, ask_timeout=0.2))
        self.addAsyncCleanup(verifier.close)
        token = Signer().token()
        tasks = [asyncio.create_task(verifier.verify(token)) for _ in range(6)]
        await asyncio.sleep(0.01)
        self.assertEqual((client.asked, verifier._waiting), (2, 4))
        tasks[2].cancel()
        tasks[0].cancel()
        await asyncio.sleep(0.01)
        self.assertEqual((client.asked, verifier._waiting), (3, 2))
        results = await asyncio.gather(*tasks[4:], return_exceptions=True)
        self.assertEqual([type(result) for result in results], [VerifyUnavailable] * 2)
        self.assertIn("too many tokens wait", str(results[0]))
        client.asking.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        self.assertEqual(sum(isinstance(result, Verified) for result in results), 2)
        assert verifier._asking
        self.assertEqual((verifier._asking.used, verifier._waiting), (0, 0))

    async def test_a_client_has_one_verifier(self) -> None:
        client = Client("127.0.0.1:1")
        first = Verifier(client)
        with self.assertRaises(ValueError) as caught:
            Verifier(client)
        self.assertIn("share that one, close it first, or create another", str(caught.exception))
        await first.close()
        second = Verifier(client)
        await first.close()
        with self.assertRaises(ValueError):
            Verifier(client)
        await second.close()

    async def test_wrong_arguments_are_refused_with_what_was_expected(self) -> None:
        verifier: Any = Verifier
        config: Any = VerifierConfig
        client = Client("127.0.0.1:1")
        cases: list[tuple[Any, str]] = [
            (lambda: verifier("127.0.0.1:3001"), "client has the type str; expected Client"),
            (
                lambda: verifier(client, Config()),
                "config has the type Config; expected VerifierCon",
            ),
            (lambda: verifier(client, issuer="x"), "Verifier(..., VerifierConfig(issuer=...))"),
            (lambda: config(isuer="x"), "did you mean 'issuer'?"),
            (lambda: config(issuer=None), "issuer has the type NoneType; expected str"),
            (lambda: config(age_limit=0), "invalid age_limit 0"),
            (
                lambda: config(wait=6),
                "invalid wait 6: expected a number of seconds, more than 0 an",
            ),
            (lambda: config(max_asking=0), "invalid max_asking 0: expected an integer, at least 1"),
            (lambda: RemoteVerifier("a"), "client has the type str; expected Client"),  # type: ignore[arg-type]
        ]
        for call, expected in cases:
            with self.assertRaises((TypeError, ValueError)) as caught:
                call()
            self.assertIn(expected, str(caught.exception))
        with self.assertRaises(PlaintextRefused) as refusal:
            Verifier(Client("users.internal"))
        self.assertIn("users.internal", str(refusal.exception))
        # None of these counts as the verifier of the client.
        await Verifier(client).close()

    async def test_the_loops_survive_a_fault_and_end_with_the_client(self) -> None:
        client = FakeClient(answered())
        client.polled = RuntimeError("a bug")
        with mock.patch.object(_task, "_RESTART_AFTER", 0.001):
            verifier = Verifier(client)
            self.addAsyncCleanup(verifier.close)
            with self.assertLogs("user_service", "ERROR") as logs:
                verifier.start()
                await asyncio.sleep(0.05)
            self.assertEqual(len(logs.records), 1)
            self.assertEqual(verifier.status().last_error, "RuntimeError: a bug")
            client.polled = refused(0x030A)
            with self.assertLogs("user_service") as logs:
                await asyncio.sleep(0.3)
            self.assertEqual(len(logs.records), 1)
            self.assertIn("TRUSTED_PEERS", logs.output[0])
            client.polled = ClientClosed()
            assert verifier._task
            done, _ = await asyncio.wait(verifier._task._tasks[:1], timeout=2)
            self.assertTrue(done)

    async def test_answers_without_entries_are_not_requested_in_a_loop(self) -> None:
        client = FakeClient(answered())
        count = 0

        async def poll(request: Any, **_options: Any) -> Any:
            nonlocal count
            reply: Any = Keys(jwks='{"keys":[]}', access_life=900, refresh_after=300)
            if not isinstance(request, GetKeys):
                count += 1
                reply = Revocations(cursor=b"c", stale_ms=0, more=1, now_ms=1, entries=())
            await asyncio.sleep(0)
            return Answer(reply, mock.Mock(), time.monotonic_ns())

        with mock.patch.object(client, "poll", poll):
            verifier = Verifier(client)
            verifier.start()
            await asyncio.sleep(0.2)
            await verifier.close()
        self.assertTrue(0 < count < 50, count)

    async def test_another_issuer_is_left_to_the_service_and_logged_once(self) -> None:
        signer = Signer()
        local, _ = follow(signer.jwk(), config=VerifierConfig(issuer="other", audience="apps"))
        with self.assertLogs("user_service") as logs:
            for _ in range(3):
                self.assertEqual(verdict(local, signer.token()), "ask")
        self.assertEqual(len(logs.records), 1)
        self.assertIn("the issuer 'user-service' and the audience 'user-service'", logs.output[0])
        self.assertIn("'other' and 'apps'", logs.output[0])
        # Nobody else can cause this line.
        local, _ = follow(signer.jwk(), config=VerifierConfig(issuer="other"))
        with self.assertNoLogs("user_service"):
            self.assertEqual(verdict(local, signer.token()[:-4] + b"AAAA"), "TokenInvalid")

    async def test_a_service_without_public_keys_decides_how_old_its_knowledge_may_be(self) -> None:
        self.assertEqual((await self.ask(answered(6_000), jwks='{"keys":[]}')).stale, 6)
        some = json.dumps({"keys": [Signer().jwk()]})
        self.assertIs(await self.ask(answered(6_000), jwks=some), VerifyUnavailable)

    async def test_the_revocations_of_the_verifier_count_too(self) -> None:
        for row, expected in [
            ((1, SESSION.bytes, 0), TokenRevoked),
            ((2, USER.bytes, 0), TokenRevoked),
            ((3, b"", SERVICE_NOW), TokenRevoked),
            ((4, b"k1", 0), TokenInvalid),
        ]:
            self.assertIs(await self.ask(answered(), row), expected)


if __name__ == "__main__":
    unittest.main()
