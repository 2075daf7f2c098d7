"""The configuration of a verifier."""

from __future__ import annotations

from dataclasses import dataclass

from .._checks import expect_count, expect_number, expect_type, known_options
from .._messages import MAX_WAIT_MS


@known_options
@dataclass(frozen=True)
class VerifierConfig:
    """Configuration of a verifier. Times are in seconds."""

    issuer: str = "user-service"
    """Expected `iss` claim: JWT_ISSUER of the service. It is asked about a genuine token with
    another one, and its answer counts; the first is reported to the logger `user_service`."""
    audience: str = "user-service"
    """Expected `aud` claim: JWT_AUDIENCE of the service."""
    age_limit: float = 5.0
    """Age of the revocations from which on the service is asked for every token."""
    wait: float = 0.3
    """Time for which a server waits for a revocation before it answers; at most 5 s. It sends a
    revocation at once, whatever this time is."""
    cached_tokens: int = 100_000
    """Number of tokens with a verified signature that are cached, at about 600 bytes each."""
    max_revocations: int = 1_000_000
    """Number of revocations that are stored. If there are more, the service is asked."""
    ask_timeout: float = 3.0
    """Time limit for asking the service about one token."""
    max_asking: int = 128
    """Number of tokens about which the service is asked at the same time. Further ones wait, up to
    `ask_timeout`."""

    def __post_init__(self) -> None:
        for name in ("issuer", "audience"):
            expect_type("VerifierConfig", name, getattr(self, name), str)
        for name in ("age_limit", "ask_timeout"):
            expect_number("VerifierConfig", name, getattr(self, name))
        expect_number("VerifierConfig", "wait", self.wait, maximum=MAX_WAIT_MS / 1000)
        for name in ("cached_tokens", "max_revocations", "max_asking"):
            expect_count("VerifierConfig", name, getattr(self, name))
