"""Parsing of access tokens: JWTs in the compact form, of the type `at+jwt`.

The header has exactly the members `typ`, `alg` and `kid`, and every claim is required, with its
type and not twice. The spelling of the JSON does not matter. base64 is accepted in its one
canonical form only.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn, Optional
from uuid import UUID

from .._messages import MAX_INSTANT
from ..remote import MAX_TOKEN

# Longest kid in bytes.
MAX_KID = 256
_TYPE = "at+jwt"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


class OtherIssuer(Exception):
    """A genuine token for another issuer or audience."""

    def __init__(self, issuer: str, audience: str) -> None:
        super().__init__(issuer, audience)
        self.issuer, self.audience = issuer, audience


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims that a verifier uses."""

    user_id: UUID
    session_id: UUID
    issued_at: int
    expires_at: int


class _Invalid(ValueError):
    pass


@dataclass(slots=True)
class Token:
    """A token that has been split, with its decoded header. Nothing in it has been verified."""

    signed: bytes
    claims: bytes
    signature: bytes
    kid: str
    alg: str

    @classmethod
    def parse(cls, token: bytes) -> Optional[Token]:
        """Splits a token. Returns `None` if it is not an access token."""
        parts = token.split(b".")
        if len(token) > MAX_TOKEN or len(parts) != 3:
            return None
        try:
            header = _members(decode_base64(parts[0]))
            signature = decode_base64(parts[2])
        except _Invalid:
            return None
        if sorted(name for name, _ in header) != ["alg", "kid", "typ"]:
            return None
        values = dict(header)
        if values["typ"] != _TYPE or not all(type(value) is str for value in values.values()):
            return None
        if len(values["kid"].encode()) > MAX_KID:
            return None
        signed = parts[0] + b"." + parts[1]
        return cls(signed, parts[1], signature, values["kid"], values["alg"])

    def read_claims(self, issuer: str, audience: str) -> Optional[Claims]:
        """Returns the claims, or `None` if one is missing or malformed.

        The signature must have been verified. Raises OtherIssuer.
        """
        try:
            members = _members(decode_base64(self.claims))
            found: dict[str, Any] = {}
            for name, value in members:
                if name in found and name in _CLAIMS:
                    return None
                found[name] = value
            for name, kind in _CLAIMS.items():
                if type(found.get(name)) is not kind:
                    return None
            if found["iss"] != issuer or found["aud"] != audience:
                raise OtherIssuer(found["iss"], found["aud"])
            _uuid(found["jti"])
            return Claims(
                _uuid(found["sub"]),
                _uuid(found["sid"]),
                _instant(found["iat"]),
                _instant(found["exp"]),
            )
        except _Invalid:
            return None


_CLAIMS: dict[str, type] = {
    "iss": str,
    "aud": str,
    "sub": str,
    "sid": str,
    "jti": str,
    "iat": int,
    "exp": int,
}


def decode_base64(text: bytes) -> bytes:
    """Decodes base64url without padding, in its canonical form only. Raises ValueError."""
    try:
        decoded = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except ValueError:
        raise _Invalid from None
    # The decoder skips characters that are not in the alphabet.
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != text:
        raise _Invalid
    return decoded


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object, in order, with duplicates."""


def _members(data: bytes) -> _Pairs:
    try:
        text = data.decode()
        value = json.loads(
            text,
            object_pairs_hook=_Pairs,
            parse_constant=_refuse,
            parse_int=_integer,
        )
    except (ValueError, RecursionError):
        raise _Invalid from None
    if not isinstance(value, _Pairs):
        raise _Invalid
    for name, member in value:
        for part in (name, member):
            # An escaped surrogate, which is not text.
            if isinstance(part, str) and any("\ud800" <= char <= "\udfff" for char in part):
                raise _Invalid
    return value


def _refuse(_text: str) -> NoReturn:
    raise _Invalid


def _integer(text: str) -> int:
    if text.startswith("-") or len(text) > 20:
        # Negative or too large. In the claims that a verifier uses, neither is valid.
        return -1
    return int(text)


def _uuid(text: str) -> UUID:
    if not _UUID.match(text):
        raise _Invalid
    return UUID(text)


def _instant(seconds: int) -> int:
    if not 0 <= seconds <= MAX_INSTANT:
        raise _Invalid
    return seconds
