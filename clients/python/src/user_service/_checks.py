"""Checks of options and arguments, with messages that state what was expected."""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable
from typing import Any, NoReturn, Optional, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


def known_options(cls: C) -> C:
    """Lets the constructor of a class name its options if it is called with another one."""
    init: Any = vars(cls)["__init__"]
    signature = inspect.signature(init)
    names = list(signature.parameters)[1:]

    @functools.wraps(init)
    def checked(self: Any, *arguments: Any, **options: Any) -> None:
        for name in options:
            if name not in names:
                _refuse_option(cls, name, names)
        try:
            signature.bind(self, *arguments, **options)
        except TypeError as error:
            raise TypeError(f"{cls.__name__}: {error}; expected {', '.join(names)}") from None
        init(self, *arguments, **options)

    type.__setattr__(cls, "__init__", checked)
    return cls


def _refuse_option(cls: type, name: str, names: list[str]) -> NoReturn:
    # An option of a configuration that was passed to the client itself.
    of_config = getattr(cls, "CONFIG", None)
    if of_config is not None and name in inspect.signature(of_config).parameters:
        raise TypeError(
            f"{cls.__name__} has no option {name!r}: it belongs into {of_config.__name__}, as in "
            f"{cls.__name__}(..., {of_config.__name__}({name}=...))"
        )
    similar = difflib.get_close_matches(name, names, 1, 0.5)
    hint = f"did you mean {similar[0]!r}?" if similar else f"expected {', '.join(names)}"
    raise TypeError(f"{cls.__name__} has no option {name!r}: {hint}")


def expect_type(owner: str, name: str, value: object, *types: type) -> None:
    """Raises TypeError if a value has none of these types."""
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        names = " or ".join("None" if one is type(None) else one.__name__ for one in types)
        raise TypeError(f"{owner}: {name} has the type {type(value).__name__}; expected {names}")


def expect_number(
    owner: str,
    name: str,
    value: object,
    *,
    minimum: Optional[float] = None,
    maximum: Optional[float] = None,
    unit: str = "a number of seconds",
) -> None:
    """Raises TypeError or ValueError if a value is not a finite number in the range.

    Without a minimum, it must be above 0.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{owner}: {name} has the type {type(value).__name__}; expected {unit}")
    too_low = value <= 0 if minimum is None else value < minimum
    if too_low or not math.isfinite(value) or (maximum is not None and value > maximum):
        low = "more than 0" if minimum is None else f"at least {minimum:g}"
        high = "" if maximum is None else f" and at most {maximum:g}"
        raise ValueError(f"{owner}: invalid {name} {value!r}: expected {unit}, {low}{high}")


def expect_count(owner: str, name: str, value: object, minimum: int = 1) -> None:
    """Raises TypeError or ValueError if a value is not an integer of at least this size."""
    expect_type(owner, name, value, int)
    expect_number(owner, name, value, minimum=minimum, unit="an integer")
