"""The configuration of a verifier."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VerifierConfig:
    """Configuration of a verifier. Times are in seconds."""

    issuer: str = "user-service"
    """Expected `iss` claim: JWT_ISSUER of the service. It is asked about a token with another."""
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
