"""The points that a strict verifier of Ed25519 refuses.

OpenSSL refuses S >= L and compares R byte for byte. But it accepts public keys of small order, with
which one signature is valid for many messages, and keys that are not encoded canonically.
"""

from __future__ import annotations

_P = 2**255 - 19
_SIGN = 1 << 255
_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
# The y coordinates of the eight points of small order.
_SMALL_ORDER = frozenset((0, 1, _P - 1, _ORDER_8, _P - _ORDER_8))


def is_strict(point: bytes) -> bool:
    """Returns `True` if an encoded point is canonical and not of small order.

    The sign of x does not matter: the points with x = 0, for which one sign is not canonical, are
    of small order.
    """
    y = int.from_bytes(point, "little") & ~_SIGN
    return len(point) == 32 and y < _P and y not in _SMALL_ORDER
