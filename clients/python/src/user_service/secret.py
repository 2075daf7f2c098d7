"""Passwords, codes and tokens that do not print."""

from __future__ import annotations

import hmac
from typing import NoReturn, Union


class Secret:
    """A password, a code or a token.

    Its value does not appear in `repr`, `str`, `format`, JSON, pickles and tracebacks of the
    client. `reveal` returns it.
    """

    __slots__ = ("_value",)

    def __init__(self, value: Union[str, bytes]) -> None:
        # bytes() would also accept a number, as a length.
        if not isinstance(value, (str, bytes, bytearray)):
            kind = type(value).__name__
            del value
            raise TypeError(f"a secret has the type {kind}; expected str, bytes or Secret")
        if not isinstance(value, str):
            object.__setattr__(self, "_value", bytes(value))
            return
        try:
            object.__setattr__(self, "_value", value.encode())
            return
        except UnicodeEncodeError:
            del value
        # Here, because the error above contains the value, and would be the context of this one.
        raise ValueError("a secret must be text that UTF-8 can encode")

    @classmethod
    def of(cls, value: SecretLike) -> Secret:
        """Returns a secret with this value."""
        return value if isinstance(value, Secret) else cls(value)

    def reveal(self) -> str:
        """Returns the value as text. Every token and code is text."""
        try:
            return self.reveal_bytes().decode()
        except UnicodeDecodeError:
            pass
        raise ValueError("the secret is not text; use reveal_bytes")

    def reveal_bytes(self) -> bytes:
        """Returns the value as bytes."""
        value: bytes = self._value  # type: ignore[attr-defined]
        return value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.reveal_bytes(), other.reveal_bytes())

    def __hash__(self) -> int:
        return hash((Secret, self.reveal_bytes()))

    def __iter__(self) -> NoReturn:
        # FastAPI tries this, and reports the error.
        raise TypeError("a Secret cannot be serialized; reveal() returns its text")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError("a Secret cannot be changed")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: object) -> Secret:
        return self

    def __getstate__(self) -> NoReturn:
        raise TypeError("a Secret cannot be serialized; reveal() returns its text")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be serialized; reveal() returns its text")


SecretLike = Union[str, bytes, Secret]
