"""The base classes of the generated messages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, Optional, TypeVar, Union


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message."""

    name: str
    kind: str
    tag: Optional[int]
    row: Optional[type[Row]] = None


class Message:
    """A message of the protocol, or a row of a list."""

    __slots__ = ()

    FIELDS: ClassVar[tuple[Field, ...]]


class Row(Message):
    """A row of a list."""

    __slots__ = ()


class Reply(Message):
    """A reply of the service."""

    __slots__ = ()

    TYPE: ClassVar[int]
    NAME: ClassVar[str]


R_co = TypeVar("R_co", bound=Reply, covariant=True)


class Request(Message, Generic[R_co]):
    """A request with a reply of the type `R_co`."""

    __slots__ = ()

    TYPE: ClassVar[int]
    NAME: ClassVar[str]
    CHANGES: ClassVar[bool]
    RETRY: ClassVar[str]
    HASHES: ClassVar[Union[bool, tuple[str, ...]]]

    def hashes(self) -> bool:
        """Returns `True` if the service hashes a password for this request."""
        if isinstance(self.HASHES, bool):
            return self.HASHES
        return any(getattr(self, name) is not None for name in self.HASHES)
