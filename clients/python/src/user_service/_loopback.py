"""Addresses: host and port, and whether they are local."""

from __future__ import annotations

import ipaddress
import re

DEFAULT_PORT = 3001
_EXPECTED = 'expected HOST:PORT, such as "127.0.0.1:3001"'
# Characters that occur in URLs and in mistakes, and in no name or address of a host.
_FOREIGN = re.compile(r"[\s/?#@\\,;\x00-\x1f]")


def addresses_of(value: object) -> list[str]:
    """Returns the addresses of a client. Raises TypeError or ValueError."""
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)):
        raise TypeError(
            f"addresses have the type {type(value).__name__}; {_EXPECTED}, or a list of them"
        )
    if not found:
        raise ValueError(f"there is no address; {_EXPECTED}")
    for address in found:
        if not isinstance(address, str):
            raise TypeError(f"an address has the type {type(address).__name__}; {_EXPECTED}")
        split_address(address)
    return list(found)


def split_address(address: str) -> tuple[str, int]:
    """Returns the host and the port of `host`, `host:port` or `[IPv6]:port`."""
    if _FOREIGN.search(address):
        scheme = " without a scheme or a path" if "/" in address else ""
        raise ValueError(f"invalid address {address!r}: {_EXPECTED}{scheme}")
    host, separator, port = address.rpartition(":")
    if address.startswith("["):
        inside, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"invalid address {address!r}: expected [IPv6]:port")
        if not _is_ipv6(inside):
            raise ValueError(f"invalid address {address!r}: expected an IPv6 address in brackets")
        host, separator, port = inside, rest[:1], rest[1:]
    elif not separator:
        host, port = address, ""
    elif ":" in host:
        raise ValueError(f"invalid address {address!r}: write an IPv6 address in brackets")
    if not separator:
        return _named(host, address), DEFAULT_PORT
    if not (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65_536):
        raise ValueError(f"invalid address {address!r}: expected a port from 1 to 65535")
    return _named(host, address), int(port)


def _named(host: str, address: str) -> str:
    if not host:
        raise ValueError(f"invalid address {address!r}: the host is missing; {_EXPECTED}")
    try:
        host.encode("idna")
    except UnicodeError:
        raise ValueError(f"invalid address {address!r}: the host is not a valid name") from None
    return host


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Returns `True` for an address of the loopback interface and for `localhost`.

    Any other name counts as remote, since only its resolver decides on its address.
    """
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback
