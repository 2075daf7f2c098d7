"""The check in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import time
from typing import Callable, Optional, Union

from .._outage import logger
from ..remote import MAX_TOKEN
from ..verdict import TokenExpired, TokenInvalid, TokenRevoked, Verified
from ._config import VerifierConfig
from ._keys import Keys
from ._revocations import Revocations
from ._time import ServiceTime
from ._token import Claims, OtherIssuer, Token

# Age in nanoseconds of the revocations over which a verdict states it.
_STALE_AFTER = 1_000_000_000


class Local:
    """Keys, revocations and cache of a verifier.

    A check reads `complete_at` and `keys_until` first, then keys and revocations, and the clock
    last. The follower writes in the opposite order. So by the clock reading, the check has seen
    every revocation that the service knew at `complete_at`, even if another thread runs in between.
    """

    def __init__(self, config: VerifierConfig) -> None:
        self.config = config
        self.keys = Keys()
        self.revocations = Revocations(config.max_revocations)
        self.time = ServiceTime(time.monotonic_ns())
        # Time at which the revocations were complete, or `None`.
        self.complete_at: Optional[int] = None
        # Time until which the keys are used if they are not read again.
        self.keys_until = 0
        # Lifetime of an access token in seconds, as the service has stated it.
        self.access_life = 0
        # `True` after an entry that this version does not understand.
        self.has_unknown_entry = False
        # `True` if the service signs with HS256, or does not let this client verify tokens. Every
        # verdict is then that of the service, with the staleness that its operator allows.
        self.is_left_to_service = False
        self.keys_outdated: Callable[[], None] = lambda: None
        self.valid = self.invalid = self.expired = self.revoked = 0
        self.cache_hits = self.asked = self.unavailable = 0
        self._is_reported = False
        self._age_limit = int(config.age_limit * 1e9)
        # By the SHA-256 of the token: generation of the keys, content, and ids as bytes.
        self.cache: dict[bytes, tuple[int, Verified, bytes, bytes]] = {}

    def set_complete(self, at: int) -> None:
        """Declares that the revocations contain everything that the service knew at this time.

        Entries are never removed early, so an earlier statement stays true, and the later counts.
        """
        self.complete_at = at if self.complete_at is None else max(self.complete_at, at)

    def age(self) -> Optional[float]:
        """Returns the age of the revocations in seconds, or `None` while they are incomplete."""
        if self.complete_at is None:
            return None
        return max(0, time.monotonic_ns() - self.complete_at) / 1e9

    @property
    def is_ready(self) -> bool:
        """`True` if tokens are checked in memory."""
        age = self.age()
        return bool(
            self.keys.current
            and not self.has_unknown_entry
            and age is not None
            and age <= self.config.age_limit
            and time.monotonic_ns() < self.keys_until
        )

    def check(self, token: bytes) -> Optional[Verified]:
        """Checks a token in memory. Raises VerifyError.

        Returns `None` if the service must be asked.
        """
        if len(token) > MAX_TOKEN:
            del token
            self.invalid += 1
            raise TokenInvalid
        complete_at, keys_until = self.complete_at, self.keys_until
        if complete_at is None or self.has_unknown_entry:
            return None
        generation = self.keys.generation
        digest = hashlib.sha256(token).digest()
        cached = self.cache.get(digest)
        if cached is not None and cached[0] == generation:
            self.cache_hits += 1
            token = b""
            _, verified, session_id, user_id = cached
        else:
            claims = self._verify_signature(token)
            # The frames of the errors below do not contain it.
            token = b""
            if claims is None:
                return None
            if isinstance(claims, TokenInvalid):
                now = time.monotonic_ns()
                if now - complete_at > self._age_limit or now >= keys_until:
                    return None
                self.invalid += 1
                raise claims
            verified = Verified(
                claims.user_id, claims.session_id, claims.issued_at, claims.expires_at
            )
            session_id, user_id = claims.session_id.bytes, claims.user_id.bytes
            self._insert(digest, (generation, verified, session_id, user_id))
        issued_at, expires_at = verified.issued_at, verified.expires_at
        is_revoked = self.revocations.contain(issued_at, session_id, user_id)
        now = time.monotonic_ns()
        age = now - complete_at
        if age > self._age_limit or now >= keys_until:
            return None
        timing = self.time.check(issued_at, expires_at, now)
        if timing == "expired":
            self.expired += 1
            raise TokenExpired
        if timing == "disputed":
            return None
        if is_revoked:
            self.revoked += 1
            raise TokenRevoked
        if expires_at - issued_at > self.access_life:
            # The lifetime may have been changed.
            self.keys_outdated()
            return None
        self.valid += 1
        if age > _STALE_AFTER:
            return dataclasses.replace(verified, stale=age / 1e9)
        return verified

    def _verify_signature(self, token: bytes) -> Union[Claims, TokenInvalid, None]:
        """Returns the claims of a genuine token, or `None` if the service must be asked."""
        parsed = Token.parse(token)
        if parsed is None:
            return TokenInvalid()
        key = self.keys.current.get(parsed.kid)
        if key is None:
            if parsed.kid in self.keys.revoked:
                return TokenInvalid()
            self.keys_outdated()
            return None
        if parsed.alg != key.alg or not key.verify(parsed.signed, parsed.signature):
            return TokenInvalid()
        try:
            claims = parsed.read_claims(self.config.issuer, self.config.audience)
        except OtherIssuer as other:
            # The configuration of this verifier may be wrong, so the service decides.
            self._report(other)
            return None
        return TokenInvalid() if claims is None else claims

    def _report(self, other: OtherIssuer) -> None:
        """Logs the first genuine token with another issuer or audience."""
        if not self._is_reported:
            self._is_reported = True
            logger.warning(
                "an access token has the issuer %r and the audience %r, and VerifierConfig has %r "
                "and %r: the service is asked about every such token",
                other.issuer,
                other.audience,
                self.config.issuer,
                self.config.audience,
            )

    def _insert(self, digest: bytes, entry: tuple[int, Verified, bytes, bytes]) -> None:
        maximum = max(1, self.config.cached_tokens)
        if len(self.cache) >= maximum:
            # The oldest ones, and several at once: the start of a dict is slow to find.
            for old in list(itertools.islice(self.cache, 1 + maximum // 8)):
                del self.cache[old]
        self.cache[digest] = entry
