"""The options of a call."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal, Union


class _Auto(Enum):
    AUTO = "auto"

    def __repr__(self) -> str:
        return "AUTO"


AUTO: Final = _Auto.AUTO
"""A new random idempotency key if the request changes something, otherwise none."""

Key = Union[bytes, None, Literal[_Auto.AUTO]]
