"""The options of a call."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, Union

from .errors import InvalidRequest
from .secret import Secret, SecretLike


class _Auto(Enum):
    AUTO = "auto"

    def __repr__(self) -> str:
        return "AUTO"


AUTO: Final = _Auto.AUTO
"""A new random idempotency key if the request changes something, otherwise none."""

Key = Union[bytes, None, Literal[_Auto.AUTO]]


def to_secret(name: str, value: SecretLike) -> Secret:
    """Returns the value of a field as a secret. Raises InvalidRequest, without the value."""
    try:
        return Secret.of(value)
    except (TypeError, ValueError) as error:
        reason = f"{name}: {error}"
        del value
    raise InvalidRequest(reason)
