"""The public keys of the service."""

from __future__ import annotations

import json
from typing import Any, NoReturn, Optional, Union

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from ._ed25519 import is_strict
from ._token import MAX_KID, decode_base64

# Number of revoked keys that are remembered.
_MAX_REVOKED = 10_000
# Members of a JWK that contain a secret or a private key.
_PRIVATE = frozenset(("d", "k", "p", "q", "dp", "dq", "qi", "oth"))
_SIGNATURE = 64


class PublicKey:
    """A public key, with its only algorithm."""

    def __init__(
        self, alg: str, data: bytes, key: Union[Ed25519PublicKey, ec.EllipticCurvePublicKey]
    ) -> None:
        self.alg, self._data, self._key = alg, data, key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and (self.alg, self._data) == (other.alg, other._data)

    def __hash__(self) -> int:
        return hash((self.alg, self._data))

    @classmethod
    def from_jwk(cls, jwk: dict[str, Any]) -> Optional[tuple[str, PublicKey]]:
        """Reads a JWK with its kid. Returns `None` if it is not a public key that can be used."""
        kid, operations = jwk.get("kid"), jwk.get("key_ops")
        if not isinstance(kid, str) or not 0 < len(kid.encode()) <= MAX_KID:
            return None
        if jwk.get("use") != "sig":
            return None
        if not _PRIVATE.isdisjoint(jwk):
            return None
        if "key_ops" in jwk and not (isinstance(operations, list) and "verify" in operations):
            return None
        members = jwk.get("kty"), jwk.get("crv"), jwk.get("alg")
        try:
            if members == ("OKP", "Ed25519", "EdDSA"):
                x = _coordinate(jwk, "x")
                if not is_strict(x):
                    return None
                return kid, cls("EdDSA", x, Ed25519PublicKey.from_public_bytes(x))
            if members == ("EC", "P-256", "ES256"):
                x, y = _coordinate(jwk, "x"), _coordinate(jwk, "y")
                # Refuses a point that is not on the curve.
                point = ec.EllipticCurvePublicKey.from_encoded_point(
                    ec.SECP256R1(), b"\x04" + x + y
                )
                return kid, cls("ES256", x + y, point)
        except ValueError:
            return None
        return None

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Returns `True` if `signature` is a signature of `message` with this key."""
        if len(signature) != _SIGNATURE:
            return False
        try:
            if isinstance(self._key, Ed25519PublicKey):
                if not is_strict(signature[:32]):
                    return False
                self._key.verify(signature, message)
            else:
                r = int.from_bytes(signature[:32], "big")
                s = int.from_bytes(signature[32:], "big")
                self._key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True


def _coordinate(jwk: dict[str, Any], name: str) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str) or not text.isascii():
        raise ValueError(name)
    value = decode_base64(text.encode())
    if len(value) != 32:
        raise ValueError(name)
    return value


def _refuse(_text: str) -> NoReturn:
    raise ValueError


def parse_jwks(text: str) -> Optional[dict[str, PublicKey]]:
    """Reads a JWK Set. Returns `None` if it is not one.

    Keys that cannot be used are left out. Two different keys with one kid are both left out.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
        # An escaped surrogate is not text.
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    rows = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(rows, list):
        return None
    keys: dict[str, PublicKey] = {}
    ambiguous: set[str] = set()
    for row in rows:
        found = PublicKey.from_jwk(row) if isinstance(row, dict) else None
        if found is None:
            continue
        kid, key = found
        if kid in keys and keys[kid] != key:
            ambiguous.add(kid)
        keys[kid] = key
    return {kid: key for kid, key in keys.items() if kid not in ambiguous}


class Keys:
    """The current keys.

    The generation is increased after a key was dropped. A signature that was verified with a
    dropped key is cached under the old generation, and is not found there any more.
    """

    def __init__(self) -> None:
        self.current: dict[str, PublicKey] = {}
        self.generation = 0
        self.are_loaded = False
        self.revoked: set[str] = set()

    def replace(self, new: dict[str, PublicKey]) -> bool:
        """Replaces the keys, except for revoked ones. Returns `True` if a key was dropped."""
        new = {kid: key for kid, key in new.items() if kid not in self.revoked}
        dropped = any(new.get(kid) != key for kid, key in self.current.items())
        self.current = new
        self.are_loaded = True
        self.generation += dropped
        return dropped

    def revoke(self, kid: str) -> Optional[bool]:
        """Drops a key forever.

        Returns `True` if it was not revoked before, and `None` if there are too many to remember.
        """
        if kid in self.revoked:
            return False
        has_space = len(self.revoked) < _MAX_REVOKED
        if has_space:
            self.revoked.add(kid)
        self.current = {other: key for other, key in self.current.items() if other != kid}
        self.generation += 1
        return True if has_space else None
